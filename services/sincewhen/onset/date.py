"""Since when: the posterior of the onset of a change, in closed form, with a 95 % interval (3-detection §4).

Noise of each coordinate is white + AR(1), filtered to innovations; the change grows as t^p after the onset and its
size has a normal prior per coordinate, mixed over sizes; the reference mean is uncertain by its golden frames and
lots; each lot moves the mean by nature, so a change is weighed in the inner product of white noise plus a common part
in each lot, <a, b> = sum a b - sum over lots l / (1 + l m) (sum a)(sum b), l the variance of a lot's mean against the
noise, m its frames (Woodbury).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter
from scipy.special import logsumexp

from sincewhen.profiles.null import StreamNull
from sincewhen_schemas.messages import Shape

SHAPES = ((0.0, 0.7), (0.5, 0.09), (1.0, 0.18), (2.0, 0.03))  # exponent of t, prior weight
SIZES = np.geomspace(0.2, 12.0, 38)  # displacement at the window's end
ROWS_MIN = 2
LOTS_MAX = 256  # the longest ones of a window; shorter ones count as noise
_PRODUCT_MAX = 1e250  # factors are multiplied up to here before the logarithm is taken
_ABRUPT_BELOW, _GRADUAL_ABOVE = 0.1, 0.9

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Onset:
    """Rows are 0-based in the dated window; the change begins with row `since`; [low, high] holds it with 95 %."""

    since: int
    low: int
    high: int
    shape: Shape
    p_ramp: float
    evidence: float  # log marginal likelihood ratio against no change
    displacement: NDArray[np.float32]  # (d,) mean residual from `since` on
    posterior: Floats  # (B,)


def date_onset(
    x: NDArray[np.floating],
    null: StreamNull,
    *,
    change_rows: Sequence[int] = (),
    step_rows: Sequence[int] = (),
    lot_rows: Sequence[int] = (),
) -> Onset:
    """Date the change in residuals x (B, d), oldest first, whose end lies after it. B >= 2.

    change_rows: rows with a recorded change; half of the prior lies on them. step_rows: rows where a context value
    (lot, supplier lot, recipe) begins; they count as recorded changes for an abrupt change only.
    lot_rows: rows where a lot begins.
    """
    rows = len(x)
    if rows < ROWS_MIN:
        msg = f"dating needs at least {ROWS_MIN} frames; got {rows}: wait for more"
        raise ValueError(msg)
    likelihood = _likelihood(np.asarray(x, np.float64), null, _lots(rows, lot_rows))  # (shapes, B)
    joint = np.full((len(SHAPES), rows), -np.inf)
    for index, (power, weight) in enumerate(SHAPES):
        marked = {*change_rows, *step_rows} if power == 0 else set(change_rows)
        joint[index] = likelihood[index] + _log_prior(rows, marked) + math.log(weight)
    evidence = float(logsumexp(joint))
    posterior = np.exp(joint - evidence)
    p_ramp = float(min(1.0, posterior[1:].sum()))
    shape: Shape = "abrupt" if p_ramp < _ABRUPT_BELOW else "gradual" if p_ramp > _GRADUAL_ABOVE else "undecided"
    by_row = posterior.sum(axis=0)
    low, since, high = interval(by_row)
    moved = np.asarray(x[since:], np.float64).mean(axis=0).astype(np.float32)
    return Onset(since, low, high, shape, p_ramp, evidence, moved, by_row)


def interval(posterior: Floats) -> tuple[int, int, int]:
    """Rows of the 2.5 %, 50 % and 97.5 % points of a posterior over rows."""
    cumulative = np.cumsum(posterior) / posterior.sum()
    low, middle, high = (int(np.searchsorted(cumulative, p)) for p in (0.025, 0.5, 0.975))
    return low, middle, min(high, len(posterior) - 1)


def _log_prior(rows: int, marked: set[int]) -> Floats:
    """Flat over rows with at least two frames after them, but half of it on the marked rows."""
    last = rows - ROWS_MIN
    prior = np.full(rows, -np.inf)
    on = sorted(row for row in marked if 0 < row <= last)
    flat = 0.5 if on else 1.0
    prior[: last + 1] = math.log(flat / (last + 1))
    for row in on:
        prior[row] = np.logaddexp(prior[row], math.log(0.5 / len(on)))
    return prior


def _lots(rows: int, lot_rows: Sequence[int]) -> NDArray[np.int64]:
    """First row and the row behind the last of each lot in the window (L, 2)."""
    edges = sorted({0, rows, *(row for row in lot_rows if 0 < row < rows)})
    lots = np.array([edges[:-1], edges[1:]]).T
    sizes = lots[:, 1] - lots[:, 0]
    return lots[np.sort(np.argsort(-sizes, kind="stable")[:LOTS_MAX])]


def _likelihood(x: Floats, null: StreamNull, lots: NDArray[np.int64]) -> Floats:
    """Log likelihood ratio (shapes, B) of an onset at each row, sizes mixed."""
    rows, dims = x.shape
    phi, theta, scale = (v.astype(np.float64) for v in (null.phi, null.theta, null.innovation_scale))
    groups = sorted(set(zip(phi.tolist(), theta.tolist(), strict=True)))
    innovations = np.empty_like(x)
    for slope, moving in groups:
        columns = (phi == slope) & (theta == moving)
        innovations[:, columns] = lfilter([1, -slope], [1, -moving], x[:, columns], axis=0) * scale[columns]
    gain = scale * (1 - phi) / (1 - theta)
    sizes = (lots[:, 1] - lots[:, 0])[:, None]
    common = gain**2 * null.sigma2_lot / (1 + gain**2 * null.sigma2_lot * sizes)  # (L, d)
    by_lot = np.array([innovations[first:last].sum(axis=0) for first, last in lots])  # (L, d)
    reference = null.vt[-1] / null.n_ref + null.sigma2_lot / max(1, null.lots)
    precision = 1 / reference + gain**2 * (rows - (common * sizes**2).sum(axis=0))
    offset = gain * (innovations.sum(axis=0) - (common * sizes * by_lot).sum(axis=0))
    after = np.arange(rows, 0, -1)  # frames from row to the end
    result = np.empty((len(SHAPES), rows))
    for index, (power, _) in enumerate(SHAPES):
        grown = (np.arange(1, rows + 1) / rows) ** power
        q, s = np.empty_like(x), np.empty_like(x)
        for slope, moving in groups:
            columns = (phi == slope) & (theta == moving)
            shape = lfilter([1, -slope], [1, -moving], grown)
            matched = fftconvolve(innovations[:, columns], shape[::-1, None], axes=0)[rows - 1 :] * scale[columns]
            first = np.cumsum(shape)[after - 1][:, None] * scale[columns]
            second = np.cumsum(shape**2)[after - 1][:, None] * scale[columns] ** 2
            if null.lots:
                share = _lot_sums(shape, lots)  # (B, L)
                matched -= share @ (common[:, columns] * by_lot[:, columns]) * scale[columns]
                first -= share @ (common[:, columns] * sizes) * scale[columns]
                second -= share**2 @ common[:, columns] * scale[columns] ** 2
            lean = gain[columns] * first / precision[columns]
            q[:, columns] = matched - lean * offset[columns]
            s[:, columns] = np.maximum(second - lean * gain[columns] * first, 0)
        result[index] = _mix_sizes(q, s, SIZES**2 / dims, 1 / grown[after - 1] ** 2)
    return result


def _lot_sums(shape: Floats, lots: NDArray[np.int64]) -> Floats:
    """Sum over each lot of a shape that begins at each row: (B, L)."""
    rows = len(shape)
    grown = np.concatenate([[0.0], np.cumsum(shape)])
    start = np.arange(rows)[:, None]
    return np.asarray(grown[np.maximum(lots[:, 1] - start, 0)] - grown[np.maximum(lots[:, 0] - start, 0)])


@njit(cache=True)
def _mix_sizes(q, s, sizes2, growth):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    rows, dims = q.shape
    out = np.empty(rows)
    parts = np.empty(len(sizes2))
    for row in range(rows):
        for j in range(len(sizes2)):
            variance = sizes2[j] * growth[row]
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
        out[row] = top + math.log(np.exp(parts - top).mean())
    return out
