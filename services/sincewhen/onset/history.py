"""What a stream remembers of its past: the newest rows one by one, older ones as block means that grow with age.

Rows leave in blocks of BLOCK frames; a level holds BLOCKS_MAX blocks, then its two oldest become one block of the next
level: a block is at most an eighth as long as its age, and LEVELS levels reach back 16 million frames in bounded
memory. So a drift over weeks is dated from the same history as a step, at a resolution that fits its age.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sincewhen.onset.ledger import BEGIN, BLOCK, BLOCKS, CAPACITY_MAX, FIRST, ROWS, append
from sincewhen.profiles.null import StreamNull

ROWS_CALM = 256  # full resolution while nothing is open, or two of the longest windows
ROWS_SPARSE = 64  # of a stream that has only some of the frames: they reach as far back in time
ROWS_OPEN = 1024  # while a change is being dated
ROWS_LAYER = 128
_ROW_TYPES = (np.uint16, np.int64, np.bool_, np.bool_)
_BLOCK_TYPES = (np.int8, np.uint16, np.int64, np.int64, np.int32)
Columns = tuple[NDArray[Any], ...]


@dataclass(slots=True)
class Blocks:
    """M blocks of the past, oldest first."""

    level: NDArray[np.int8]  # (M,) a block of level l holds BLOCK · 2^l frames
    mean: NDArray[np.float16]  # (M, d)
    first_at_ns: NDArray[np.int64]  # (M,)
    last_at_ns: NDArray[np.int64]  # (M,)
    lots: NDArray[np.int32]  # (M,) lots that begin in it

    @property
    def frames(self) -> NDArray[np.int64]:
        return BLOCK << self.level.astype(np.int64)

    @property
    def columns(self) -> tuple[NDArray[np.generic], ...]:
        return (self.level, self.mean, self.first_at_ns, self.last_at_ns, self.lots)


@dataclass(slots=True)
class History:
    """Rows one by one, newest last, and blocks that end right before them; both in buffers with room to grow.

    good_ns: a time before the oldest row at which the stream was known to be in control, 0 = none.
    layer (w, k): of T², its layer's positions; the ROWS_LAYER newest.
    """

    dims: int
    good_ns: int = 0
    layer: NDArray[np.float16] | None = None
    _rows: Columns = ()
    _blocks: Columns = ()
    _at: NDArray[np.int64] = field(default_factory=lambda: np.zeros(4, np.int64))

    def __post_init__(self) -> None:
        if not self._rows:
            self._rows, self._blocks = _buffers(_ROW_TYPES, 0, self.dims), _buffers(_BLOCK_TYPES, 0, self.dims)

    @property
    def x(self) -> NDArray[np.float16]:
        """Positions (w, d)."""
        return self._kept(0).view(np.float16)

    @property
    def at_ns(self) -> NDArray[np.int64]:
        """When they were captured (w,)."""
        return self._kept(1)

    @property
    def lot(self) -> NDArray[np.bool_]:
        """Whether a lot begins there (w,)."""
        return self._kept(2)

    @property
    def step(self) -> NDArray[np.bool_]:
        """Whether a lot, supplier lot, sku or recipe begins there (w,)."""
        return self._kept(3)

    @property
    def first(self) -> int:
        """The number of the oldest row that is kept one by one."""
        return int(self._at[FIRST])

    @first.setter
    def first(self, number: int) -> None:
        self._at[FIRST] = number

    @property
    def blocks(self) -> Blocks:
        level, mean, *others = (column[: self._at[BLOCKS]] for column in self._blocks)
        return Blocks(level, mean.view(np.float16), *others)

    def _kept(self, number: int) -> NDArray[Any]:
        begin = self._at[BEGIN]
        return self._rows[number][begin : begin + self._at[ROWS]]

    @property
    def begin(self) -> int:
        """The position of the oldest frame that is remembered."""
        return -int(self.blocks.frames.sum())

    @property
    def oldest_ns(self) -> int:
        """From when on a change may have begun that is seen in the oldest frame that is remembered."""
        return self.good_ns or int(self.blocks.first_at_ns[0] if len(self.blocks.frames) else self.at_ns[0])

    def push(
        self,
        x: NDArray[np.float32],
        at_ns: NDArray[np.int64],
        lot: NDArray[np.bool_],
        step: NDArray[np.bool_],
        rows_max: int,
    ) -> None:
        """Take rows (n, d); whole blocks of the oldest go to the ledger, so that at most rows_max + BLOCK - 1 stay."""
        kept, room = int(self._at[ROWS]), rows_max + 2 * BLOCK
        if not max(kept + BLOCK, room) <= len(self._rows[0]) <= 2 * room:
            self._rows = _grown((self._kept(number) for number in range(4)), max(kept + BLOCK, room))
            self._at[BEGIN] = 0
        blocks = int(self._at[BLOCKS])
        more = min(CAPACITY_MAX, blocks + 2 + max(0, kept + len(x) - rows_max) // BLOCK)
        if more > len(self._blocks[0]):
            self._blocks = _grown(self._blocks, min(CAPACITY_MAX, max(more, 2 * blocks)))
        append((np.ascontiguousarray(x, np.float32), at_ns, lot, step), *self.compiled, rows_max)

    def push_layer(self, layer: NDArray[np.float32]) -> None:
        """Of T², its layer's positions (n, k) at the newest rows."""
        known = np.zeros((0, layer.shape[1]), np.float16) if self.layer is None else self.layer
        self.layer = np.concatenate([known, layer.astype(np.float16)])[-ROWS_LAYER:]

    @property
    def compiled(self) -> tuple[Columns, Columns, NDArray[np.int64]]:
        """What `append` takes of this history, and changes: other arrays once they were too small."""
        return self._rows, self._blocks, self._at

    def forget(self, keep: int) -> None:
        """Keep only the `keep` newest rows: what was before belongs to another state of the station."""
        gone = max(0, int(self._at[ROWS]) - keep)
        self._at += np.array([gone, -gone, 0, gone])
        self._at[BLOCKS] = self.good_ns = 0

    def time_of(self, position: float) -> int:
        """Capture time (ns) of a position relative to `first`; negative ones lie in the blocks."""
        if position >= 0 or not len(self.blocks.frames):
            return int(self.at_ns[min(max(0, int(position)), len(self.at_ns) - 1)])
        ends = -np.concatenate([np.cumsum(self.blocks.frames[::-1])[::-1], [0]])  # where each begins, then 0
        block = int(np.clip(np.searchsorted(ends, position, side="right") - 1, 0, len(self.blocks.frames) - 1))
        share = (position - ends[block]) / self.blocks.frames[block]
        begin, end = int(self.blocks.first_at_ns[block]), int(self.blocks.last_at_ns[block])
        return begin + int(min(max(share, 0.0), 1.0) * (end - begin))

    def position_of(self, at_ns: int) -> int:
        """The first position captured at or after a time; that of a block is its begin."""
        if (len(self.at_ns) and at_ns > self.at_ns[0]) or not len(self.blocks.frames):
            return int(np.searchsorted(self.at_ns, at_ns))
        block = int(np.searchsorted(self.blocks.last_at_ns, at_ns))
        return -int(self.blocks.frames[block:].sum())

    def to_bytes(self) -> bytes:
        layer = None if self.layer is None else (self.layer.shape[1], self.layer.tobytes())
        rows = (self.x.tobytes(), self.at_ns.tobytes(), self.lot.tobytes(), self.step.tobytes())
        blocks = tuple(np.ascontiguousarray(column).tobytes() for column in self.blocks.columns)
        return msgspec.msgpack.encode((self.dims, self.first, self.good_ns, rows, blocks, layer))

    @staticmethod
    def from_bytes(data: bytes) -> "History":
        five = tuple[bytes, bytes, bytes, bytes, bytes]
        kind = tuple[int, int, int, tuple[bytes, bytes, bytes, bytes], five, tuple[int, bytes] | None]
        dims, first, good_ns, (x, at_ns, lot, step), blocks, layer = msgspec.msgpack.decode(data, type=kind)
        rows = _columns(_ROW_TYPES, (x, at_ns, lot, step), dims)
        known = _columns(_BLOCK_TYPES, blocks, dims)
        at = np.array([0, len(rows[0]), len(known[0]), first])
        kept = None if layer is None else np.frombuffer(layer[1], np.float16).reshape(-1, layer[0])
        return History(dims, good_ns, kept, rows, known, at)


def rows_calm(null: StreamNull) -> int:
    """How many rows of a stream are kept one by one while nothing is open."""
    return max(ROWS_SPARSE if null.sparse else ROWS_CALM, min(ROWS_OPEN, 2 * null.n_max))


def _buffers(types: Iterable[type], count: int, dims: int) -> Columns:
    """One column of numbers by coordinate in each, that of bits of float16."""
    return tuple(np.zeros((count, dims) if kind is np.uint16 else count, kind) for kind in types)


def _columns(types: Iterable[type], raw: Iterable[bytes], dims: int) -> Columns:
    columns: list[NDArray[Any]] = [np.frombuffer(data, kind).copy() for data, kind in zip(raw, types, strict=True)]
    return tuple(column.reshape(-1, dims) if column.dtype == np.uint16 else column for column in columns)


def _grown(columns: Iterable[NDArray[Any]], count: int) -> Columns:
    """With room for `count` rows."""
    grown: list[NDArray[Any]] = []
    for column in columns:
        grown.append(np.zeros((count, *column.shape[1:]), column.dtype))
        grown[-1][: len(column)] = column
    return tuple(grown)
