"""Lines: what is possible where somebody knows what nobody in a plant knows. Each is a path of its statistic.

Known size and direction: CUSUM (Page 1954), optimal for a step (Lorden 1971, Moustakides 1986); of a growing change the
likelihood ratio of its shape, the greatest over onsets. Known size, unknown direction: the likelihood ratio averaged
over the sphere. Known scale: CUSUM of the variance. An onset's oracle knows size, direction, shape and noise.
"""

import math

import numpy as np
from numba import njit
from scipy.signal import lfilter

from benchmarks.cell import Floats
from sincewhen.onset.date import interval


def cusum(y: Floats, size: float) -> Floats:
    """Of the part y (n,) along the change, whose mean goes from 0 to `size`."""
    return np.asarray(_cusum(size * np.asarray(y, np.float64) - size * size / 2))


def scale_cusum(x: Floats, factor: float) -> Floats:
    """Of frames x (n, d) whose standard deviations are multiplied by `factor`."""
    squares = np.sum(np.asarray(x, np.float64) ** 2, axis=1)
    return np.asarray(_cusum(-x.shape[1] * math.log(factor) + squares * (1 - factor**-2) / 2))


@njit(cache=True)
def _cusum(gained):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    out, value = np.empty(len(gained)), 0.0
    for row in range(len(gained)):
        value = max(0.0, value) + gained[row]
        out[row] = value
    return out


@njit(cache=True)
def known_growth(y, growth):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - compiled by numba
    """Greatest log likelihood ratio over onsets up to len(growth) frames ago; growth (w,): the size k frames on."""
    window = len(growth)
    out, ratio = np.empty(len(y)), np.zeros(window)
    for row in range(len(y)):
        ratio[row % window] = 0.0
        best = -np.inf
        for age in range(min(row + 1, window)):
            place = (row - age) % window
            ratio[place] += growth[age] * (y[row] - growth[age] / 2)
            best = max(best, ratio[place])
        out[row] = best
    return out


@njit(cache=True, fastmath=True)
def known_size(x, size, window):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - compiled by numba
    """Greatest log ratio over onsets up to `window` frames ago, averaged over directions of x (n, d).

    The average of exp(size u·S) over the sphere is Γ(v + 1) (2/z)^v I_v(z), v = d/2 - 1, z = size |S|; I_v by its
    uniform expansion (Debye), whose error is below 1/(12 v).
    """
    frames, dims = x.shape
    order = dims / 2 - 1
    flat = math.lgamma(order + 1) - 0.5 * math.log(2 * math.pi * order)
    out, sums, begun = np.empty(frames), np.zeros((window, dims)), np.zeros(window, np.int64)
    for row in range(frames):
        sums[row % window] = 0.0
        begun[row % window] = row
        best = -np.inf
        for place in range(min(row + 1, window)):
            square = 0.0
            for i in range(dims):
                sums[place, i] += x[row, i]
                square += sums[place, i] * sums[place, i]
            s = size * math.sqrt(square) / order
            root = math.sqrt(1 + s * s)
            ln_bessel = order * (root + math.log(s / (1 + root))) - 0.5 * math.log(root)
            ratio = flat + order * math.log(2 / (order * s)) + ln_bessel - (row - begun[place] + 1) * size * size / 2
            best = max(best, ratio)
        out[row] = best
    return out


def oracle_interval(y: Floats, growth: Floats, phi: float) -> tuple[int, int, int]:
    """Onset (2.5 %, 50 %, 97.5 % row) in the part y (n,) along the change; growth (>= n,): its size k frames on.

    Noise of unit variance with lag-1 correlation phi, in its steady state.
    """
    spread = math.sqrt(1 - phi**2)
    noise = np.diff(y, prepend=0.0) if phi == 1 else lfilter([1, -phi], [1], y) / spread
    noise[0] = y[0]
    shape = lfilter([1, -phi], [1], growth[: len(y)]) / spread
    energy = np.cumsum(shape**2)
    ratio = np.array([shape[: len(y) - row] @ noise[row:] for row in range(len(y))]) - energy[::-1] / 2
    first = np.concatenate([growth[:1], shape[1:]])  # an onset at the first row has no row before it
    ratio[0] = first[: len(y)] @ noise - first[: len(y)] @ first[: len(y)] / 2
    return interval(np.exp(ratio - ratio.max()))


def step_estimate(x: Floats) -> int:
    """The row (of x (n, d), unit variance) from which a step of any direction fits best: what FOCuS's curves give."""
    after = np.cumsum(x[::-1], axis=0)[::-1]
    fit = np.sum(after**2, axis=1) / np.arange(len(x), 0, -1) - x.shape[1]
    return int(np.argmax(fit))
