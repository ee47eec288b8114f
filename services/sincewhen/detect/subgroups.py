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
class OpenSubgroup:
    """The subgroup that may still grow; n = 0: none has begun."""

    first_at_ns: int
    last_at_ns: int
    n: int
    sum: NDArray[np.float64]  # (d,)
    sum_squares: NDArray[np.float64]  # (d,)

    def to_bytes(self) -> bytes:
        head = (self.first_at_ns, self.last_at_ns, self.n)
        return msgspec.msgpack.encode((head, self.sum.tobytes(), self.sum_squares.tobytes()))

    @staticmethod
    def from_bytes(data: bytes) -> "OpenSubgroup":
        head, total, squares = msgspec.msgpack.decode(data, type=tuple[tuple[int, int, int], bytes, bytes])
        return OpenSubgroup(*head, np.frombuffer(total).copy(), np.frombuffer(squares).copy())


@dataclass(frozen=True, slots=True)
class Subgroups:
    """Closed subgroups (k,), oldest first, and their sums over frames (k, d)."""

    first_at_ns: NDArray[np.int64]
    last_at_ns: NDArray[np.int64]
    n: NDArray[np.int64]
    sum: NDArray[np.float64]
    sum_squares: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        return self.sum / self.n[:, None]


class RationalSubgroups:
    """Groups the frames of one stream of `dims` coordinates. The answer does not depend on batch borders."""

    def __init__(self, dims: int, state: OpenSubgroup | None = None) -> None:
        self.state = state or OpenSubgroup(0, 0, 0, np.zeros(dims), np.zeros(dims))

    def update(self, x: NDArray[np.floating], at_ns: NDArray[np.int64], restart: NDArray[np.bool_], /) -> Subgroups:
        """Take n valid frames (n, d) captured at at_ns (n,); the subgroups that closed.

        restart (n,): a gap or a new regime lies before the frame, which begins a subgroup.
        """
        state = self.state
        heads = np.empty((len(x) + 1, 3), np.int64)  # first_at_ns, last_at_ns, n; row 0 is the open subgroup
        sums = np.empty((len(x) + 1, 2, len(state.sum)))
        heads[0] = state.first_at_ns, state.last_at_ns, state.n
        sums[0] = state.sum, state.sum_squares
        closed = _group(np.ascontiguousarray(x, np.float64), at_ns, restart, heads, sums)
        first, last, n = heads[closed].tolist()
        self.state = OpenSubgroup(first, last, n, *sums[closed].copy())
        heads, sums = heads[:closed], sums[:closed]
        return Subgroups(*(column.copy() for column in (*heads.T, sums[:, 0], sums[:, 1])))


@njit(cache=True, fastmath=False)
def _group(x, at_ns, restart, heads, sums):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """Fill heads and sums; the row that stays open, and so the number of closed ones before it."""
    k = 0
    for row in range(len(x)):
        first, last, n = heads[k]
        at = at_ns[row]
        if n > 0 and (restart[row] or at < last or at - first >= SPAN_NS_MAX):
            k += 1
            n = 0
        if n == 0:
            heads[k, 0] = at
            sums[k] = 0.0
        heads[k, 1] = at
        heads[k, 2] = n + 1
        for i in range(x.shape[1]):
            sums[k, 0, i] += x[row, i]
            sums[k, 1, i] += x[row, i] * x[row, i]
        if n + 1 == FRAMES_MAX:
            k += 1
            heads[k] = 0
            sums[k] = 0.0
    return k
