"""Rows of lots, cost, false pages and the image cases."""

import math
from collections.abc import Iterator

import numpy as np
from scipy.stats import poisson

from benchmarks import held_out
from benchmarks.book import (
    NO,
    NONE,
    YES,
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
from benchmarks.spread import Spread, bootstrap, rate, run_length, share
from benchmarks.subjects.scalar import KINDS, SETTINGS, SIZES
from benchmarks.subjects.story import LASTS
from benchmarks.work import Found

ARL0 = 1e4
_LOT_DELAY, _LOT_LENGTH = 150.0, 0.5
_MICROS_BLIND, _MICROS_LIBRARY, _BYTES, _TIMES_BARE, _FRAMES_PER_S = 1.0, 3.0, 12_000, 3.0, 1e5
_FOUND, _DELAY, _FALSE_IN = 16 / 18, 90.0, 28_000
_BLIND, _LIBRARY = "detector, 64 coordinates, blind", "detector, 64 coordinates, library of 40"


def rows(book: Book) -> Iterator[Row]:
    yield from _lots(book)
    yield from _cost(book)
    yield from _pages(book)
    yield from _images(book)


def _lots(book: Book) -> Iterator[Row]:
    found = book.of("lots")
    if found:
        delay, runs = of_mean(found, "delay"), len(pooled(found, "delay"))
        yield Row(
            "lots by nature different, a drift of 3.5 between them: mean delay (frames)",
            "475",
            number(delay.value),
            ratio(delay.value, 475),
            said(delay),
            f"{runs}, {total(found, 'missed'):.0f} missed",
            f"≤ {_LOT_DELAY:g}",
            at_most(delay, _LOT_DELAY),
        )
        alarms, frames = total(found, "alarms"), total(found, "frames")
        length = run_length(alarms, frames, ARL0)
        yield Row(
            "the same: realised / target ARL0 before the drift",
            "",
            number(length.value),
            "",
            said(length),
            f"{alarms:.0f} alarms in {frames:.0f} frames",
            f"≥ {_LOT_LENGTH:g}",
            at_least(length, _LOT_LENGTH),
        )


def _cost(book: Book) -> Iterator[Row]:
    stream, core, station = (book.of("cost", part=part) for part in ("stream", "core", "station"))
    if stream:
        peer = of_median(stream, "river PageHinkley, scalar").value
        for name, most in ((_BLIND, _MICROS_BLIND), (_LIBRARY, _MICROS_LIBRARY)):
            spread = of_median(stream, name)
            yield Row(
                f"{name}, after projection (µs a frame)",
                f"{number(peer)} (PageHinkley, one scalar)",
                number(spread.value),
                ratio(spread.value, peer),
                said(spread),
                _count(stream, name),
                f"≤ {most:g}",
                at_most(spread, most),
            )
        size = of_mean(stream, "bytes of the detector, 64 coordinates").value
        yield Row(
            "detector's state, 64 coordinates (bytes)",
            "",
            number(size),
            "",
            "",
            "1",
            f"≤ {_BYTES:,}",
            YES if size <= _BYTES else NO,
        )
    for name in ("projection and detector with library", "whole core") if core else ():
        pairs = [np.stack([f.figures[name], f.figures["bare projection"]], axis=1) for f in core]
        times = bootstrap(pairs, lambda rows: float(np.median(rows[:, 0]) / np.median(rows[:, 1])))
        spread, bare = of_median(core, name), of_median(core, "bare projection").value
        yield Row(
            f"{name}, 512 → 64, batches of 32: multiple of the bare projection",
            number(bare) + " µs",
            number(spread.value) + " µs",
            number(times.value),
            f"{said(times)} ×",
            _count(core, name),
            f"≤ {_TIMES_BARE:g}×",
            at_most(times, _TIMES_BARE),
        )
        speed = Spread(1e6 / spread.value, 1e6 / spread.high, 1e6 / spread.low)
        yield Row(
            f"{name}: frames a second on one core",
            "",
            number(speed.value),
            "",
            said(speed),
            _count(core, name),
            f"≥ {_FRAMES_PER_S:,.0f}",
            at_least(speed, _FRAMES_PER_S),
        )
    if station:
        spread, size = of_median(station, "station"), of_mean(station, "bytes of a station").value
        yield Row(
            "a full station: three layers, nine factors (µs a frame)",
            "",
            number(spread.value),
            "",
            said(spread),
            _count(station, "station"),
            "reported",
            NONE,
        )
        yield Row("its state (bytes)", "", number(size), "", "", "1", "reported", NONE)


def _count(found: list[Found], name: str) -> str:
    return str(len(pooled(found, name)))


def _pages(book: Book) -> Iterator[Row]:
    """A plant's pages within its budget: as many as chance allows in one case of twenty."""
    stations, line = book.of("pages", part="station"), book.of("pages", part="line")
    plants = sorted({item.cell.repetition for item in stations})
    if stations:
        weeks = sum(max(total([f], "weeks") for f in stations if f.cell.repetition == plant) for plant in plants)
        pages, streams = total(stations, "pages"), total(stations, "streams")
        share_of = 0.8
        spread = rate(pages, weeks)
        within = pages <= poisson.ppf(0.95, share_of * weeks)
        yield Row(
            "false pages a week of a plant's stations, correlations 0, .5, .9, .99",
            f"{share_of:g} accepted",
            number(spread.value),
            ratio(spread.value, share_of),
            said(spread),
            f"{streams:.0f} streams, {weeks:.0f} plant weeks",
            f"≤ {share_of:g}",
            YES if within else NO,
        )
    if line:
        weeks, pages = total(line, "weeks"), total(line, "pages")
        spread = rate(pages, weeks)
        yield Row(
            "false pages a week of the line's mean, members' correlations 0 to .99",
            "0.2 accepted",
            number(spread.value),
            ratio(spread.value, 0.2),
            said(spread),
            f"{weeks:.1f} line weeks",
            "≤ 0.2",
            YES if pages <= poisson.ppf(0.95, 0.2 * weeks) else NO,
        )
    for size in sorted({item.cell.get("size", float) for item in book.of("pages", part="common cause")}):
        found = book.of("pages", part="common cause", size=size)
        opened, last = of_mean(found, "opened"), of_mean(found, "incidents")
        runs = str(len(pooled(found, "opened")))
        yield Row(
            f"a common cause of {size:g} in 10 of 20 stations: incidents in the end",
            "10",
            number(last.value),
            "",
            said(last),
            runs,
            "1",
            at_most(last, 1.0),
        )
        yield Row(
            "the same: pages on the way", "10", number(opened.value), "", said(opened), runs, "1", at_most(opened, 1.0)
        )


def _images(book: Book) -> Iterator[Row]:
    stories = [f for f in book.of("story", ramp=0) if f.cell.get("product", str) in held_out.PRODUCTS]
    if stories:
        found = share(total(stories, "found"), len(stories))
        yield Row(
            f"camera faults of strength 2 and 3 on held-out products, found within {LASTS} distinct frames",
            "16 of 18",
            percent(found.value),
            "",
            said(found, percent),
            str(len(stories)),
            "≥ 16 of 18",
            at_least(found, _FOUND),
        )
        delay = of_median(stories, "delay")
        yield Row(
            "the same: median delay (frames)",
            "90",
            number(delay.value),
            ratio(delay.value, 90),
            said(delay),
            _count(stories, "delay"),
            f"≤ {_DELAY:g}",
            at_most(delay, _DELAY),
        )
    for name, quiet in _quiet(book).items():
        alarms, frames = total(quiet, "alarms"), total(quiet, "frames")
        length = run_length(alarms, frames, ARL0)
        yield Row(
            f"realised / target ARL0, real frames of {name}",
            "",
            number(length.value),
            "",
            said(length),
            f"{alarms:.0f} alarms in {frames:.0f} frames",
            "≥ 0.5",
            at_least(length, 0.5),
        )
    held = _quiet(book).get("held-out products", [])
    if held:
        alarms, frames = total(held, "alarms"), total(held, "frames")
        spread = rate(alarms, frames / _FALSE_IN)
        yield Row(
            "false alarms in 28,000 real frames of held-out products",
            "1",
            number(spread.value),
            "",
            said(spread),
            f"{frames:.0f} frames",
            "≤ 1",
            at_most(spread, 1.0),
        )


def _quiet(book: Book) -> dict[str, list[Found]]:
    apart = [f for f in book.of("quiet") if f.cell.get("product", str) in held_out.PRODUCTS]
    others = [f for f in book.of("quiet") if f not in apart]
    return {name: found for name, found in (("held-out products", apart), ("the other products", others)) if found}


def details(book: Book) -> Iterator[tuple[str, list[list[str]]]]:
    """One scalar against its peers; every part of the cost."""
    yield from _scalar(book)
    table = [["part", "step", "µs a frame or bytes", "90 %"]]
    for item in book.of("cost"):
        for name in item.figures:
            spread = of_median([item], name)
            table.append([item.cell.get("part", str), name, number(spread.value), said(spread)])
    if len(table) > 1:
        yield "Cost, one thread", table


def _scalar(book: Book) -> Iterator[tuple[str, list[list[str]]]]:
    table = [["method", "setting", *(f"ARL0, {kind}" for kind in KINDS), *(f"delay of {size:g}" for size in SIZES)]]
    for method, settings in SETTINGS.items():
        for index, setting in enumerate(settings):
            lengths = [_length(book.of("scalar", method=method, setting=index, size=0.0, kind=kind)) for kind in KINDS]
            delays = [_delay(book.of("scalar", method=method, setting=index, size=size)) for size in SIZES]
            if any(lengths):
                table.append([method, f"{setting:g}", *lengths, *delays])
    if len(table) > 1:
        yield (
            "One scalar: run length in control and delay of steps, frames (nominal ARL0 is the setting of ours)",
            table,
        )


def _length(found: list[Found]) -> str:
    if not found:
        return ""
    first, frames = pooled(found, "first"), pooled(found, "frames")
    alarms, watched = float(np.sum(first >= 0)), float(np.where(first >= 0, first + 1, frames).sum())
    return number(watched / alarms) if alarms else f"> {number(watched / math.log(20))}"


def _delay(found: list[Found]) -> str:
    if not found:
        return ""
    missed = total(found, "missed")
    return number(of_mean(found, "delay").value) + (f" ({missed:.0f} missed)" if missed else "")
