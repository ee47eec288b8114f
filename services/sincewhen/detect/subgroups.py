"""Rational subgroups: frames of one stream over a short time, the unit of evidence of control charts.

A subgroup closes with its 32nd frame, and before a frame that comes 10 s or more after its first one, that is a
restart, or whose time lies before the newest frame's. Source: Montgomery, Introduction to Statistical Quality Control,
rational subgroups.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

FRAMES_MAX = 32
SPAN_NS_MAX = 10 * 10**9


@dataclass(slots=True)
class OpenSubgroups:
    """By stream, the subgroup that may still grow; n = 0: none has begun.

    heads (S, 4): first_at_ns, last_at_ns, n, and 1 where a restart awaits the stream's next frame.
    """

    heads: NDArray[np.int64]
    sums: NDArray[np.float64]  # (S, d)

    def to_bytes(self) -> bytes:
        return msgspec.msgpack.encode((self.sums.shape, self.heads.tobytes(), self.sums.tobytes()))

    @staticmethod
    def from_bytes(data: bytes) -> "OpenSubgroups":
        shape, heads, sums = msgspec.msgpack.decode(data, type=tuple[tuple[int, int], bytes, bytes])
        rows = np.frombuffer(heads, np.int64).reshape(-1, 4).copy()
        return OpenSubgroups(rows, np.frombuffer(sums).reshape(shape).copy())


@dataclass(frozen=True, slots=True)
class Subgroups:
    """Closed subgroups (k,), stream by stream, oldest first, and their sums over frames (k, d)."""

    stream: NDArray[np.int64]
    first_at_ns: NDArray[np.int64]
    last_at_ns: NDArray[np.int64]
    n: NDArray[np.int64]
    sum: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        return self.sum / self.n[:, None]


class RationalSubgroups:
    """Groups the frames of S streams of `dims` coordinates each. The answer does not depend on batch borders."""

    def __init__(self, streams: int, dims: int, state: OpenSubgroups | None = None) -> None:
        self.state = state or OpenSubgroups(np.zeros((streams, 4), np.int64), np.zeros((streams, dims)))

    def update(
        self,
        x: NDArray[np.floating],
        valid: NDArray[np.bool_],
        at_ns: NDArray[np.int64],
        restart: NDArray[np.bool_],
        /,
    ) -> Subgroups:
        """Take frames (S, n, d) captured at at_ns (n,), of which a stream has the `valid` (S, n); what closed.

        restart (S, n): a gap or a new regime lies before the frame; the stream's next valid one begins a subgroup.
        """
        state = self.state
        most = int(np.count_nonzero(valid)) + len(valid)
        heads, sums = np.empty((most, 4), np.int64), np.empty((most, state.sums.shape[1]))
        closed = _group(x, valid, at_ns, restart, state.heads, state.sums, heads, sums)
        stream, first, last, n = heads[:closed].T
        return Subgroups(stream, first, last, n, sums[:closed])


@njit(cache=True)
def _group(x, valid, at_ns, restart, open_heads, open_sums, heads, sums):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """Fill heads (stream, first_at_ns, last_at_ns, n) and sums of what closes; how many. Changes what is open."""
    closed = 0
    for stream in range(len(x)):
        head, total = open_heads[stream], open_sums[stream]
        for row in range(len(at_ns)):
            at = at_ns[row]
            if restart[stream, row]:
                head[3] = 1
            if not valid[stream, row]:
                continue
            if head[2] > 0 and (head[3] or at < head[1] or at - head[0] >= SPAN_NS_MAX):
                closed = _close(stream, head, total, closed, heads, sums)
            if head[2] == 0:
                head[0] = at
            head[1], head[2], head[3] = at, head[2] + 1, 0
            for i in range(len(total)):
                total[i] += x[stream, row, i]
            if head[2] == FRAMES_MAX:
                closed = _close(stream, head, total, closed, heads, sums)
    return closed


@njit(cache=True)
def _close(stream, head, total, closed, heads, sums):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    heads[closed, 0], heads[closed, 1], heads[closed, 2], heads[closed, 3] = stream, head[0], head[1], head[2]
    sums[closed] = total
    head[2], total[:] = 0, 0
    return closed + 1
