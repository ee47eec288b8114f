"""Rows of what is said of a change: since when, until when, its name."""

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
    number,
    of_mean,
    of_median,
    percent,
    pooled,
    ratio,
    said,
    total,
)
from benchmarks.spread import Spread, bootstrap, rate, share
from benchmarks.subjects.onset import CHANGES, RAMP_FRAMES
from benchmarks.work import Found

_COVERAGE, _WIDTH_OF_STEPS, _WIDTH_OF_RAMPS = 0.93, 1.6, 6.0
_RAMP_ERROR = 0.1 * RAMP_FRAMES
_STEP_ERRORS = {1.0: 2.0, 2.0: 0.0, 3.0: 0.0}  # the line, at +200 on independent frames
_PRECISION, _NAMED = 0.95, 0.8
_FALSE_ENDS = 0.1
STATUSES = {"confirmed": "+50", "refined": "+200"}


def rows(book: Book) -> Iterator[Row]:
    for kind, shape, size in CHANGES:
        found = book.of("onset", kind=kind, shape=shape, size=size)
        if found:
            what = f"{shape} of {size:g}, {kind}"
            for status in STATUSES:
                yield _error(
                    found, what, status, _RAMP_ERROR if shape != "step" else _STEP_ERRORS[size] + 2 * (kind != "ar 0")
                )
                yield _coverage(found, what, status, judged=shape != "square")
            yield _width(found, what, _WIDTH_OF_STEPS if shape == "step" else _WIDTH_OF_RAMPS)
    for name, found in _real(book).items():
        for status in STATUSES:
            yield _error(found, name, status, _RAMP_ERROR if "ramps" in name else 2.0)
            yield _coverage(found, name, status, judged=True)
    yield from _ends(book)
    yield from _names(book)


def _real(book: Book) -> dict[str, list[Found]]:
    steps, ramps = book.of("story", ramp=0), [f for f in book.of("story") if f.cell.get("ramp", int)]
    return {name: found for name, found in (("real faults", steps), ("real ramps", ramps)) if found}


def _error(found: list[Found], what: str, status: str, limit: float) -> Row:
    spread, glr = of_median(found, f"{status} error"), of_median(found, f"{status} glr")
    quantity = f"onset, {what}: median error at {STATUSES[status]} (frames)"
    count = len(pooled(found, f"{status} error"))
    return Row(
        quantity, number(glr.value), number(spread.value), ratio(spread.value, glr.value), said(spread), str(count),
        f"≤ {limit:g}", at_most(spread, limit),
    )  # fmt: skip


def _coverage(found: list[Found], what: str, status: str, *, judged: bool) -> Row:
    covered = pooled(found, f"{status} covered")
    spread = share(float(covered.sum()), len(covered))
    quantity = f"onset, {what}: coverage of the 95 % interval at {STATUSES[status]}"
    met = at_least(spread, _COVERAGE) if judged else NONE
    target = f"≥ {_COVERAGE:.0%}" if judged else "reported apart"
    return Row(quantity, "95 %", percent(spread.value), "", said(spread, percent), str(len(covered)), target, met)


def _width(found: list[Found], what: str, most: float) -> Row:
    """The mean width over the oracle's, at +200."""
    pairs = [
        np.stack([item.figures["refined width"], item.figures["refined oracle"]], axis=1)
        for item in found
        if item.figures["refined width"]
    ]
    spread = bootstrap(pairs, lambda rows: float(rows[:, 0].mean() / rows[:, 1].mean()))
    ours, oracle = of_mean(found, "refined width"), of_mean(found, "refined oracle")
    quantity = f"onset, {what}: mean width of the interval at +200, against the oracle's (frames)"
    return Row(
        quantity, number(oracle.value), number(ours.value), number(spread.value), f"{said(spread)} ×",
        str(sum(map(len, pairs))), f"≤ {most:g}×", at_most(spread, most),
    )  # fmt: skip


def _ends(book: Book) -> Iterator[Row]:
    seen = sorted({(c.get("kind", str), c.get("size", float)) for f in book.of("end") for c in (f.cell,)})
    for kind, size in seen:
        goals = (112.0, 4.0, 39.0) if (kind, size) == ("ar .9", 2.0) else (math.nan, math.nan, math.nan)
        found = book.of("end", kind=kind, size=size)
        yield from _end(
            found, f"step of {size:g}, {kind}", ("delay", "error", "missed", "false"), goals, judged=size > 1
        )
    real = book.of("story", ramp=0)
    if real:
        names = ("end delay", "end error", "end missed", "false ends")
        yield from _end(real, "real faults", names, (39.0, 0.0, 27.0), judged=True)


def _end(
    found: list[Found], what: str, names: tuple[str, str, str, str], goals: tuple[float, float, float], *, judged: bool
) -> Iterator[Row]:
    delay, error, missed, false = names
    errors, lost = pooled(found, error), pooled(found, missed)
    high = bootstrap(
        [np.array(f.figures.get(error, [])) for f in found], lambda values: float(np.quantile(values, 0.9))
    )
    figures = (
        ("mean delay", of_mean(found, delay), goals[0]),
        ("median error", of_median(found, error), goals[1]),
        ("90 % of errors within", high, goals[2]),
    )
    for name, spread, goal in figures:
        known = not math.isnan(goal)
        target, met = (f"≤ {goal:g}", at_most(spread, goal)) if known else ("", NONE)
        yield Row(
            f"end, {what}: {name} (frames)", "", number(spread.value), "", said(spread), str(len(errors)), target, met
        )
    spread = share(float(lost.sum()), len(lost))
    yield Row(
        f"end, {what}: missed", "", percent(spread.value), "", said(spread, percent), str(len(lost)), "0",
        at_most(spread, 0.0) if judged else NONE,
    )  # fmt: skip
    faulty = total(found, "faulty") / 1000
    spread = rate(total(found, false), faulty) if faulty else Spread(math.nan, math.nan, math.nan)
    target, met = (f"≤ {_FALSE_ENDS:g}", at_most(spread, _FALSE_ENDS)) if judged else ("", NONE)
    yield Row(
        f"end, {what}: false ends per 1,000 faulty frames", "", number(spread.value), "", said(spread),
        f"{faulty:.0f},000 frames", target, met,
    )  # fmt: skip


def _names(book: Book) -> Iterator[Row]:
    stories = book.of("story", ramp=0, strength=3.0)
    apart = [f for f in stories if is_held_out(f)]
    for name, found in (
        ("products and faults that were looked at", [f for f in stories if f not in apart]),
        ("held out", apart),
    ):
        if not found:
            continue
        named, right = pooled(found, "named"), pooled(found, "right")
        precision = share(float((right * named).sum()), float(named.sum()))
        told = share(float(named.sum()), len(named))
        runs = str(len(named))
        yield Row(
            f"named at strength 3, {name}: precision",
            "none",
            percent(precision.value),
            "",
            said(precision, percent),
            runs,
            f"≥ {_PRECISION:.0%}",
            at_least(precision, _PRECISION),
        )
        yield Row(
            f"named at strength 3, {name}: share that gets a name",
            "none",
            percent(told.value),
            "",
            said(told, percent),
            runs,
            f"≥ {_NAMED:.0%}",
            at_least(told, _NAMED),
        )


def is_held_out(found: Found) -> bool:
    """By its product or its fault."""
    return found.cell.get("product", str) in held_out.PRODUCTS or found.cell.get("cause", str) in held_out.FAULTS


def details(book: Book) -> Iterator[tuple[str, list[list[str]]]]:
    """Delay and shape of what was dated; names by cause."""
    table = [
        [
            "noise",
            "shape",
            "size",
            "runs",
            "early",
            "missed",
            "mean delay",
            "P(ramp) median",
            "width +50",
            "width +200",
            "oracle +200",
        ]
    ]
    for kind, shape, size in CHANGES:
        found = book.of("onset", kind=kind, shape=shape, size=size)
        if found:
            medians = [
                number(of_median(found, name).value)
                for name in ("confirmed ramp", "confirmed width", "refined width", "refined oracle")
            ]
            counts = [f"{total(found, name):.0f}" for name in ("early", "missed")]
            table.append(
                [
                    kind,
                    shape,
                    f"{size:g}",
                    str(len(pooled(found, "missed"))),
                    *counts,
                    number(of_mean(found, "delay").value),
                    *medians,
                ]
            )
    if len(table) > 1:
        yield "Dated changes, d = 64", table
    table = [["fault", "strength", "stories", "found", "mean delay", "named", "right", "error +50", "covered +50"]]
    seen = sorted(
        {
            (c.get("cause", str), c.get("strength", float), c.get("ramp", int))
            for f in book.of("story")
            for c in (f.cell,)
        }
    )
    for cause, strength, ramp in seen:
        found = book.of("story", cause=cause, strength=strength, ramp=ramp)
        counts = [f"{total(found, name):.0f}" for name in ("found", "named", "right")]
        told = f"{cause}, grows over {ramp} frames" if ramp else cause
        table.append(
            [
                told,
                f"{strength:g}",
                str(len(found)),
                counts[0],
                number(of_mean(found, "delay").value),
                *counts[1:],
                number(of_median(found, "confirmed error").value),
                f"{total(found, 'confirmed covered'):.0f}",
            ]
        )
    if len(table) > 1:
        yield "Real faults by cause", table
