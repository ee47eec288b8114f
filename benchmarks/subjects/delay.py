"""Delay of steps: at Z >= ARL0 = 10,000 and at equal realised ARL, against lines, MEWMA and ocd; d = 128."""

from benchmarks.cell import Cell, Effort
from benchmarks.race import OF_TRUTH, STRETCH
from benchmarks.race import changed as measure

__all__ = ["calm_cells", "cells", "measure"]

SIZES = (1.0, 2.0, 3.0)
RACES = {
    "off": ("blind", "library", "library + scale", "mewma", "line", "line of size"),
    "in": ("blind", "library", "library + scale", "mewma"),
    "sparse": ("blind", "library + scale", "mewma", "ocd"),
}
CORRELATED = ("blind", "library", "mewma")  # raced at lag-1 correlation .9 too
_OCD_STRETCHES, _OCD_FRAMES = 6, 1000


def cells(effort: Effort) -> list[Cell]:
    runs, found = effort.pick(4, 15, 20), []
    for repetition in range(effort.pick(1, 2, 24)):
        for change, methods in RACES.items():
            for size in SIZES if effort > Effort.SMOKE else SIZES[2:]:
                for method in methods if effort > Effort.SMOKE else methods[:2]:
                    if method == "ocd" and repetition >= effort.pick(0, 1, 4):
                        continue
                    found += [_changed(repetition, "ar 0", change, size, method, runs)]
        found += [
            _changed(repetition, "ar .9", change, size, method, runs)
            for size in SIZES[1:] * (effort > Effort.SMOKE)
            for change in ("off", "in")
            for method in CORRELATED
        ]
    return [*calm_cells(found, effort), *found]


def _changed(repetition: int, kind: str, change: str, size: float, method: str, runs: int) -> Cell:
    return Cell.of("delay", repetition, kind=kind, change=change, size=size, method=method, runs=runs)


def calm_cells(found: list[Cell], effort: Effort) -> list[Cell]:
    """In control, of each method that is raced; a line's statistic depends on what it looks for."""
    wanted = set()
    for cell in found:
        method, change, size = cell.get("method", str), cell.get("change", str), cell.get("size", float)
        if method not in OF_TRUTH:
            change, size = ("class mix", 0.0) if change == "class mix" else ("off", 0.0)
        wanted.add((cell.get("kind", str), method, change, size))
    calm = []
    for kind, method, change, size in sorted(wanted):
        stretches, frames = effort.pick(4, 20, 25), STRETCH
        if method == "ocd":
            stretches, frames = _OCD_STRETCHES, _OCD_FRAMES
        calm += [
            Cell.of(
                "calm",
                repetition,
                kind=kind,
                method=method,
                change=change,
                size=size,
                stretches=stretches,
                frames=frames,
            )
            for repetition in range(effort.pick(1, 3, 16))
        ]
    return calm
