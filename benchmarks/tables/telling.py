"""Rows of what is said of a change: since when, until when, its name."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from benchmarks import held_out
from benchmarks.book import (
    NONE,
    Book,
    Row,
    at_least,
    at_most,
    exact,
    number,
    of_mean,
    of_median,
    parts,
    percent,
    pooled,
    row,
    total,
)
from benchmarks.cell import Cell
from benchmarks.spread import bootstrap, rate, share
from benchmarks.subjects.onset import BESIDE, CHANGES, RAMP_FRAMES
from benchmarks.subjects.story import STRENGTHS
from benchmarks.work import Found

_COVERAGE, _WIDTH_OF_STEPS, _WIDTH_OF_RAMPS = 0.93, 1.6, 6.0
_RAMP_ERROR = 0.1 * RAMP_FRAMES
_STEP_ERRORS = {("ar 0", 1.0): 2.0, ("ar 0", 2.0): 0.0, ("ar 0", 3.0): 0.0, ("ar .9", 3.0): 0.0}
_PRECISION, _NAMED = 0.95, 0.8
_FALSE_ENDS = 0.1
_COVERED = {"covered +50": "confirmed covered", "covered +200": "refined covered"}
_MEDIANS = {
    "error +50": "confirmed error",
    "error +200": "refined error",
    "P(ramp) +50": "confirmed ramp",
    "width +50": "confirmed width",
    "width +200": "refined width",
    "oracle +200": "refined oracle",
}
LEVELS = {"stream": "", "product": "the whole product, "}
STATUSES = {"confirmed": "+50", "refined": "+200"}


def rows(book: Book) -> Iterator[Row]:
    for level, (kind, shape, size) in itertools.product(LEVELS, CHANGES):
        found = book.of("onset", level=level, kind=kind, shape=shape, size=size)
        if found:
            what = f"{LEVELS[level]}{shape} of {size:g}, {kind}"
            limit = _STEP_ERRORS.get((kind, size), math.nan) if shape == "step" else _RAMP_ERROR
            for status in STATUSES:
                yield _error(found, what, status, limit)
                yield _coverage(found, what, status, judged=shape != "square")
            yield _width(found, what, _WIDTH_OF_STEPS if shape == "step" else _WIDTH_OF_RAMPS)
    for name, found in _real(book).items():
        for status in STATUSES:
            yield _error(found, name, status, _RAMP_ERROR if "ramps" in name else 2.0)
            yield _coverage(found, name, status, judged=True)
    yield from _ends(book)
    yield from _names(book)


def _real(book: Book) -> dict[str, list[Found]]:
    whole = book.of("story", library="whole")
    steps, ramps = [f for f in whole if not f.cell.get("ramp", int)], [f for f in whole if f.cell.get("ramp", int)]
    return {name: found for name, found in (("real faults", steps), ("real ramps", ramps)) if found}


def _error(found: list[Found], what: str, status: str, limit: float) -> Row:
    """The peer is the best fitting step of any direction."""
    spread, glr = of_median(found, f"{status} error"), of_median(found, f"{status} glr").value
    quantity = f"onset, {what}: median error at {STATUSES[status]} (frames)"
    runs = len(pooled(found, f"{status} error"))
    target, met = ("", NONE) if math.isnan(limit) else (f"≤ {limit:g}", at_most(spread, limit))
    return row(quantity, spread, runs, target, met, peer="" if math.isnan(glr) else glr)


def _coverage(found: list[Found], what: str, status: str, *, judged: bool) -> Row:
    covered = pooled(found, f"{status} covered")
    spread = share(float(covered.sum()), len(covered))
    quantity = f"onset, {what}: coverage of the 95 % interval at {STATUSES[status]}"
    target, met = (f"≥ {_COVERAGE:.0%}", at_least(spread, _COVERAGE)) if judged else ("reported apart", NONE)
    return row(quantity, spread, len(covered), target, met, peer="95 %", show=percent)


def _width(found: list[Found], what: str, most: float) -> Row:
    """The mean width over the oracle's, at +200."""
    pairs = [
        np.stack([item.figures["refined width"], item.figures["refined oracle"]], axis=1)
        for item in found
        if item.figures["refined width"]
    ]
    spread = bootstrap(pairs, lambda rows: float(rows[:, 0].mean() / rows[:, 1].mean()))
    oracle = of_mean(found, "refined oracle").value
    quantity = f"onset, {what}: mean width of the interval at +200, as a multiple of the oracle's"
    told = f"1 = {number(oracle)} frames"
    return row(quantity, spread, sum(map(len, pairs)), f"≤ {most:g}", at_most(spread, most), peer=told)


def _ends(book: Book) -> Iterator[Row]:
    seen = sorted({(c.get("kind", str), c.get("size", float)) for f in book.of("end") for c in (f.cell,)})
    for kind, size in seen:
        goals = (112.0, 4.0, 39.0) if (kind, size) == ("ar .9", 2.0) else (math.nan, math.nan, math.nan)
        found = book.of("end", kind=kind, size=size)
        yield from _end(found, f"step of {size:g}, {kind}", ("delay", "error"), goals)
        yield from _lost(found, f"step of {size:g}, {kind}", ("missed", "false"), judged=size > 1)
    real = book.of("story", ramp=0, library="whole")
    if real:
        yield from _end(real, "real faults", ("end delay", "end error"), (39.0, 0.0, 27.0))
        yield from _lost(real, "real faults", ("end missed", "false ends"), judged=True)


def _end(found: list[Found], what: str, names: tuple[str, str], goals: tuple[float, float, float]) -> Iterator[Row]:
    delay, error = names
    high = bootstrap(parts(found, error), lambda values: float(np.quantile(values, 0.9)))
    figures = (
        ("mean delay", of_mean(found, delay), goals[0]),
        ("median error", of_median(found, error), goals[1]),
        ("90 % of errors within", high, goals[2]),
    )
    for name, spread, goal in figures:
        target, met = ("", NONE) if math.isnan(goal) else (f"≤ {goal:g}", at_most(spread, goal))
        yield row(f"end, {what}: {name} (frames)", spread, len(pooled(found, error)), target, met)


def _lost(found: list[Found], what: str, names: tuple[str, str], *, judged: bool) -> Iterator[Row]:
    """Ends that were not seen, and that were none."""
    missed, false = names
    lost = pooled(found, missed)
    spread = share(float(lost.sum()), len(lost))
    target, met = ("0", at_most(spread, 0.0)) if judged else ("", NONE)
    yield row(f"end, {what}: missed", spread, len(lost), target, met, show=percent)
    faulty = total(found, "faulty") / 1000
    spread = rate(total(found, false), faulty) if faulty else exact(math.nan)
    target, met = (f"≤ {_FALSE_ENDS:g}", at_most(spread, _FALSE_ENDS)) if judged else ("", NONE)
    yield row(f"end, {what}: false ends per 1,000 faulty frames", spread, f"{faulty:.1f} × 1,000 frames", target, met)


def _names(book: Book) -> Iterator[Row]:
    stories = book.of("story", ramp=0, strength=STRENGTHS[-1], library="whole")
    apart = [f for f in stories if is_held_out(f)]
    others = [f for f in stories if f not in apart]
    for what, found in (("products and faults that were looked at", others), ("held out", apart)):
        named, right = pooled(found, "named"), pooled(found, "right")
        precision = share(float((right * named).sum()), float(named.sum()))
        told = share(float(named.sum()), len(named))
        for name, spread, least in (("precision", precision, _PRECISION), ("share that gets a name", told, _NAMED)):
            met = at_least(spread, least)
            quantity = f"named at strength {STRENGTHS[-1]:g}, {what}: {name}"
            if found:
                yield row(quantity, spread, len(named), f"≥ {least:.0%}", met, peer="none", show=percent)
    off = book.of("story", library="off")
    if off:
        named = pooled(off, "named")
        quantity = "held-out faults off the library: share that gets a name, which is another fault's"
        yield row(quantity, share(float(named.sum()), len(named)), len(named), peer="none", show=percent)


def is_held_out(found: Found) -> bool:
    """By its product or its fault."""
    return found.cell.get("product", str) in held_out.PRODUCTS or found.cell.get("cause", str) in held_out.FAULTS


def details(book: Book) -> Iterator[tuple[str, list[list[str]]]]:
    """Delay and shape of what was dated; names by cause."""
    dated = [
        _dated(book.of("onset", level=level, kind=kind, shape=shape, size=size), level)
        for level, changes in (("stream", CHANGES), ("product", (*CHANGES, *BESIDE)))
        for kind, shape, size in changes
    ]
    if any(dated):
        head = ["noise, shape, size", "level", "runs", "early", "missed", "mean delay", *_COVERED, *_MEDIANS]
        title = "Dated changes: one stream of d = 64, and what a plant is told of all streams; medians"
        yield title, [head, *(line for line in dated if line)]
    stories = book.of("story")
    if stories:
        head = ["fault", "strength", "stories", "found", "named", "right", "covered +50", "mean delay", "error +50"]
        seen = sorted(
            {
                (c.get("cause", str), c.get("strength", float), c.get("ramp", int), c.get("library", str))
                for c in _cells(stories)
            }
        )
        lines = [
            _told(book.of("story", cause=c, strength=s, ramp=r, library=known), c, s, r, known)
            for c, s, r, known in seen
        ]
        yield "Real faults by cause", [head, *lines]


def _cells(found: list[Found]) -> list[Cell]:
    return [item.cell for item in found]


def _dated(found: list[Found], level: str) -> list[str]:
    if not found:
        return []
    cell = found[0].cell
    what = f"{cell.get('kind', str)}, {cell.get('shape', str)}, {cell.get('size', float):g}"
    counts = [f"{total(found, name):.0f}" for name in ("early", "missed")]
    medians = [number(of_median(found, name).value) for name in _MEDIANS.values()]
    runs = str(len(pooled(found, "missed")))
    covered = [percent(of_mean(found, name).value) for name in _COVERED.values()]
    return [what, level, runs, *counts, number(of_mean(found, "delay").value), *covered, *medians]


def _told(found: list[Found], cause: str, strength: float, ramp: int, library: str) -> list[str]:
    counts = [f"{total(found, name):.0f}" for name in ("found", "named", "right", "confirmed covered")]
    told = (
        f"{cause}, grows over {ramp} frames" if ramp else cause if library == "whole" else f"{cause}, off the library"
    )
    figures = [number(of_mean(found, "delay").value), number(of_median(found, "confirmed error").value)]
    return [told, f"{strength:g}", str(len(found)), *counts, *figures]
