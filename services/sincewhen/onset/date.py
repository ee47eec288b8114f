"""Since when: the posterior of the onset of a change, in closed form, with a 95 % interval (3-detection §4).

Noise of each coordinate is white + AR(1), filtered to innovations; the change grows by one of `shapes.py` and its
size has a normal prior per coordinate, mixed over sizes; the reference mean is uncertain by its golden frames and
lots; each lot moves the mean by nature, so a change is weighed in the inner product of white noise plus a common part
in each lot, <a, b> = sum a b - sum over lots l / (1 + l m) (sum a)(sum b), l the variance of a lot's mean against the
noise, m its frames (Woodbury).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter
from scipy.special import logsumexp, ndtr

from sincewhen.onset.coarse import SIZES, blocks_likelihood, mix_sizes
from sincewhen.onset.history import Blocks
from sincewhen.onset.shapes import SHAPES, Growth
from sincewhen.profiles.null import SUMMED, StreamNull
from sincewhen_schemas.messages import Shape

ROWS_MIN = 2
QUANTILES = (0.025, 0.5, 0.975)
LOTS_MAX = 256  # the longest ones of a window; shorter ones count as noise
_ABRUPT_BELOW, _GRADUAL_ABOVE = 0.1, 0.9
_NOTICED_SPREAD, _NOTICED_MIN = 0.25, 0.01  # of a challenge part: how sharp its limit is, how often it passes anyway
_MISFIT_BLOCKS_MIN, _MISFIT_PRIOR = 4, 4  # blocks, and blocks that count as no misfit
_UNLIKE = 0.2  # of its size, by which a growth may differ from the nearest known shape
_CONTRADICTED_BELOW = 0.01  # posterior after a reset

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Known:
    """What else is known of the time of the change; positions are rows of the dated window, negative ones before it.

    changes: recorded changes; half of the prior lies on them. steps: rows where a context value (lot, supplier lot,
    recipe) begins; they count as recorded changes for an abrupt change only. lots: rows where a lot begins. resets:
    the change began at or after the newest of these, where what it could not outlive was done (a cleaning, a new lens).
    passed: challenge parts that passed, and the displacement that such a part notices. latest: the alarm, which came
    after the change. gaps: rows that do not follow the one before as closely as others do, and how many times as late
    they come (inf: the one before tells nothing of them).
    """

    changes: Sequence[int] = ()
    steps: Sequence[int] = ()
    lots: Sequence[int] = ()
    resets: Sequence[int] = ()
    passed: Sequence[tuple[int, float]] = ()
    latest: int | None = None
    gaps: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Onset:
    """Positions as in `Known`; the change begins at `since`; [low, high] holds it with 95 %."""

    since: int
    low: int
    high: int
    shape: Shape
    p_ramp: float
    evidence: float  # log marginal likelihood ratio against no change
    contradicted: bool  # the change was there before the newest reset, which so did not end it


def date_onset(
    x: NDArray[np.floating], null: StreamNull, known: Known | None = None, old: Blocks | None = None
) -> Onset:
    """Date the change in residuals x (B, d), oldest first, whose end lies after it. B >= 2. old: what was before."""
    rows, known = len(x), known or Known()
    if rows < ROWS_MIN:
        msg = f"dating needs at least {ROWS_MIN} frames; got {rows}: wait for more"
        raise ValueError(msg)
    values = np.asarray(x, np.float64)
    fine, size = _likelihood(values, null, _lots(rows, known.lots), known.gaps)  # (shapes, B)
    starts, widths = np.arange(rows, dtype=np.float64), np.ones(rows)
    if old is not None and len(old.frames):
        coarse, coarse_size = blocks_likelihood(
            values, old, null, len(known.lots)
        )  # (shapes, M), at each block's begin
        coarse += (fine[:, 0] - coarse[:, -1])[:, None]
        fine, size = np.hstack([coarse[:, :-1], fine]), np.hstack([coarse_size[:, :-1], size])
        starts = np.concatenate([-np.cumsum(old.frames[::-1])[::-1], starts])
        widths = np.concatenate([old.frames, widths])
    prior = _log_priors(starts, widths, size, known, rows)
    index, at = np.unravel_index(int(np.argmax(fine + prior)), fine.shape)
    growth = SHAPES[int(index)]
    misfit = _misfit(values, null, max(0, int(starts[at])), growth)
    if not growth.abrupt:
        misfit *= 1 + (_UNLIKE * float(size[index, at])) ** 2
    joint = fine / misfit + prior
    joint, contradicted = _reset(joint, starts, known.resets)
    evidence = float(logsumexp(joint))
    posterior = np.exp(joint - evidence)
    p_ramp = float(min(1.0, posterior[1:].sum()))
    low, since, high = _quantiles(posterior.sum(axis=0), starts, widths)
    return Onset(since, low, high, shape_of(p_ramp), p_ramp, evidence, contradicted)


def shape_of(p_ramp: float) -> Shape:
    """What a lasting change is called, by the probability that it was no step."""
    return "abrupt" if p_ramp < _ABRUPT_BELOW else "gradual" if p_ramp > _GRADUAL_ABOVE else "undecided"


def interval(posterior: Floats) -> tuple[int, int, int]:
    """Rows of the 2.5 %, 50 % and 97.5 % points of a posterior over rows."""
    cumulative = np.cumsum(posterior) / posterior.sum()
    low, middle, high = (int(np.searchsorted(cumulative, p)) for p in QUANTILES)
    return low, middle, min(high, len(posterior) - 1)


def _quantiles(posterior: Floats, starts: Floats, widths: Floats) -> tuple[int, int, int]:
    """The same over stretches of several frames, flat within each."""
    cumulative = np.cumsum(posterior) / posterior.sum()
    found = []
    for share in QUANTILES:
        at = min(int(np.searchsorted(cumulative, share)), len(posterior) - 1)
        before = cumulative[at - 1] if at else 0.0
        into = (share - before) / max(cumulative[at] - before, 1e-300)
        found.append(int(starts[at] + min(max(into, 0.0), 1.0) * (widths[at] - 1)))
    return found[0], found[1], found[2]


def _log_priors(starts: Floats, widths: Floats, size: Floats, known: Known, rows: int) -> Floats:
    """Of each shape and start (shapes, M), with what challenge parts say."""
    prior = np.empty_like(size)
    last = rows - ROWS_MIN if known.latest is None else min(rows - ROWS_MIN, known.latest)
    for index, growth in enumerate(SHAPES):
        marked = {*known.changes, *known.steps} if growth.abrupt else set(known.changes)
        prior[index] = _log_prior(starts, widths, marked, rows, last) + math.log(growth.weight)
        for at, limit in known.passed:
            prior[index] += _unnoticed(starts, size[index], growth, at, limit, rows)
    return prior


def _misfit(x: Floats, null: StreamNull, since: int, growth: Growth) -> float:
    """By how much the frames scatter more along the change than independent coordinates in control would; >= 1.

    The golden frames say how coordinates vary together. After the change it is more, about the fitted shape: a change
    is seldom a pure shift of the mean, parts differ more, or the growth is of no known shape. Evidence counts that much
    less.
    """
    after = x[since:]
    count = len(after) // SUMMED
    grown = growth.at(np.arange(1.0, len(after) + 1))
    grown /= grown[-1]
    mean = grown @ after / (grown @ grown)
    weight = mean / (null.vt[-1] + null.sigma2_lot)
    usual = null.spread(weight)
    if count < _MISFIT_BLOCKS_MIN:
        return max(1.0, usual)
    left = ((after - grown[:, None] * mean) @ weight)[: count * SUMMED].reshape(count, SUMMED).sum(axis=1)
    noise = usual * null.vt[min(SUMMED, null.n_max) - 1] + SUMMED * null.sigma2_lot
    ratio = float(np.mean(left**2)) / max(float(weight**2 @ noise) * SUMMED, 1e-12)
    return max(1.0, usual) * max(1.0, (count * ratio + _MISFIT_PRIOR) / (count + _MISFIT_PRIOR))


def _log_prior(starts: Floats, widths: Floats, marked: set[int], rows: int, last: int) -> Floats:
    """Flat over rows up to the last possible one, beyond the window falling with age; half of it on marks."""
    density = np.where(starts <= last, widths * rows / np.maximum(rows - starts, rows), 0.0)
    mass = density / density.sum()
    on = [int(np.searchsorted(starts, mark, side="right")) - 1 for mark in marked if starts[0] < mark <= last]
    if on:
        mass *= 0.5
        np.add.at(mass, on, 0.5 / len(on))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(mass))


def _unnoticed(starts: Floats, size: Floats, growth: Growth, at: int, limit: float, rows: int) -> Floats:
    """Log probability that a challenge part passes at a position, for a change that began at each start."""
    grown = growth.at(np.maximum(at - starts, 0)) / growth.at(np.maximum(rows - starts, 1))
    there = np.where(at > starts, size * grown, 0.0)
    noticed = ndtr((there - limit) / (_NOTICED_SPREAD * limit))
    return np.asarray(np.log(np.maximum(1 - noticed, _NOTICED_MIN)))


def _reset(joint: Floats, starts: Floats, resets: Sequence[int]) -> tuple[Floats, bool]:
    """Rule out what began before the newest reset, unless the data say that it did."""
    if not resets:
        return joint, False
    before = starts < max(resets)
    if before.all() or logsumexp(joint[:, ~before]) - logsumexp(joint) < math.log(_CONTRADICTED_BELOW):
        return joint, True
    return np.asarray(np.where(before, -np.inf, joint)), False


def _lots(rows: int, lot_rows: Sequence[int]) -> NDArray[np.int64]:
    """First row and the row behind the last of each lot in the window (L, 2)."""
    edges = sorted({0, rows, *(row for row in lot_rows if 0 < row < rows)})
    lots = np.array([edges[:-1], edges[1:]]).T
    sizes = lots[:, 1] - lots[:, 0]
    return lots[np.sort(np.argsort(-sizes, kind="stable")[:LOTS_MAX])]


def _innovations(x: Floats, null: StreamNull, gaps: Mapping[int, float]) -> Floats:
    """What each row has that the rows before do not tell, in units of its spread (B, d).

    Across a gap of g frames a prediction is φ^(g-1) of what it was, and the innovation's variance grows from 1 to that
    of a row by itself, r, as 1 + (r - 1)(1 - φ^(2g-2)): Kalman's filter of white plus AR(1) noise with its steady gain.
    """
    phi, theta, scale = (v.astype(np.float64) for v in (null.phi, null.theta, null.innovation_scale))
    alone = (1 + theta**2 - 2 * phi * theta) / (1 - phi**2)
    found, start = np.empty_like(x), 0
    carried = np.zeros(x.shape[1])  # into the first row of a stretch
    for stop in [*sorted(gaps), len(x)]:
        for slope, moving, columns in null.noise_groups():
            part, _ = lfilter([1, -slope], [1, -moving], x[start:stop, columns], axis=0, zi=carried[None, columns])
            found[start:stop, columns] = part
        late = gaps.get(stop, math.inf) - 1
        carried = -(phi**late) * (phi * x[stop - 1] - theta * found[stop - 1])
        start = stop
    found[0] /= np.sqrt(alone)
    for row, frames in gaps.items():
        found[row] /= np.sqrt(1 + (alone - 1) * (1 - phi ** (2 * (frames - 1))))
    return found * scale


def _likelihood(
    x: Floats, null: StreamNull, lots: NDArray[np.int64], gaps: Mapping[int, float]
) -> tuple[Floats, Floats]:
    """Log likelihood ratio (shapes, B) of an onset at each row, sizes mixed, and the mean size at the window's end."""
    rows = len(x)
    phi, theta, scale = (v.astype(np.float64) for v in (null.phi, null.theta, null.innovation_scale))
    groups = null.noise_groups()
    innovations = _innovations(x, null, gaps)
    gain = scale * (1 - phi) / (1 - theta)
    sizes = (lots[:, 1] - lots[:, 0])[:, None]
    common = gain**2 * null.sigma2_lot / (1 + gain**2 * null.sigma2_lot * sizes)  # (L, d)
    by_lot = np.array([innovations[first:last].sum(axis=0) for first, last in lots])  # (L, d)
    precision = 1 / null.reference + gain**2 * (rows - (common * sizes**2).sum(axis=0))
    offset = gain * (innovations.sum(axis=0) - (common * sizes * by_lot).sum(axis=0))
    after = np.arange(rows, 0, -1)  # frames from row to the end
    result, size = np.empty((len(SHAPES), rows)), np.empty((len(SHAPES), rows))
    for index, growth in enumerate(SHAPES):
        grown = growth.at(np.arange(1.0, rows + 1))
        grown /= grown[-1]
        q, s = np.empty_like(x), np.empty_like(x)
        for slope, moving, columns in groups:
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
        result[index], size[index] = mix_sizes(q, s, SIZES, 1 / grown[after - 1] ** 2)
    return result, size


def _lot_sums(shape: Floats, lots: NDArray[np.int64]) -> Floats:
    """Sum over each lot of a shape that begins at each row: (B, L)."""
    rows = len(shape)
    grown = np.concatenate([[0.0], np.cumsum(shape)])
    start = np.arange(rows)[:, None]
    return np.asarray(grown[np.maximum(lots[:, 1] - start, 0)] - grown[np.maximum(lots[:, 0] - start, 0)])
