"""Finished cells as a book to look things up in, and the row of a table that a figure becomes."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.cell import Floats, Param
from benchmarks.spread import Spread, bootstrap
from benchmarks.work import Found

YES, NO, UNSURE, NONE = "yes", "**no**", "within its spread", ""


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity: a line or peer, ours, their ratio, the spread, runs, the target and whether it is met."""

    quantity: str
    peer: str
    ours: str
    ratio: str
    spread: str
    runs: str
    target: str
    met: str


@dataclass(frozen=True, slots=True)
class Book:
    found: tuple[Found, ...]

    def of(self, subject: str, **params: Param) -> list[Found]:
        return [item for item in self.found if item.cell.subject == subject and item.cell.has(**params)]


def parts(found: Iterable[Found], name: str) -> list[Floats]:
    """A figure's runs, by cell."""
    return [np.array(item.figures.get(name, []), float) for item in found]


def pooled(found: Iterable[Found], name: str) -> Floats:
    kept = parts(found, name)
    return np.concatenate(kept) if kept else np.zeros(0)


def total(found: Iterable[Found], name: str) -> float:
    return float(pooled(found, name).sum())


def of_mean(found: Iterable[Found], name: str) -> Spread:
    return bootstrap(parts(found, name), _mean)


def of_median(found: Iterable[Found], name: str) -> Spread:
    return bootstrap(parts(found, name), _median)


def mean_of(kept: Sequence[Floats]) -> Spread:
    return bootstrap(kept, _mean)


def _mean(values: Floats) -> float:
    return float(values.mean())


def _median(values: Floats) -> float:
    return float(np.median(values))


def at_most(spread: Spread, limit: float) -> str:
    if math.isnan(spread.value):
        return NONE
    return YES if spread.value <= limit else UNSURE if spread.low <= limit else NO


def at_least(spread: Spread, limit: float) -> str:
    if math.isnan(spread.value):
        return NONE
    return YES if spread.value >= limit else UNSURE if spread.high >= limit else NO


def number(value: float) -> str:
    """To three digits."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def said(spread: Spread, show: Callable[[float], str] = number) -> str:
    return f"{show(spread.low)} .. {show(spread.high)}"


def ratio(ours: float, peer: float) -> str:
    return number(ours / peer) if peer and not math.isnan(peer) else ""


def row(
    quantity: str,
    spread: Spread,
    runs: float | str,
    target: str = "",
    met: str = NONE,
    *,
    peer: float | str = "",
    show: Callable[[float], str] = number,
) -> Row:
    """Of a figure with its spread; against a peer's number their ratio is told too."""
    against, by = (number(peer), ratio(spread.value, peer)) if isinstance(peer, float) else (peer, "")
    count = runs if isinstance(runs, str) else f"{runs:.0f}"
    return Row(quantity, against, show(spread.value), by, said(spread, show), count, target, met)


def exact(value: float) -> Spread:
    """A figure that does not scatter."""
    return Spread(value, value, value)
