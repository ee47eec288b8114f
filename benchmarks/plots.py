"""Plots of the report: delays at equal realised ARL, run lengths, coverage. Each is left out where nothing is known."""

import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.book import Book, mean_of, pooled, total
from benchmarks.spread import Spread, run_length, share
from benchmarks.streams import KINDS
from benchmarks.subjects.onset import CHANGES
from benchmarks.tables.detection import ARL0, SIZES, limit_of, of
from benchmarks.work import Found

_METHODS = {
    "line": "line: direction known", "line of size": "line: only size known", "blind": "blind", "library": "library",
    "library + scale": "library + scale", "mewma": "MEWMA bank", "ocd": "ocd",
}  # fmt: skip
_STATUSES = {"confirmed": "50 frames after the alarm", "refined": "200"}
_LEVELS = {"stream": "one stream", "product": "whole product", "mewma": "MEWMA bank"}


def draw(book: Book, out: Path) -> list[str]:
    """The names of those that were written."""
    mpl.use("Agg")
    drawn = []
    for name, plot in (("delay", _delay), ("run_length", _run_length), ("coverage", _coverage)):
        figure = plot(book)
        if figure is not None:
            figure.savefig(out / f"{name}.png", dpi=110, bbox_inches="tight")
            drawn.append(name)
    return drawn


def _delay(book: Book) -> Figure | None:
    if not book.of("delay"):
        return None
    figure = Figure(figsize=(11, 3.6))
    axes = figure.subplots(1, 3, sharey=True)
    for place, change in zip(axes, ("off", "in", "sparse"), strict=True):
        for method, label in _METHODS.items():
            points = {size: _at_equal(book, change, size, method) for size in SIZES}
            known = {size: spread for size, spread in points.items() if not math.isnan(spread.value)}
            if known:
                _dots(place, list(known), list(known.values()), label, line=True)
        place.set(
            title=f"{change} the library" if change != "sparse" else "sparse", xlabel="displacement", yscale="log"
        )
        place.legend(fontsize=7)
    axes[0].set_ylabel("mean delay at realised ARL 10⁴, frames")
    return figure


def _at_equal(book: Book, change: str, size: float, method: str) -> Spread:
    shown = "off" if change == "in" and method.startswith("line") else change
    limit = limit_of(book, method, shown, size)
    if math.isnan(limit):
        return Spread(math.nan, math.nan, math.nan)
    return mean_of(of(book, "delay", shown, size, method, limit).parts)


def _run_length(book: Book) -> Figure | None:
    if not book.of("arl"):
        return None
    figure = Figure(figsize=(8, 3.6))
    axes = figure.subplots()
    for shift, (level, label) in enumerate(_LEVELS.items()):
        places, spreads = [], []
        for place, kind in enumerate(KINDS):
            found = book.of("arl", level=level, kind=kind)
            if found and total(found, "frames"):
                places.append(place + 0.2 * (shift - 1))
                spreads.append(run_length(total(found, "alarms"), total(found, "frames"), ARL0))
        _dots(axes, places, spreads, label, line=False)
    axes.axhline(0.5, color="grey", lw=0.8)
    axes.set(yscale="log", ylabel="realised / target ARL0; above the line is met")
    axes.set_xticks(range(len(KINDS)), KINDS)
    axes.legend(fontsize=7)
    return figure


def _coverage(book: Book) -> Figure | None:
    known = [change for change in CHANGES if _dated(book, "stream", *change)]
    if not known:
        return None
    figure = Figure(figsize=(9, 3.6))
    axes = figure.subplots()
    drawn = [(level, status) for level in ("stream", "product") for status in _STATUSES]
    for shift, (level, status) in enumerate(drawn):
        spreads = []
        for change in known:
            covered = pooled(_dated(book, level, *change), f"{status} covered")
            spreads.append(share(float(covered.sum()), len(covered)))
        label = f"{_LEVELS[level]}, {_STATUSES[status]}"
        _dots(axes, [place + 0.15 * (shift - 1.5) for place in range(len(known))], spreads, label, line=False)
    axes.axhline(0.95, color="grey", lw=0.8)
    axes.set(ylabel="coverage of the 95 % interval", ylim=(0.5, 1.01))
    axes.set_xticks(range(len(known)), [f"{shape}\n{size:g}\n{kind}" for kind, shape, size in known], fontsize=7)
    axes.legend(fontsize=7)
    return figure


def _dated(book: Book, level: str, kind: str, shape: str, size: float) -> list[Found]:
    return book.of("onset", level=level, kind=kind, shape=shape, size=size)


def _dots(axes: Axes, x: list[float], spreads: list[Spread], label: str, *, line: bool) -> None:
    """Values with their intervals; an infinite one is drawn at its low end, as an arrow up."""
    values = np.array([s.value if math.isfinite(s.value) else s.low for s in spreads])
    low = values - np.array([s.low for s in spreads])
    high = np.array([s.high if math.isfinite(s.high) else v for s, v in zip(spreads, values, strict=True)]) - values
    drawn = axes.errorbar(
        x, values, [np.maximum(low, 0), np.maximum(high, 0)], fmt="o-" if line else "o", ms=4, label=label
    )
    open_up = [(at, s.low) for at, s in zip(x, spreads, strict=True) if math.isinf(s.value)]
    if open_up:
        axes.plot(*zip(*open_up, strict=True), "^", color=drawn[0].get_color())
