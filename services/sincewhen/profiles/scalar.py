"""Normal scores of a scalar: golden ranks become a standard normal, so that heavy tails can't alarm by themselves."""

import numpy as np
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
    points, scores = table
    inside = np.interp(values, points, scores)
    spread = (points[-1] - points[0]) / max(float(scores[-1] - scores[0]), 1e-9)
    excess = np.clip(values - points[-1], 0, None) + np.clip(values - points[0], None, 0)
    scored: NDArray[np.float64] = inside + np.clip(
        excess / max(float(spread), float(np.finfo(float).tiny)), -beyond_max, beyond_max
    )
    return scored


def raw_value(table: NDArray[np.float64], score: float) -> float:
    """The value that has a score: the opposite way of `normal_scores`."""
    points, scores = table
    spread = (points[-1] - points[0]) / max(float(scores[-1] - scores[0]), 1e-9)
    beyond = max(score - scores[-1], 0.0) + min(score - scores[0], 0.0)
    return float(np.interp(score, scores, points) + beyond * spread)
