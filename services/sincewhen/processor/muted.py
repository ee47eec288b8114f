"""Directions that people called "not drift": a stream is looked at without them for a while."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.next_change import DIMS_MIN

MUTED_MAX = 8


class Muted(msgspec.Struct, frozen=True):
    """A direction that people called "not drift", until a time."""

    direction: tuple[float, ...]
    until_ns: int


def without(x: NDArray[np.float32], muted: Sequence[Muted]) -> NDArray[np.float32]:
    """X (n, d) less the muted directions; a stream of few coordinates has nothing else and is not looked at."""
    if x.shape[1] < DIMS_MIN:
        return np.zeros_like(x)
    basis, _ = np.linalg.qr(np.array([item.direction for item in muted], np.float64).T)
    along = np.einsum("nd,dm->nm", x, basis)  # no BLAS: each row's result is its own, whatever the batch
    return np.asarray(x - np.einsum("nm,dm->nd", along, basis), np.float32)
