"""Peers in our own few lines: a bank of MEWMAs (Lowry et al. 1992) and ocd (Chen, Wang & Samworth 2022)."""

import math

import numpy as np
from numba import njit

from benchmarks.cell import Floats

WEIGHTS = (0.05, 0.1, 0.2, 0.4)  # of a MEWMA's newest frame: for small to large displacements
OCD_LEAST = 1.0  # the smallest displacement that ocd is built for
_ARL0 = 1e4  # to which ocd's three statistics are made equal; the limit of their greatest is simulated


def mewma(x: Floats) -> Floats:
    """Path of the greatest of the bank, each T² as a normal deviate (Wilson & Hilferty 1931)."""
    return np.asarray(_mewma(np.ascontiguousarray(x, np.float64), np.array(WEIGHTS)))


@njit(cache=True, fastmath=True)
def _mewma(x, weights):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    frames, dims = x.shape
    out, smooth = np.empty(frames), np.zeros((len(weights), dims))
    usual = 2 / (9 * dims)
    for row in range(frames):
        best = -np.inf
        for number in range(len(weights)):
            w, square = weights[number], 0.0
            for i in range(dims):
                smooth[number, i] += w * (x[row, i] - smooth[number, i])
                square += smooth[number, i] ** 2
            t2 = square * (2 - w) / (w * (1 - (1 - w) ** (2 * (row + 1))))
            best = max(best, ((t2 / dims) ** (1 / 3) - 1 + usual) / math.sqrt(usual))
        out[row] = best
    return out


def ocd(x: Floats) -> Floats:
    """Path of the greatest of ocd's diagonal, dense and sparse statistics, each over its theoretical limit."""
    dims = x.shape[1]
    levels = int(math.log2(dims))
    sizes = OCD_LEAST / np.sqrt(2.0 ** np.arange(levels + 2) * math.log2(2 * dims))
    both = np.concatenate([sizes[:-1], -sizes[:-1], sizes[-1:], -sizes[-1:]])  # the last two: diagonal only
    rare = math.log(16 * dims * _ARL0 * math.log2(4 * dims))
    dense = dims - 1 + 2 * rare + math.sqrt(4 * (dims - 1) * rare)
    limits = np.array([rare, dense, 8 * rare])
    return np.asarray(_ocd(np.ascontiguousarray(x, np.float64), both, 2 * (levels + 1), limits))


@njit(cache=True, fastmath=True)
def _ocd(x, sizes, anchored, limits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    frames, dims = x.shape
    out = np.empty(frames)
    tails = np.zeros((len(sizes), dims, dims))  # by size, anchor, coordinate: sum over the anchor's tail
    lengths = np.zeros((len(sizes), dims))
    sparse = math.sqrt(8 * math.log(dims - 1))
    for row in range(frames):
        best = np.zeros(3)
        for b in range(len(sizes)):
            for j in range(dims):
                lengths[b, j] += 1
                for i in range(dims):
                    tails[b, j, i] += x[row, i]
                t = lengths[b, j]
                along = sizes[b] * tails[b, j, j] - sizes[b] ** 2 * t / 2
                if along <= 0:
                    lengths[b, j] = 0
                    tails[b, j] = 0.0
                    continue
                best[0] = max(best[0], along)
                if b >= anchored:
                    continue
                every, few = 0.0, 0.0
                for i in range(dims):
                    square = tails[b, j, i] ** 2 / t if i != j else 0.0
                    every += square
                    few += square if square >= sparse * sparse else 0.0
                best[1] = max(best[1], every)
                best[2] = max(best[2], few)
        out[row] = max(best[0] / limits[0], best[1] / limits[1], best[2] / limits[2])
    return out
