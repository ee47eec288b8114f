"""The onset's likelihood where only block means are left: old blocks, then the window's rows as blocks.

A block's mean has the variance of a long sum over its frames, vt(n_max)/n and what lots add, so that blocks count as
independent. Shapes, sizes and the uncertain reference are those of `date.py`, which holds the formulas.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sincewhen.onset.history import Blocks
from sincewhen.onset.ledger import BLOCK
from sincewhen.onset.shapes import SHAPES
from sincewhen.profiles.null import StreamNull

SIZES = np.geomspace(0.2, 60.0, 32)  # displacement at the window's end
_PRODUCT_MAX = 1e250  # factors are multiplied up to here before the logarithm is taken
Floats = NDArray[np.float64]


def blocks_likelihood(x: Floats, old: Blocks, null: StreamNull, lots: int) -> tuple[Floats, Floats]:
    """Log likelihood ratio and mean size (shapes, M + 1) of an onset at each old block's begin, then at x's (B, d).

    lots: how many begin within x.
    """
    cuts = np.arange(0, len(x), BLOCK)
    frames = np.concatenate([old.frames, np.diff(np.append(cuts, len(x)))]).astype(np.float64)
    mean = np.concatenate(
        [old.mean.astype(np.float64), np.add.reduceat(x, cuts) / np.diff(np.append(cuts, len(x)))[:, None]]
    )
    usual_lot = frames.sum() / max(1, int(old.lots.sum()) + lots)
    weight = 1 / (null.vt[-1].astype(np.float64) + null.sigma2_lot * usual_lot)  # (d,) of a frame
    precision = 1 / null.reference + weight * frames.sum()
    total = weight * (frames @ mean)
    candidates = len(old.frames) + 1
    begin = np.concatenate([[0.0], np.cumsum(frames)])
    after = begin[-1] - begin[:candidates]  # frames from each candidate to the end
    since = np.maximum(begin[None, :] - begin[:candidates, None], 0)  # (M + 1, blocks + 1)
    likelihood, size = np.empty((len(SHAPES), candidates)), np.empty((len(SHAPES), candidates))
    for index, shape in enumerate(SHAPES):
        grown = np.diff(shape.total(since), axis=1) / shape.at(after)[:, None]  # frames times mean growth
        first = grown.sum(axis=1)[:, None] * weight
        second = (grown**2 / frames).sum(axis=1)[:, None] * weight
        q = weight * (grown @ mean) - first * total / precision
        s = np.maximum(second - first**2 / precision, 0)
        likelihood[index], size[index] = mix_sizes(q, s, SIZES, np.ones(candidates))
    return likelihood, size


@njit(cache=True)
def mix_sizes(q, s, sizes, growth):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - compiled by numba
    """Log mean over sizes of e^(Σ ½ λq²/(1+λS) − ½ ln(1+λS)), λ = size² growth / d, and the mean size: (rows,)."""
    rows, dims = q.shape
    out, size = np.empty(rows), np.empty(rows)
    parts = np.empty(len(sizes))
    for row in range(rows):
        for j in range(len(sizes)):
            variance = sizes[j] * sizes[j] / dims * growth[row]
            gained, product, logs = 0.0, 1.0, 0.0
            for i in range(dims):
                spread = 1.0 + variance * s[row, i]
                gained += variance * q[row, i] * q[row, i] / spread
                product *= spread
                if product > _PRODUCT_MAX:
                    logs += math.log(product)
                    product = 1.0
            parts[j] = 0.5 * (gained - logs - math.log(product))
        top = parts.max()
        shares = np.exp(parts - top)
        out[row] = top + math.log(shares.mean())
        size[row] = (shares * sizes).sum() / shares.sum()
    return out, size
