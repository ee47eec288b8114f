"""Rows of lots, cost, false pages and the image cases."""

import itertools
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
    row,
    said,
    total,
)
from benchmarks.spread import Spread, bootstrap, rate, run_length, share
from benchmarks.subjects import irregular
from benchmarks.subjects.scalar import KINDS, SETTINGS, SIZES
from benchmarks.subjects.story import LASTS, STRENGTHS
from benchmarks.work import Found
from sincewhen.detect.budget import GROUPS_SHARE

ARL0 = 1e4
_LOT_DELAY, _LOT_PEER, _LENGTH = 150.0, 475.0, 0.5
_MICROS_BLIND, _MICROS_LIBRARY, _BYTES, _TIMES_BARE, _SPEED = 1.0, 3.0, 12_000, 3.0, 1e5
_FOUND, _DELAY, _FALSE_IN = 16 / 18, 90.0, 28_000
_BLIND, _LIBRARY = "detector, 64 coordinates, blind", "detector, 64 coordinates, library of 40"


def rows(book: Book) -> Iterator[Row]:
    yield from _lots(book.of("lots"))
    yield from _irregular(book)
    yield from _cost_of_a_stream(book.of("cost", part="stream"))
    yield from _cost_of_the_core(book.of("cost", part="core"))
    yield from _cost_of_a_station(book.of("cost", part="station"))
    yield from _pages(book.of("pages", part="station"), book.of("pages", part="line"))
    yield from _common_causes(book)
    yield from _images(book)
    yield from _real_run_lengths(book)


def _lots(found: list[Found]) -> Iterator[Row]:
    if not found:
        return
    delay, runs = of_mean(found, "delay"), len(pooled(found, "delay"))
    quantity = "lots by nature different, a drift of 3.5 between them: mean delay (frames)"
    told = f"{runs}, {total(found, 'missed'):.0f} missed"
    yield row(quantity, delay, told, f"≤ {_LOT_DELAY:g}", at_most(delay, _LOT_DELAY), peer=_LOT_PEER)
    yield _length("the same: realised / target ARL0 before the drift", found)


def _irregular(book: Book) -> Iterator[Row]:
    for kind, how in itertools.product(irregular.KINDS, irregular.HOWS):
        found = book.of("irregular", kind=kind, how=how)
        if found:
            yield _length(f"realised / target ARL0, the whole product, {kind}, frames come irregularly: {how}", found)


def _length(quantity: str, found: list[Found]) -> Row:
    alarms, frames = total(found, "alarms"), total(found, "frames")
    spread = run_length(alarms, frames, ARL0)
    return row(quantity, spread, f"{alarms:.0f} alarms in {frames:.0f} frames", "≥ 0.5", at_least(spread, _LENGTH))


def _cost_of_a_stream(found: list[Found]) -> Iterator[Row]:
    if not found:
        return
    peer = of_median(found, "river PageHinkley, scalar").value
    for name, most in ((_BLIND, _MICROS_BLIND), (_LIBRARY, _MICROS_LIBRARY)):
        spread, count = of_median(found, name), len(pooled(found, name))
        quantity = f"{name}, after projection, against PageHinkley on one scalar (µs a frame)"
        yield row(quantity, spread, count, f"≤ {most:g}", at_most(spread, most), peer=peer)
    size = of_mean(found, "bytes of the detector, 64 coordinates")
    yield row("detector's state, 64 coordinates (bytes)", size, 1, f"≤ {_BYTES:,}", at_most(size, _BYTES))


_CORE = ("projection and detector with library", "projection, detector and what dates", "whole core")


def _cost_of_the_core(found: list[Found]) -> Iterator[Row]:
    """An embedding stream by itself, with its past, and with all that a record goes through."""
    for name in _CORE if found else ():
        pairs = [np.stack([f.figures[name], f.figures["bare projection"]], axis=1) for f in found]
        times = bootstrap(pairs, lambda rows: float(np.median(rows[:, 0]) / np.median(rows[:, 1])))
        spread, bare = of_median(found, name), of_median(found, "bare projection").value
        count, what = len(pooled(found, name)), f"{name}, 512 → 64, batches of 32"
        met = at_most(times, _TIMES_BARE)
        yield row(f"{what}: multiple of the bare projection", times, count, f"≤ {_TIMES_BARE:g}", met, peer="1")
        yield row(f"{what}, against the bare projection (µs a frame)", spread, count, peer=bare)
        speed = Spread(1e6 / spread.value, 1e6 / spread.high, 1e6 / spread.low)
        yield row(f"{what}: frames a second", speed, count, f"≥ {_SPEED:,.0f}", at_least(speed, _SPEED))


def _cost_of_a_station(found: list[Found]) -> Iterator[Row]:
    if found:
        spread, size = of_median(found, "station"), of_mean(found, "bytes of a station")
        quantity = "a full station: three layers with slices, nine factors (µs a frame)"
        yield row(quantity, spread, len(pooled(found, "station")))
        yield row("its state (bytes)", size, 1)


def _pages(stations: list[Found], line: list[Found]) -> Iterator[Row]:
    """Of a plant at one accepted page a week; met: as few as chance leaves in nineteen cases of twenty."""
    for what, found, accepted in (
        ("a plant's stations, correlations 0, .5, .9 and .99", stations, 1 - GROUPS_SHARE),
        ("a line's mean, members' correlations 0 to .99", line, GROUPS_SHARE),
    ):
        if not found:
            continue
        plants = {item.cell.repetition for item in found}
        weeks = sum(max(total([f], "weeks") for f in found if f.cell.repetition == plant) for plant in plants)
        pages, streams = total(found, "pages"), total(found, "streams") or len(found)
        met = YES if pages <= poisson.ppf(0.95, accepted * weeks) else NO
        told = f"{streams:.0f} streams, {weeks:.1f} weeks, {pages:.0f} pages"
        yield row(f"false pages a week: {what}", rate(pages, weeks), told, f"≤ {accepted:g}", met, peer=accepted)


def _common_causes(book: Book) -> Iterator[Row]:
    for size in sorted({item.cell.get("size", float) for item in book.of("pages", part="common cause")}):
        found = book.of("pages", part="common cause", size=size)
        what, runs = f"a common cause of {size:g} in 10 of 20 stations", len(pooled(found, "opened"))
        for name, key in (("pages", "pages"), ("incidents in the end", "incidents")):
            spread = of_mean(found, key)
            yield row(f"{what}: {name}", spread, runs, "1", at_most(spread, 1.0), peer=10.0)
        yield row(f"{what}: incidents opened on the way", of_mean(found, "opened"), runs, "", NONE, peer=10.0)


def _images(book: Book) -> Iterator[Row]:
    for strengths in (*((strength,) for strength in STRENGTHS), STRENGTHS):
        stories = [
            f
            for f in book.of("story", ramp=0, library="whole")
            if f.cell.get("product", str) in held_out.PRODUCTS and f.cell.get("strength", float) in strengths
        ]
        if stories:
            what = f"camera faults of strength {' and '.join(f'{s:g}' for s in strengths)}, held-out products"
            found, judged = share(total(stories, "found"), len(stories)), len(strengths) > 1
            target, met = ("≥ 16 of 18", at_least(found, _FOUND)) if judged else ("", NONE)
            quantity = f"{what}: found within {LASTS} distinct frames"
            yield row(quantity, found, len(stories), target, met, peer="16 of 18", show=percent)
            delay, count = of_median(stories, "delay"), len(pooled(stories, "delay"))
            target, met = (f"≤ {_DELAY:g}", at_most(delay, _DELAY)) if judged else ("", NONE)
            yield row(f"{what}: median delay (frames)", delay, count, target, met, peer=_DELAY)
    off = book.of("story", library="off")
    if off:
        what = "held-out faults off the library, held-out products"
        found = share(total(off, "found"), len(off))
        yield row(f"{what}: found within {LASTS} distinct frames", found, len(off), show=percent)
        yield row(f"{what}: median delay (frames)", of_median(off, "delay"), len(pooled(off, "delay")))


def _real_run_lengths(book: Book) -> Iterator[Row]:
    for name, quiet in _quiet(book).items():
        yield _length(f"realised / target ARL0, real frames of {name}", quiet)
    held = _quiet(book).get("held-out products", [])
    if held:
        frames = total(held, "frames")
        spread = rate(total(held, "alarms"), frames / _FALSE_IN)
        quantity = f"false alarms in {_FALSE_IN:,} real frames of held-out products"
        yield row(quantity, spread, f"{frames:.0f} frames", "≤ 1", at_most(spread, 1.0), peer=1.0)


def _quiet(book: Book) -> dict[str, list[Found]]:
    apart = [f for f in book.of("quiet") if f.cell.get("product", str) in held_out.PRODUCTS]
    others = [f for f in book.of("quiet") if f not in apart]
    return {name: found for name, found in (("held-out products", apart), ("the other products", others)) if found}


def details(book: Book) -> Iterator[tuple[str, list[list[str]]]]:
    """Frames that come irregularly; one scalar against its peers; every part of the cost."""
    yield from _of_irregular(book)
    yield from _scalar(book)
    yield from _alibi(book.of("alibi"))
    table = [["part", "step", "µs a frame or bytes", "90 %"]]
    for item in book.of("cost"):
        for name in item.figures:
            spread = of_median([item], name)
            table.append([item.cell.get("part", str), name, number(spread.value), said(spread)])
    if len(table) > 1:
        yield "Cost, one thread", table


def _of_irregular(book: Book) -> Iterator[tuple[str, list[list[str]]]]:
    table = [["noise", "frames", "runs", "early", "missed", "mean delay", "90 %", "error", "covered", "width"]]
    for kind, (how, what) in itertools.product(irregular.KINDS, irregular.HOWS.items()):
        found = book.of("irregular", kind=kind, how=how)
        if found:
            runs, delay = f"{len(pooled(found, 'missed'))}", of_mean(found, "delay")
            counts = [f"{total(found, name):.0f}" for name in ("early", "missed")]
            covered = percent(of_mean(found, "covered").value)
            dated = [number(of_median(found, "error").value), covered, number(of_median(found, "width").value)]
            table.append([kind, f"{how}: {what}", runs, *counts, number(delay.value), said(delay), *dated])
    if len(table) > 1:
        yield f"The whole product on frames that come irregularly, a step of {irregular.SIZE:g}; medians", table


def _alibi(found: list[Found]) -> Iterator[tuple[str, list[list[str]]]]:
    table = [["displacement", "runs", "mean delay", "90 %", "µs a frame"]]
    for size in sorted({item.cell.get("size", float) for item in found}):
        own = [item for item in found if item.cell.has(size=size)]
        delay, micros = of_mean(own, "delay"), of_median(own, "micros").value
        table.append([f"{size:g}", str(len(pooled(own, "delay"))), number(delay.value), said(delay), number(micros)])
    if found:
        yield "alibi-detect's online MMD, d = 64, nominal run length 200, frames", table


def _scalar(book: Book) -> Iterator[tuple[str, list[list[str]]]]:
    table = [["method", "setting", *(f"ARL0, {kind}" for kind in KINDS), *(f"delay of {size:g}" for size in SIZES)]]
    for method, settings in SETTINGS.items():
        for index, setting in enumerate(settings):
            lengths = [_stretch(book.of("scalar", method=method, setting=index, size=0.0, kind=kind)) for kind in KINDS]
            delays = [_delay(book.of("scalar", method=method, setting=index, size=size)) for size in SIZES]
            if any(lengths):
                table.append([method, f"{setting:g}", *lengths, *delays])
    if len(table) > 1:
        yield (
            "One scalar: run length in control and delay of steps, frames (nominal ARL0 is the setting of ours)",
            table,
        )


def _stretch(found: list[Found]) -> str:
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
