"""Which charts show a change: evidence, distance along its direction, and the scalars that moved.

Points are means of neighbouring rows, limits are the profile's: three sigmas of such a mean, or, where lots are known,
how far lots differ by nature (the effect-size gate along one direction).
"""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.charts import LIMIT, subgroup_sigma
from sincewhen.detect.gate import smallest_paging
from sincewhen.processor.backtest import Alarm
from sincewhen.profiles.regime import regime_names, residuals
from sincewhen.profiles.scalar import normal_scores, raw_value
from sincewhen.report.judged import BASELINE, Judged, pauses, surely_changed
from sincewhen.report.words import Unit, effects

SEEN = ("embedding:", "slice:")  # what the model sees: of all rows, of one kind of them
POINTS_MAX, GROUP_MIN = 160, 5
SCALARS_MAX = 3
_NEAR_MIN, _NEAR_SHARE = 60, 0.2  # rows on either side of a close-up, and the most of all rows that it may show
_PEAKS = 800  # of a line of evidence
_LN_Z_MIN = -3.0  # below, evidence against a change says nothing more
_USUAL, _NATURAL = "the usual range of such means", "as far as lots differ by nature"
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Chart:
    """A line over rows x (k,), broken where it is NaN, and the limits (k,) of its points; first row and end shown."""

    title: str
    note: str
    x: Floats
    y: Floats
    low: Floats | None
    high: Floats
    span: tuple[int, int]

    def cut(self, title: str, span: tuple[int, int]) -> "Chart":
        """A part of the rows."""
        kept = (self.x >= span[0]) & (self.x < span[1])
        low = None if self.low is None else self.low[kept]
        return Chart(title, self.note, self.x[kept], self.y[kept], low, self.high[kept], span)


def lead(streams: tuple[str, ...]) -> str:
    """The stream that stands for a change: what the model sees, where that moved."""
    return next((stream for kind in SEEN for stream in streams if stream.startswith(kind)), streams[0])


def evidence(verdict: Judged, stream: str) -> Chart:
    """Ln Z of a stream against its limit; of many rows the highest of some neighbours."""
    assert verdict.scores is not None
    assert verdict.profile is not None
    measured = verdict.judged[verdict.scores.valid[stream]]
    ln_z = verdict.ln_z[stream][measured].astype(np.float64)
    starts = np.arange(0, len(ln_z), max(1, math.ceil(len(ln_z) / _PEAKS)))
    peaks = np.fmax.reduceat(ln_z, starts)
    rows = starts + [int(np.argmax(part == peak)) for part, peak in zip(np.split(ln_z, starts[1:]), peaks, strict=True)]
    run_length = verdict.profile.run_length(stream, verdict.arl0)
    limit = math.log(run_length)
    about = "" if stream.startswith("embedding:") else f" in {spoken(stream)}"
    return Chart(
        title=f"Evidence of a change{about}, ln Z",
        note=f"Dashed: alarm at ln ARL0 = {limit:.1f}, this stream's share: one false alarm in {run_length:,.0f}. "
        "While a change is open, its end and the next change are looked for: no line.",
        x=measured[rows].astype(np.float64),
        y=np.where(np.isnan(peaks), np.nan, np.fmax(peaks, _LN_Z_MIN)),
        low=None,
        high=np.full(len(rows), limit),
        span=(0, len(verdict.states)),
    )


def of_change(alarm: Alarm, verdict: Judged, unit: Unit) -> list[Chart]:
    """How far it moved what the model sees, then the factors, confidence and signals that moved with it."""
    found = [_scalar(verdict, effect.stream, unit) for effect in effects(alarm, verdict)[:SCALARS_MAX]]
    first = lead(alarm.streams)
    if not first.startswith(SEEN):
        return found or [_scalar(verdict, first, unit)]
    whole = _displacement(alarm, verdict, first, unit)
    near = _near(alarm, len(verdict.states))
    if near is None:
        return [whole, *found]
    finer = _displacement(alarm, verdict, first, unit, GROUP_MIN)
    return [whole, finer.cut("The same around its onset", near), *found]


def spoken(stream: str) -> str:
    kind, _, name = stream.partition(":")
    inside = {
        "slice": f"one kind of picture ({name})",
        "t2": "how unusual single rows are (T²)",
        "spe": "what the profile does not know (SPE)",
    }
    return inside.get(kind, (name or kind).replace("_", " "))


def _near(alarm: Alarm, n: int) -> tuple[int, int] | None:
    """The rows around onset and alarm, where they are but a small part of all."""
    around = max(_NEAR_MIN, alarm.first.at - alarm.known.since_low)
    first, stop = max(0, alarm.known.since_low - around), min(n, alarm.first.at + around)
    return (first, stop) if stop - first < _NEAR_SHARE * n else None


def _displacement(alarm: Alarm, verdict: Judged, stream: str, unit: Unit, size: int | None = None) -> Chart:
    """Positions along the mean of what surely changed, in standard deviations of single rows."""
    assert verdict.scores is not None
    assert verdict.profile is not None
    null, valid = verdict.profile.null(stream), verdict.scores.valid[stream]
    positions = verdict.scores.positions[stream].astype(np.float64)
    changed = np.isin(verdict.judged, surely_changed(alarm, verdict)) & valid
    drift = positions[changed].mean(axis=0)
    along = drift / max(float(np.linalg.norm(drift)), 1e-9)
    groups = _groups(verdict, np.where(valid, positions @ along, np.nan), size)
    natural = smallest_paging(along, min(int(changed.sum()), null.n_max), null)
    if not natural:
        band, half = _USUAL, LIMIT * np.sqrt(subgroup_sigma(null, groups.n) ** 2 @ along**2)
    else:
        band, half = _NATURAL, np.full(len(groups.n), natural)
    return groups.chart("What the model sees: distance along this change", band, -half, half, unit)


def _scalar(verdict: Judged, stream: str, unit: Unit) -> Chart:
    """Individuals of means of normal scores, said in the scalar's own unit; for the eye they have no bounds."""
    assert verdict.scores is not None
    assert verdict.profile is not None
    null, fitted = verdict.profile.null(stream), verdict.profile.scalars[stream]
    scores = verdict.scores.positions[stream][:, 0].astype(np.float64)
    if stream in verdict.recording.scalars:
        names = regime_names(verdict.recording.regime, verdict.profile.regimes, len(scores))
        unbounded = normal_scores(fitted.quantiles, verdict.recording.scalars[stream], math.inf)
        scores = residuals(unbounded[:, None], names, fitted.regimes)[:, 0].astype(np.float64)
    groups = _groups(verdict, np.where(verdict.scores.valid[stream], scores, np.nan))
    half = LIMIT * subgroup_sigma(null, groups.n)[:, 0]

    def raw(values: Floats) -> Floats:
        return np.array([raw_value(fitted.quantiles, value + fitted.mean) for value in values])

    name = spoken(stream)
    return replace(groups, mean=raw(groups.mean)).chart(name[0].upper() + name[1:], _USUAL, raw(-half), raw(half), unit)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Means of neighbouring rows that were measured."""

    x: Floats  # (k,) row in the middle
    mean: Floats  # (k,)
    n: NDArray[np.int64]  # (k,)
    cuts: NDArray[np.bool_]  # (k,) a long pause lies before it
    size: int
    rows: int  # of all

    def chart(self, title: str, band: str, low: Floats, high: Floats, unit: Unit) -> Chart:
        at = np.flatnonzero(self.cuts)
        x = np.insert(self.x, at, self.x[at])
        y, low, high = (np.insert(values, at, np.nan) for values in (self.mean, low, high))
        note = f"Each point: mean of about {unit.count(self.size)}. Band: {band}."
        return Chart(title, note, x, y, low, high, (0, self.rows))


def _groups(verdict: Judged, values: Floats, size: int | None = None) -> _Groups:
    """No group reaches over a long pause or the border of the baseline."""
    assert verdict.profile is not None
    size = size or max(GROUP_MIN, math.ceil(len(values) / POINTS_MAX))
    paused = pauses(verdict.recording, verdict.profile)
    calm = verdict.states[verdict.judged] == BASELINE
    edges = np.unique([0, *(np.flatnonzero(np.diff(calm)) + 1), *paused, len(values)]).tolist()
    starts = np.concatenate(
        [np.linspace(a, b, max(1, round((b - a) / size)), endpoint=False) for a, b in itertools.pairwise(edges)]
    ).astype(int)
    seen = np.isfinite(values)
    n = np.add.reduceat(seen, starts, dtype=np.int64)
    mean = np.add.reduceat(np.where(seen, values, 0.0), starts) / np.maximum(n, 1)
    middle = (starts + np.append(starts[1:], len(values)) - 1) // 2
    kept = n > 0
    return _Groups(
        x=verdict.judged[middle][kept].astype(np.float64),
        mean=mean[kept],
        n=n[kept],
        cuts=np.isin(starts, paused)[kept],
        size=size,
        rows=len(verdict.states),
    )
