"""What can be looked at: typical pictures, and the streams that moved over the whole archive."""

import base64
import io
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sincewhen.processor.backtest import Alarm
from sincewhen.scan.archive import READ_ERRORS, Picture
from sincewhen.scan.features import opened
from sincewhen.scan.judge import BASELINE, IN_CONTROL, NOT_JUDGED, OUT, Verdict, surely_changed
from sincewhen.scan.words import Effect

JPEG_BYTES_MAX = 30_000
CELLS = 400  # of the time line
WIDTH, HEIGHT = 1000, 120  # of a chart, stretched to the page
_SIDES, _QUALITIES = (320, 240, 160, 96), (85, 70, 55, 40)
_POINTS_MAX, _GROUP_MIN = 160, 5
_LIMITS = 3.0  # standard deviations of subgroup means, as in a control chart
_MARGIN = 0.08
_FACTORS_SHOWN = 2
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Chart:
    """Subgroup means of one stream on a canvas of WIDTH x HEIGHT, whose x is the picture's number."""

    title: str
    line: str  # points of a polyline
    stems: list[tuple[float, float, float]]  # x, from y, to y: what lies outside the usual range
    band: tuple[float, float]  # y of the upper limit, height
    usual: tuple[float, float]  # the limits in the stream's unit
    unitless: bool


def jpeg_uri(picture: Picture) -> str | None:
    """A data URI of at most JPEG_BYTES_MAX, or None where the file can't be read any more."""
    try:
        image = opened(picture)
    except READ_ERRORS:
        return None
    for side in _SIDES:
        small = image.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        for quality in _QUALITIES:
            data = io.BytesIO()
            small.save(data, "JPEG", quality=quality)
            coded = base64.b64encode(data.getvalue()).decode()
            if len(coded) <= JPEG_BYTES_MAX:
                return f"data:image/jpeg;base64,{coded}"
    return None


def typical(verdict: Verdict, numbers: NDArray[np.int64], count: int) -> list[int]:
    """Pictures nearest to the median of these in the whitened space, in order."""
    assert verdict.scores is not None
    rows = np.flatnonzero(np.isin(verdict.judged, numbers))
    spaces = [v[rows] for name, v in verdict.scores.positions.items() if name.startswith("embedding:")]
    spaces = spaces or [v[rows] for v in verdict.scores.positions.values()]
    space = np.concatenate(spaces, axis=1)
    distance = np.linalg.norm(space - np.median(space, axis=0), axis=1)
    return sorted(int(verdict.judged[row]) for row in rows[np.argsort(distance, kind="stable")[:count]])


def strip(verdict: Verdict) -> list[tuple[str, float, float]]:
    """(state, left, width) in per cent over all pictures; in a cell the gravest state counts."""
    n = len(verdict.states)
    edges = np.unique(np.linspace(0, n, min(n, CELLS) + 1).astype(int))
    gravest = (OUT, BASELINE, NOT_JUDGED, IN_CONTROL)
    cells = [
        next(state for state in gravest if (verdict.states[a:b] == state).any()) for a, b in itertools.pairwise(edges)
    ]
    found: list[tuple[str, float, float]] = []
    start = 0
    for cell in range(1, len(cells) + 1):
        if cell == len(cells) or cells[cell] != cells[start]:
            left, right = 100 * edges[start] / n, 100 * edges[cell] / n
            found.append((cells[start], round(float(left), 3), round(float(right - left), 3)))
            start = cell
    return found


def charts(alarm: Alarm, verdict: Verdict, moved: list[Effect]) -> list[Chart]:
    """The factors that moved most, and how far what the model sees is from the baseline's."""
    found = [
        _chart(verdict, verdict.recording.scalars[f"factor:{effect.name}"], effect.name.replace("_", " "))
        for effect in moved[:_FACTORS_SHOWN]
    ]
    assert verdict.scores is not None
    layers = [stream for stream in alarm.streams if stream.startswith("embedding:")]
    if layers:
        positions = verdict.scores.positions[layers[0]].astype(np.float64)
        positions[~verdict.scores.valid[layers[0]]] = np.nan
        drift = np.nanmean(positions[np.isin(verdict.judged, surely_changed(alarm, verdict))], axis=0)
        along = positions @ (drift / max(float(np.linalg.norm(drift)), 1e-9))
        found.append(_chart(verdict, along, "distance from the usual look, as the model sees it", unitless=True))
    others = [stream for stream in alarm.streams if stream in verdict.scores.positions]
    if not found and others:
        values = verdict.scores.positions[others[0]][:, 0].astype(np.float64)
        found.append(_chart(verdict, values, "how unusual single pictures are", unitless=True))
    return found


def _chart(verdict: Verdict, values: Floats, title: str, *, unitless: bool = False) -> Chart:
    size = max(_GROUP_MIN, math.ceil(len(values) / _POINTS_MAX))
    starts = np.arange(0, len(values), size)
    seen = np.isfinite(values)
    counts = np.maximum(np.add.reduceat(seen, starts), 1)
    means = np.add.reduceat(np.where(seen, values, 0.0), starts) / counts
    at = np.add.reduceat(verdict.judged.astype(np.float64), starts) / np.diff(np.append(starts, len(values)))
    kept = np.add.reduceat(seen, starts) > 0
    means, at = means[kept], at[kept]
    states = verdict.states[verdict.judged]
    calm = np.logical_and.reduceat(states == BASELINE, starts)[kept]
    usual = means[calm] if calm.any() else means
    low, high = (float(usual.mean() + sign * _LIMITS * usual.std()) for sign in (-1, 1))
    bottom, top = min(low, float(means.min())), max(high, float(means.max()))
    margin = _MARGIN * max(top - bottom, 1e-12)
    bottom, top = bottom - margin, top + margin

    def y(value: float) -> float:
        return round(HEIGHT * (top - value) / (top - bottom), 1)

    x = np.round(WIDTH * (at + 0.5) / len(verdict.states), 1)
    points = [(float(a), float(b)) for a, b in zip(x, means, strict=True)]
    return Chart(
        title=title,
        line=" ".join(f"{a},{y(b)}" for a, b in points),
        stems=[(a, y(high if b > high else low), y(b)) for a, b in points if not low <= b <= high],
        band=(y(high), round(y(low) - y(high), 1)),
        usual=(low, high),
        unitless=unitless,
    )
