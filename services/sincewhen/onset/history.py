"""What a stream remembers of its past: the newest rows one by one, older ones as block means that grow with age.

Rows leave in blocks of BLOCK frames; a level holds BLOCKS_MAX blocks, then its two oldest become one block of the next
level: a block is at most an eighth as long as its age, and LEVELS levels reach back 16 million frames in bounded
memory. So a drift over weeks is dated from the same history as a step, at a resolution that fits its age.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

BLOCK = 32
BLOCKS_MAX = 9
LEVELS = 16
ROWS_CALM = 256  # full resolution while nothing is open, or two of the longest windows
ROWS_SPARSE = 64  # of a stream that has only some of the frames: they reach as far back in time
ROWS_OPEN = 1024  # while a change is being dated
ROWS_LAYER = 128


@dataclass(slots=True)
class Blocks:
    """M blocks of the past, oldest first."""

    level: NDArray[np.int8]  # (M,) a block of level l holds BLOCK · 2^l frames
    mean: NDArray[np.float16]  # (M, d)
    first_at_ns: NDArray[np.int64]  # (M,)
    last_at_ns: NDArray[np.int64]  # (M,)
    lots: NDArray[np.int32]  # (M,) lots that begin in it

    @staticmethod
    def none(dims: int) -> "Blocks":
        times = np.zeros(0, np.int64)
        return Blocks(np.zeros(0, np.int8), np.zeros((0, dims), np.float16), times, times, np.zeros(0, np.int32))

    @property
    def frames(self) -> NDArray[np.int64]:
        return BLOCK << self.level.astype(np.int64)

    @property
    def columns(self) -> tuple[NDArray[np.generic], ...]:
        return (self.level, self.mean, self.first_at_ns, self.last_at_ns, self.lots)

    def cut(self, start: int) -> "Blocks":
        """Without the `start` oldest."""
        return Blocks(*(column[start:] for column in self.columns))  # type: ignore[arg-type]  # columns, in order


@dataclass(slots=True)
class History:
    """`first` is the number of the oldest row that is kept one by one; blocks end right before it.

    good_ns: a time before the oldest row at which the stream was known to be in control, 0 = none.
    """

    x: NDArray[np.float16]  # (w, d)
    at_ns: NDArray[np.int64]  # (w,)
    lot: NDArray[np.bool_]  # (w,) a lot begins here
    step: NDArray[np.bool_]  # (w,) a lot, supplier lot or recipe begins here
    first: int
    blocks: Blocks
    good_ns: int = 0
    layer: NDArray[np.float16] | None = None  # (w, k) of T²: its layer's positions; the ROWS_LAYER newest

    @staticmethod
    def empty(dims: int, good_ns: int) -> "History":
        no = np.zeros(0, bool)
        return History(np.zeros((0, dims), np.float16), np.zeros(0, np.int64), no, no, 0, Blocks.none(dims), good_ns)

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
        layer: NDArray[np.float32] | None = None,
    ) -> None:
        if layer is not None:
            known = np.zeros((0, layer.shape[1]), np.float16) if self.layer is None else self.layer
            self.layer = np.concatenate([known, layer.astype(np.float16)])[-ROWS_LAYER:]
        self.x = np.concatenate([self.x, x.astype(np.float16)])
        self.at_ns = np.concatenate([self.at_ns, at_ns])
        self.lot = np.concatenate([self.lot, lot])
        self.step = np.concatenate([self.step, step])

    def trim(self, rows_max: int) -> None:
        """Move whole blocks of the oldest rows to the ledger, so that at most rows_max + BLOCK - 1 rows stay."""
        count = (len(self.x) - rows_max) // BLOCK
        for number in range(max(0, count)):
            self._settle(number * BLOCK)
        if count > 0:
            self._drop(count * BLOCK)

    def forget(self, keep: int) -> None:
        """Keep only the `keep` newest rows: what was before belongs to another state of the station."""
        self._drop(max(0, len(self.x) - keep))
        self.blocks, self.good_ns = Blocks.none(self.x.shape[1]), 0

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

    def _settle(self, start: int) -> None:
        stop = start + BLOCK
        old = self.blocks
        added = Blocks(
            np.zeros(1, np.int8),
            self.x[start:stop].mean(axis=0, dtype=np.float32, keepdims=True).astype(np.float16),
            self.at_ns[start : start + 1],
            self.at_ns[stop - 1 : stop],
            np.array([self.lot[start:stop].sum()], np.int32),
        )
        merged = Blocks(*(np.concatenate(pair) for pair in zip(old.columns, added.columns, strict=True)))
        self.blocks = _merged(merged)

    def _drop(self, oldest: int) -> None:
        self.x, self.at_ns = self.x[oldest:], self.at_ns[oldest:]
        self.lot, self.step = self.lot[oldest:], self.step[oldest:]
        self.first += oldest

    def to_bytes(self) -> bytes:
        layer = None if self.layer is None else (self.layer.shape[1], self.layer.tobytes())
        rows = (self.x.tobytes(), self.at_ns.tobytes(), self.lot.tobytes(), self.step.tobytes())
        blocks = tuple(np.ascontiguousarray(column).tobytes() for column in self.blocks.columns)
        return msgspec.msgpack.encode((self.x.shape[1], self.first, self.good_ns, rows, blocks, layer))

    @staticmethod
    def from_bytes(data: bytes) -> "History":
        five = tuple[bytes, bytes, bytes, bytes, bytes]
        kind = tuple[int, int, int, tuple[bytes, bytes, bytes, bytes], five, tuple[int, bytes] | None]
        dims, first, good_ns, (x, at_ns, lot, step), blocks, layer = msgspec.msgpack.decode(data, type=kind)
        types = (np.int8, np.float16, np.int64, np.int64, np.int32)
        columns = [np.frombuffer(raw, kept) for raw, kept in zip(blocks, types, strict=True)]
        columns[1] = columns[1].reshape(-1, dims)
        return History(
            np.frombuffer(x, np.float16).reshape(-1, dims),
            np.frombuffer(at_ns, np.int64),
            np.frombuffer(lot, bool),
            np.frombuffer(step, bool),
            first,
            Blocks(*columns),
            good_ns,
            None if layer is None else np.frombuffer(layer[1], np.float16).reshape(-1, layer[0]),
        )


def _merged(blocks: Blocks) -> Blocks:
    """Levels that are full hand their two oldest blocks on as one; what the last level can't hold is forgotten."""
    for level in range(LEVELS):
        at = np.flatnonzero(blocks.level == level)
        if len(at) <= BLOCKS_MAX:
            break  # and no level above has more than before
        start, stop = int(at[0]), int(at[0]) + 2
        if level == LEVELS - 1:
            blocks = blocks.cut(stop)
            continue
        one = Blocks(
            np.array([level + 1], np.int8),
            blocks.mean[start:stop].mean(axis=0, dtype=np.float32, keepdims=True).astype(np.float16),
            blocks.first_at_ns[start : start + 1],
            blocks.last_at_ns[stop - 1 : stop],
            np.array([blocks.lots[start:stop].sum()], np.int32),
        )
        parts = zip(blocks.columns, one.columns, strict=True)
        blocks = Blocks(*(np.concatenate([old[:start], new, old[stop:]]) for old, new in parts))
    return blocks
