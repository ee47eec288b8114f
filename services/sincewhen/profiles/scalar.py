"""Normal scores of a scalar: golden ranks become a standard normal, so that heavy tails can't alarm by themselves."""

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtri

POINTS_MAX = 1024
_BEYOND_MAX = 4.0  # how far past the golden extremes a score may go


def fit_quantiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Table (2, m) of distinct values and their normal scores (mid-ranks for ties), from golden values (G,)."""
    ordered = np.sort(values)
    if len(ordered) > POINTS_MAX:
        ordered = np.quantile(ordered, (np.arange(POINTS_MAX) + 0.5) / POINTS_MAX)
    distinct, first, counts = np.unique(ordered, return_index=True, return_counts=True)
    return np.stack([distinct, ndtri((first + counts / 2) / len(ordered))])


def normal_scores(
    table: NDArray[np.float64], values: NDArray[np.float64], beyond_max: float = _BEYOND_MAX
) -> NDArray[np.float64]:
    """Scores (n,) of values (n,). Beyond the table they go on linearly at the golden spread, for so much more."""
    scored = np.empty(len(values))
    _normal_scores(table, np.ascontiguousarray(values, np.float64), beyond_max, scored)
    return scored


def score_about(
    table: NDArray[np.float64],
    values: NDArray[np.float64],
    known: NDArray[np.bool_],
    mean: NDArray[np.float32],
    spread: NDArray[np.float32],
    out: NDArray[np.float32],
    valid: NDArray[np.bool_],
) -> None:
    """Fill out (n,) with scores of values (n,) about a mean, in units of a spread, (n,) or (1,) each.

    A value that is not finite, or not `known` (n,) to be of a condition that can be judged, is not `valid` and is 0.
    """
    _score_about(table, values, known, mean, spread, _BEYOND_MAX, out, valid)


@njit(cache=True)
def _score_about(table, values, known, mean, spread, beyond_max, out, valid):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    scored = np.empty(len(values))
    _normal_scores(table, values, beyond_max, scored)
    for row in range(len(values)):
        about = row if len(mean) > 1 else 0
        valid[row] = known[row] and np.isfinite(values[row])
        out[row] = (scored[row] - mean[about]) / spread[about] if valid[row] else 0


@njit(cache=True)
def _normal_scores(table, values, beyond_max, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    points, scores = table[0], table[1]
    least, most = points[0], points[-1]
    spread = max((most - least) / max(scores[-1] - scores[0], 1e-9), np.finfo(np.float64).tiny)
    for row in range(len(values)):
        value = values[row]
        if least < value < most:
            at = np.searchsorted(points, value, side="right") - 1
            slope = (scores[at + 1] - scores[at]) / (points[at + 1] - points[at])
            out[row] = slope * (value - points[at]) + scores[at]
        elif value >= most:
            out[row] = scores[-1] + min((value - most) / spread, beyond_max)
        elif value <= least:
            out[row] = scores[0] + max((value - least) / spread, -beyond_max)
        else:
            out[row] = np.nan


def raw_value(table: NDArray[np.float64], score: float) -> float:
    """The value that has a score: the opposite way of `normal_scores`."""
    points, scores = table
    spread = (points[-1] - points[0]) / max(float(scores[-1] - scores[0]), 1e-9)
    beyond = max(score - scores[-1], 0.0) + min(score - scores[0], 0.0)
    return float(np.interp(score, scores, points) + beyond * spread)
