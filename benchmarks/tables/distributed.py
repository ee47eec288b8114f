"""Rows of the distributed product: a worker's rate, its cost beside a second one, delays, what processes hold."""

import math
from collections.abc import Iterator

import numpy as np

from benchmarks.book import NONE, Book, Row, at_least, at_most, exact, number, of_mean, pooled, row, said
from benchmarks.spread import Spread, bootstrap
from benchmarks.steady import DETECTED, HELD, STORED, WAITING
from benchmarks.subjects.stack import FULL, LAYER, READERS
from benchmarks.work import Found

_RATE, _TWICE, _LATE_S, _FLAT = 50_000.0, 1.1, 2.0, 1.05
_SPEED, _CPU = "frames a second", "CPU µs a frame"
_WORKERS = ("1 worker", "2 workers")


def rows(book: Book) -> Iterator[Row]:
    for station in (LAYER, FULL):
        found = book.of("stack", part="rate", station=station)
        if found:
            yield from _rate(station, found)
    yield from _steady(book.of("stack", part="steady"))


def _rate(station: str, found: list[Found]) -> Iterator[Row]:
    stations, runs = found[0].cell.get("stations", int), len(found)
    what = f"a worker at {stations} stations, {station}, d = 512, records of 32 frames"
    speed, peer = of_mean(found, f"1 worker: {_SPEED}"), of_mean(found, f"project: {_SPEED}").value
    yield row(f"{what}, against one that decodes and projects: frames a second", speed, runs, f"≥ {_RATE:,.0f}",
              at_least(speed, _RATE), peer=peer)  # fmt: skip
    twice = _ratio(found, f"2 workers: {_CPU}", f"1 worker: {_CPU}")
    yield row(f"{what}: CPU a frame with two workers over one", twice, runs, f"≤ {_TWICE:g}", at_most(twice, _TWICE))


def _ratio(found: list[Found], over: str, under: str) -> Spread:
    pairs = [np.array([[f.figures[over][0], f.figures[under][0]]]) for f in found]
    return bootstrap(pairs, lambda both: float(both[:, 0].mean() / both[:, 1].mean()))


def _steady(found: list[Found]) -> Iterator[Row]:
    for item in found:
        rate, minutes = item.cell.get("stations", int) * item.cell.get("per_second", int), item.cell.get("minutes", int)
        what = f"{rate:,} frames a second for {minutes} minutes"
        for name, told in ((DETECTED, "from capture to findings"), (STORED, "from capture to the store")):
            late = np.array(item.figures[name])
            for share, limit in ((50, math.inf), (99, _LATE_S)):
                spread = exact(float(np.percentile(late, share)))
                target, met = (f"≤ {limit:g}", at_most(spread, limit)) if limit < math.inf else ("", NONE)
                yield row(f"{what}: {told}, {share} % (s)", spread, len(late), target, met)
        yield row(f"{what}: most frames that wait", exact(max(item.figures[WAITING])), len(item.figures[WAITING]))
        for name, held in item.figures.items():
            if name.startswith(HELD):
                third = len(held) // 3
                grown = exact(float(np.mean(held[-third:]) / np.mean(held[third : 2 * third])))
                process = name.removeprefix(HELD)
                yield row(f"{what}: memory of {process}, last third over the one before", grown, len(held),
                          f"≤ {_FLAT:g}", at_most(grown, _FLAT))  # fmt: skip


def details(book: Book) -> Iterator[tuple[str, list[list[str]]]]:
    """Every reader and worker; how cost grows; memory."""
    for station in (LAYER, FULL):
        found = book.of("stack", part="rate", station=station)
        if found:
            table = [["who reads", _SPEED, "90 %", _CPU, "90 %"]]
            for name in (*READERS, *_WORKERS):
                speed, cpu = of_mean(found, f"{name}: {_SPEED}"), of_mean(found, f"{name}: {_CPU}")
                table.append([name, number(speed.value), said(speed), number(cpu.value), said(cpu)])
            yield f"Workers at {found[0].cell.get('stations', int)} stations, {station}; {len(found)} runs", table
    yield from _growth(book)
    for item in book.of("stack", part="steady"):
        table = [["process", "MiB, first minute", "median", "most"]]
        for name, held in item.figures.items():
            if name.startswith(HELD):
                told = (float(np.mean(held[:6])), float(np.median(held)), max(held))
                table.append([name.removeprefix(HELD), *map(number, told)])
        yield "Memory of each process over that time", table


def _growth(book: Book) -> Iterator[tuple[str, list[list[str]]]]:
    table = [["stations", "frames a lot", _CPU, "bytes of a station's snapshot, mean"]]
    for item in book.of("stack", part="growth"):
        lot, size = item.cell.get("lot", int), float(pooled([item], "bytes of a station's snapshot").mean())
        cpu = item.figures[f"1 worker: {_CPU}"][0]
        table.append([str(item.cell.get("stations", int)), str(lot or "none named"), number(cpu), number(size)])
    if len(table) > 1:
        yield "One worker, fewer stations and lots", table
