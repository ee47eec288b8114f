"""Control charts that a quality engineer knows, for the screens: pure functions over subgroups. They never page alone.

Neighbouring frames are alike, so limits from the spread of single frames alarm all day. Here every chart takes the
sigma of each subgroup's mean, which `subgroup_sigma` reads off the profile's variance-time curve; the charts that
accumulate subgroups take `accumulated_sigma`. Source: Montgomery, Introduction to Statistical Quality Control.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import chdtri, fdtri

from sincewhen.profiles.null import StreamNull

LIMIT = 3.0  # sigmas, individuals and moving ranges
EWMA_WEIGHT, EWMA_LIMIT = 0.2, 2.7
CUSUM_ALLOWANCE, CUSUM_LIMIT = 0.5, 5.0
T2_ALPHA = 0.0027  # as beyond 3 sigmas
D2 = 2 / math.sqrt(math.pi)  # 1.128: mean range of two standard normal values

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Chart:
    """One line per subgroup, all (k,): what is plotted, its centre, its limits, and where it lies outside of them."""

    statistic: Floats
    centre: Floats
    lcl: Floats
    ucl: Floats
    out_of_control: NDArray[np.bool_]


def subgroup_sigma(null: StreamNull, n: NDArray[np.int64]) -> Floats:
    """Standard deviation (k, d) of the means of subgroups of n (k,) frames about the profile's mean.

    vt(n) / n within a lot, vt(n_max) beyond n_max, between-lot variance, and the error of the profile's mean.
    """
    within = null.vt[np.minimum(n, null.n_max) - 1] / n[:, None]
    return np.asarray(np.sqrt(within + _shared(null)), np.float64)


def accumulated_sigma(null: StreamNull, n: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """What a subgroup adds where neighbours are summed: sigma (k, d), and the sigma (d,) that all of them share.

    Neighbouring subgroups are alike as well: in a long sum each counts with vt(n_max) / n, as if independent. A lot's
    offset and the error of the profile's mean are the same in all of them and do not average out.
    """
    return np.sqrt(null.vt[-1].astype(np.float64) / n[:, None]), np.sqrt(_shared(null))


def _shared(null: StreamNull) -> Floats:
    return np.asarray(null.sigma2_lot.astype(np.float64) + null.sigma2_shift + null.reference)


def moving_range_sigma(values: Floats) -> float:
    """Sigma of independent values (k,) from their mean moving range / 1.128; 0 for fewer than two."""
    return float(np.abs(np.diff(values)).mean() / D2) if len(values) > 1 else 0.0


def individuals(values: Floats, sigma: Floats, centre: float = 0.0) -> tuple[Chart, Chart]:
    """Individuals chart and moving-range chart of values (k,) with sigma (k,); the first moving range is NaN.

    The range of two values of unlike sigma is a half-normal with sigma² the sum of theirs.
    """
    middle = np.full(len(values), centre)
    spread = np.full(len(values), np.nan)
    ranges = spread.copy()
    ranges[1:], spread[1:] = np.abs(np.diff(values)), np.hypot(sigma[1:], sigma[:-1])
    mean = math.sqrt(2 / math.pi)
    upper = spread * (mean + LIMIT * math.sqrt(1 - mean**2))
    return (
        _chart(values, middle, middle - LIMIT * sigma, middle + LIMIT * sigma),
        _chart(ranges, spread * mean, np.zeros(len(values)), upper),
    )


def ewma(
    values: Floats,
    sigma: Floats,
    centre: float = 0.0,
    *,
    shared: float = 0.0,
    weight: float = EWMA_WEIGHT,
    limit: float = EWMA_LIMIT,
) -> Chart:
    """EWMA of values (k,) with sigma (k,) from the centre on, with the exact limits of each point.

    shared: sigma of an error that is the same in all values. Sources: Roberts 1959; Lucas & Saccucci 1990.
    """
    keep = 1 - weight
    statistic = centre + lfilter([weight], [1, -keep], values - centre)
    own = lfilter([weight**2], [1, -(keep**2)], sigma**2)
    begun = 1 - keep ** np.arange(1, len(values) + 1)
    half = limit * np.sqrt(own + (shared * begun) ** 2)
    middle = np.full(len(values), centre)
    return _chart(statistic, middle, middle - half, middle + half)


def cusum(
    values: Floats,
    sigma: Floats,
    centre: float = 0.0,
    *,
    shared: float = 0.0,
    allowance: float = CUSUM_ALLOWANCE,
    limit: float = CUSUM_LIMIT,
) -> tuple[Chart, Chart]:
    """Tabular CUSUM of values (k,) with sigma (k,): the upper chart, and the lower one as negative numbers, in sigmas.

    shared: sigma of an error that is the same in all values, added to the allowance. Standardising each value keeps
    the run length in control whatever the sizes. Sources: Page 1954; Montgomery, tabular CUSUM.
    """
    z = (values - centre) / sigma
    slack = allowance + shared / sigma
    zero, edge = np.zeros(len(values)), np.full(len(values), limit)
    return (
        _chart(_one_sided(z - slack), zero, zero, edge),
        _chart(-_one_sided(-z - slack), zero, -edge, zero),
    )


def _one_sided(steps: Floats) -> Floats:
    """max(0, C + step) after each step, as the height of the path above its lowest point so far."""
    path = np.cumsum(steps)
    return np.asarray(path - np.minimum.accumulate(np.minimum(path, 0)))


def hotelling_t2(
    values: Floats, sigma: Floats, centre: Floats, *, ucl: float, correlation: Floats | None = None
) -> Chart:
    """T² of means (k, d) with sigma (k, d) about the centre (d,); ucl from `t2_limit` or `t2_limit_f`.

    correlation (d, d) of the coordinates; None: uncorrelated, as whitened residuals are.
    """
    z = (values - centre) / sigma
    whitened = z if correlation is None else np.linalg.solve(correlation, z.T).T
    k = len(values)
    return _chart(np.sum(z * whitened, axis=1), np.full(k, values.shape[1], float), np.zeros(k), np.full(k, ucl))


def t2_limit(dims: int, alpha: float = T2_ALPHA) -> float:
    """Upper limit of T² where mean and covariance are known, or from a large sample."""
    return float(chdtri(dims, alpha))


def t2_limit_f(dims: int, subgroups: int, frames: int = 1, alpha: float = T2_ALPHA) -> float:
    """Exact Phase II limit of T² where mean and covariance come from m subgroups, themselves not judged by it.

    frames: size of each subgroup, with the covariance pooled within them; 1: covariance of the m subgroup means. The
    limit holds the error of the mean already: sigma must not. Source: Lowry & Montgomery 1995.
    """
    m, n = subgroups, frames
    inside = m * (n - 1) if n > 1 else m - 1  # degrees of freedom of the covariance
    rest = inside - dims + 1
    if rest < 1:
        raise ValueError(f"{dims} coordinates need more reference subgroups than {m} of {n} frames: use t2_limit")
    return float((m + 1) / m * dims * inside / rest * fdtri(dims, rest, 1 - alpha))


def laney_p(
    rejects: NDArray[np.int64], n: NDArray[np.int64], centre: float | None = None, sigma_z: float | None = None
) -> Chart:
    """Laney P′ chart of the reject rate of subgroups with rejects (k,) among n (k,) units, each n at least 1.

    centre and sigma_z, the spread between subgroups relative to the binomial one, are those of Phase I; None: of the
    data. Source: Laney 2002.
    """
    rate = rejects / n
    middle = float(rejects.sum() / n.sum()) if centre is None else centre
    binomial = np.sqrt(middle * (1 - middle) / n)
    if sigma_z is None:
        sigma_z = moving_range_sigma((rate - middle) / binomial) if binomial.all() else 0.0
    half = LIMIT * sigma_z * binomial
    return _chart(rate, np.full(len(n), middle), np.maximum(middle - half, 0), np.minimum(middle + half, 1))


def _chart(statistic: Floats, centre: Floats, lcl: Floats, ucl: Floats) -> Chart:
    return Chart(statistic, centre, lcl, ucl, (statistic < lcl) | (statistic > ucl))
