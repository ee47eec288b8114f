"""Variance-time curve, between-lot variance and noise model of whitened residuals (3-detection §2 and §4).

The variance-time curve vt(n) = Var(sum of n consecutive values) / n replaces any model of the autocorrelation
where a detector sums; the white + AR(1) model is used for dating only.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import fdtri

from sincewhen.profiles.null import SUMMED, StreamNull, shared, unusual

LOTS_MIN = 10
LOT_FRAMES = 8  # windows of a lot from which its mean is judged: 8, 16, 32 ... frames
_SHIFTS_MIN = 6  # runs of a shift in the golden frames
_LOTS_IN_PART_MIN = 4  # a part of the golden frames, of which the whole holds LOTS_MIN
_SHARES = (0.05, 0.1, 0.2, 0.35, 0.6, 1.0)
_PHIS = (0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99)
_VT_FLOOR = 0.05
_WINDOWS_MAX = 256  # of one length, that tell how coordinates vary together
_NEW_LOT_P = 1e-4
_NEW_LOT_MARGIN = 2.0

Floats = NDArray[np.float64]


def window_max(frames: int) -> int:
    """Longest window that G golden frames can measure: n_max = 2^floor(log2(G / 20)), at least 1."""
    return 1 << max(0, math.floor(math.log2(max(frames, 20) / 20)))


def variance_time(x: Floats, n_max: int) -> Floats:
    """vt(n) of each column of x (G, d) about its mean, for n = 1..n_max; unbiased for white noise: (n_max, d)."""
    frames = len(x)
    total = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(x - x.mean(axis=0), axis=0)])
    curve = np.empty((n_max, x.shape[1]))
    for n in range(1, n_max + 1):
        sums = total[n:] - total[:-n]
        curve[n - 1] = np.mean(sums**2, axis=0) / (n * (1 - n / frames))
    return curve


@dataclass(frozen=True, slots=True)
class Runs:
    """Which lot and which shift each golden frame belongs to, as numbers (G,); None where nobody says."""

    lots: NDArray[np.int64] | None = None
    shifts: NDArray[np.int64] | None = None

    def of(self, rows: NDArray[np.bool_]) -> "Runs":
        return Runs(None if self.lots is None else self.lots[rows], None if self.shifts is None else self.shifts[rows])


@dataclass(frozen=True, slots=True)
class Before:
    """Residuals (E, d) of golden frames before the ones that a null is fitted on, and their lots (E,)."""

    x: Floats
    lots: NDArray[np.int64]


def stream_null(x: Floats, runs: Runs | None = None, before: Before | None = None) -> StreamNull:
    """The in-control behaviour of residuals x (G, d) in order; `before` tells more of how lots differ."""
    runs = runs or Runs()
    n_max = window_max(len(x))
    total = variance_time(x, n_max)
    sigma2_lot = np.zeros(x.shape[1])
    rows, within, centred, lots, reach = x, total, x - x.mean(axis=0), 0, 1.0 * len(x)
    known = [] if runs.lots is None else [(a, b) for a, b in lot_runs(runs.lots) if b - a >= LOT_FRAMES]
    if runs.lots is not None and len(known) >= _LOTS_IN_PART_MIN:
        for a, b in lot_runs(runs.lots):
            centred[a:b] -= centred[a:b].mean(axis=0)
        lots, reach = len(known), float(np.median([b - a for a, b in known]))
        rows, known = _with(before, x, known)
        sigma2_lot, within = _split_lots(rows, centred, known, runs.lots, total)
    sigma2_shift, shifts = _between_shifts(x, runs.shifts, n_max, sigma2_lot * reach if lots else sigma2_lot)
    phi, theta, scale = _noise_model(centred, n_max, reach)
    floor = _VT_FLOOR * np.maximum(total[0], 1e-6)
    # dividing by an estimated variance inflates the chi-square by 2 / windows, overlapping ones counted 1.5 times
    plug_in = 1 + 2 / 1.5 * np.arange(1, n_max + 1)[:, None] / len(x)
    return StreamNull(
        n_ref=len(x),
        lots=lots,
        vt=(np.maximum(within, floor) * plug_in).astype(np.float32),
        sigma2_lot=sigma2_lot.astype(np.float32),
        sigma2_shift=sigma2_shift.astype(np.float32),
        lot_shared=(shared(_lot_means(rows, known)) if len(known) >= LOTS_MIN else np.zeros((0, 0))).astype(np.float32),
        shifts=shifts,
        lot_score_limit=_lot_score_limit(rows, known, within) if len(known) >= LOTS_MIN else 0.0,
        phi=phi.astype(np.float32),
        theta=theta.astype(np.float32),
        innovation_scale=scale.astype(np.float32),
        together=_together(centred).astype(np.float32),
        inflation=_inflation(centred, runs.lots if lots else None, n_max).astype(np.float32),
    )


def _with(before: Before | None, x: Floats, runs: list[tuple[int, int]]) -> tuple[Floats, list[tuple[int, int]]]:
    """The rows of both, and the lots in them."""
    if before is None:
        return x, runs
    earlier = [(a, b) for a, b in lot_runs(before.lots) if b - a >= LOT_FRAMES]
    first = len(before.x)
    return np.concatenate([before.x, x]), earlier + [(first + a, first + b) for a, b in runs]


def _together(centred: Floats) -> Floats:
    """Correlation (d, d) of sums of SUMMED frames."""
    total = np.concatenate([np.zeros((1, centred.shape[1])), np.cumsum(centred, axis=0)])
    sums = total[SUMMED:] - total[:-SUMMED]
    unit = (sums - sums.mean(axis=0)) / np.maximum(sums.std(axis=0), 1e-9)
    return np.asarray(unit.T @ unit / len(unit))


def _inflation(centred: Floats, lot_codes: NDArray[np.int64] | None, n_max: int) -> Floats:
    """tr(R²) / d of the correlation R of sums of 1, 2, 4 ... n_max frames, without the noise of an estimated R.

    centred (G, d): about its mean, or about each lot's. The mean of (z_a·z_b)² over windows a, b of unit variance that
    lie 2 n_max frames apart and share no lot; less what one common mean adds. Source: Chen, Zhang & Zhong 2010, "Tests
    for high-dimensional covariance matrices".
    """
    frames, dims = centred.shape
    if dims == 1:
        return np.ones(n_max.bit_length())
    total = np.concatenate([np.zeros((1, dims)), np.cumsum(centred, axis=0)])
    lot = None if lot_codes is None else np.cumsum(np.diff(lot_codes, prepend=lot_codes[:1]) != 0)
    found = [1.0]
    for n in 2 ** np.arange(n_max.bit_length()):
        sums = total[n:] - total[:-n]
        sums /= np.maximum(np.sqrt(np.mean(sums**2, axis=0)), 1e-9)
        step = n * max(1, frames // (n * _WINDOWS_MAX))
        squares: list[Floats] = []
        for first in range(0, step, max(1, step // 4)):
            at = np.arange(first, len(sums), step)
            apart = np.abs(at[:, None] - at) >= 2 * n_max
            if lot is not None:
                apart &= (lot[at + n - 1][:, None] < lot[at]) | (lot[at][:, None] > lot[at + n - 1])
            squares.append(((sums[at] @ sums[at].T) ** 2)[apart])
        every = np.concatenate(squares)
        common = 0.0 if lot is not None else dims * (n / frames) ** 2
        found.append(float(every.mean()) / dims - common if every.size else found[-1])
    return np.array(found[1:])


def _between_shifts(x: Floats, codes: NDArray[np.int64] | None, n_max: int, by_lot: Floats) -> tuple[Floats, int]:
    """Variance (d,) of a shift's mean beyond noise and lots, and how many runs of a shift tell; 0 where too few do.

    by_lot: the between-lot variance times a lot's usual frames. Noise is measured within runs, up to a quarter of one.
    """
    runs = [] if codes is None else [(a, b) for a, b in lot_runs(codes) if b - a >= len(x) / (4 * _SHIFTS_MIN)]
    if len(runs) < _SHIFTS_MIN:
        return np.zeros(x.shape[1]), 0
    means = np.array([x[a:b].mean(axis=0) for a, b in runs])
    usual = float(np.median([b - a for a, b in runs]))
    longest = max(1, min(n_max, int(usual) // 4))
    within = np.concatenate([x[a:b] - mean for (a, b), mean in zip(runs, means, strict=True)])
    long_run = variance_time(within, longest)[-1] / (1 - longest / usual)
    noise = (long_run + by_lot) * np.mean([1 / (b - a) for a, b in runs])
    return np.maximum(means.var(axis=0, ddof=1) - noise, 0) * (1 + 2 / (len(runs) - 1)), len(runs)


def lot_runs(lot_codes: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Rows [start, stop) of each run of one lot."""
    cuts = np.flatnonzero(np.diff(lot_codes)) + 1
    edges = np.concatenate([[0], cuts, [len(lot_codes)]])
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def lots_known(lot_codes: NDArray[np.int64]) -> bool:
    """Whether the golden frames hold enough lots to tell how lots differ by nature."""
    runs = lot_runs(lot_codes)
    return sum(stop - start >= LOT_FRAMES for start, stop in runs) >= LOTS_MIN


def _split_lots(
    x: Floats, centred: Floats, runs: list[tuple[int, int]], lot_codes: NDArray[np.int64], total: Floats
) -> tuple[Floats, Floats]:
    """Between-lot variance (d,), and vt within lots so that both together give the golden windows' variance.

    x holds the lots `runs`; centred, lot_codes and total are of the fitted frames, centred about each lot's mean.
    """
    means = np.array([x[a:b].mean(axis=0) for a, b in runs])
    sizes = np.array([b - a for a, b in runs])
    reach = max(1, min(len(total), int(np.median(sizes)) // 4))
    residual = variance_time(centred, len(total))
    noise = residual[reach - 1] / (1 - reach / np.median(sizes))
    sigma2 = np.maximum(means.var(axis=0, ddof=1) - noise * np.mean(1 / sizes), 0)
    plug_in = 1 + 2 / (len(runs) - 1)
    together = _frames_per_lot_squared(lot_codes, len(total))
    return sigma2 * plug_in, np.maximum(total - together[:, None] * sigma2, residual)


def _lot_score_limit(x: Floats, runs: list[tuple[int, int]], vt: Floats) -> float:
    """The score that no window of a lot like the golden ones reaches, each of those held against all others.

    The F quantile of a new lot, over as many directions as the scores' spread tells (Satterthwaite 1946), each with a
    variance that so many lots tell. That is a normal tail: on real pictures twice the greatest golden score is safer.
    """
    means = _lot_means(x, runs)
    sizes = np.array([b - a for a, b in runs])[:, None]
    floor = _VT_FLOOR * vt[0]
    lengths = [LOT_FRAMES << level for level in range(max(1, int(math.log2(len(vt) / LOT_FRAMES)) + 1))]
    scores: dict[int, list[Floats]] = {length: [] for length in lengths}
    for lot, (a, b) in enumerate(runs):
        others = np.delete(means, lot, axis=0)
        spread = np.maximum(others.var(axis=0, ddof=1) - np.mean(vt[-1] / np.delete(sizes, lot, axis=0), axis=0), 0)
        together = shared(others)
        for length, found in scores.items():
            n = min(length, b - a, len(vt))
            windows = x[a : b - (b - a) % n].reshape(-1, n, x.shape[1]).mean(axis=1) - others.mean(axis=0)
            noise = np.maximum(vt[n - 1], floor) / n
            found.append(unusual(windows, spread + noise, together))
    return max(_new_lot(np.concatenate(found), len(runs), x.shape[1]) for found in scores.values())


def _lot_means(x: Floats, runs: list[tuple[int, int]]) -> Floats:
    return np.array([x[a:b].mean(axis=0) for a, b in runs])


def _new_lot(scores: Floats, lots: int, dims: int) -> float:
    mean = float(scores.mean())
    directions = min(max(2 * mean**2 / max(float(scores.var()), 1e-12), 1.0), dims)
    tail = fdtri(directions, directions * (lots - 1), 1 - _NEW_LOT_P)
    return max(_NEW_LOT_MARGIN * float(scores.max()), mean * float(tail))


def _frames_per_lot_squared(lot_codes: NDArray[np.int64], n_max: int) -> Floats:
    """Mean over windows of n frames of sum_lots n_l^2 / n, for n = 1..n_max: pairs of frames that share a run."""
    run = np.cumsum(np.concatenate([[0], np.diff(lot_codes) != 0]))
    share = np.array([np.mean(run[lag:] == run[: len(run) - lag]) for lag in range(n_max)])
    lags = np.arange(n_max)
    return np.array([1 + 2 * np.sum((1 - lags[1:n] / n) * share[1:n]) for n in range(1, n_max + 1)])


def _noise_model(centred: Floats, n_max: int, reach: float) -> tuple[Floats, Floats, Floats]:
    """White + AR(1) noise of each coordinate by the least penalised innovation variance: phi, theta, scale (d,).

    centred (G, d): about its mean, or about the mean of each lot of typically `reach` frames.
    """
    frames, dims = centred.shape
    longest = n_max if reach >= frames else max(1, min(n_max, int(reach) // 4))
    best = frames * np.log(np.maximum(centred.var(axis=0), 1e-12))
    phi, theta = np.zeros(dims), np.zeros(dims)
    for share in _SHARES:
        for slope in _PHIS:
            moving = arma_theta(share, slope)
            noise = lfilter([1.0, -slope], [1.0, -moving], centred, axis=0)
            cost = frames * np.log(np.maximum(noise.var(axis=0), 1e-12)) + 2 * math.log(frames)
            better = cost < best
            best, phi[better], theta[better] = np.where(better, cost, best), slope, moving
    scale = np.empty(dims)
    for slope, moving in sorted(set(zip(phi.tolist(), theta.tolist(), strict=True))):
        columns = (phi == slope) & (theta == moving)
        noise = lfilter([1.0, -slope], [1.0, -moving], centred[:, columns], axis=0)
        spread = np.maximum(noise.std(axis=0), 1e-6)
        long_run = variance_time(noise / spread, longest)[-1] / (1 if reach >= frames else 1 - longest / reach)
        scale[columns] = 1 / (spread * np.sqrt(np.maximum(long_run, _VT_FLOOR)))
    return phi, theta, scale


def arma_theta(share: float, phi: float) -> float:
    """Moving-average coefficient of white noise plus an AR(1) part that holds `share` of the variance."""
    c0 = share * (1 - phi**2) + (1 - share) * (1 + phi**2)
    rho = phi * (1 - share) / c0
    return 0.0 if rho == 0 else (1 - math.sqrt(max(0.0, 1 - 4 * rho**2))) / (2 * rho)
