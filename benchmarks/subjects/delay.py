"""Delay of steps: at Z >= ARL0 = 10,000 and at equal realised ARL, against lines, MEWMA and ocd; d = 128.

Details, at Z >= ARL0 only where d is another: displacements of .5 to 5, d = 64 and 512.
"""

from benchmarks.cell import Cell, Effort
from benchmarks.race import DIMS, OF_TRUTH, STRETCH
from benchmarks.race import changed as measure

__all__ = ["calm_cells", "cells", "measure"]

SIZES = (1.0, 2.0, 3.0)
RACES = {
    "off": ("blind", "library", "library + scale", "mewma", "line", "line of size"),
    "in": ("blind", "library", "library + scale", "mewma"),
    "sparse": ("blind", "library + scale", "mewma", "ocd"),
}
SIZES_BESIDE, DIMS_BESIDE = (0.5, 4.0, 5.0), (64, 512)
METHODS_BESIDE = {"off": "blind", "in": "library"}
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
    beside = [
        _changed(repetition, "ar 0", change, size, method, runs, dims)
        for repetition in range(effort.pick(0, 1, 3))
        for dims in (DIMS, *DIMS_BESIDE)
        for size in (SIZES_BESIDE if dims == DIMS else sorted((*SIZES, *SIZES_BESIDE)))
        for change, method in METHODS_BESIDE.items()
    ]
    return [*calm_cells(found, effort), *found, *beside]


def _changed(repetition: int, kind: str, change: str, size: float, method: str, runs: int, dims: int = DIMS) -> Cell:
    return Cell.of("delay", repetition, kind=kind, change=change, size=size, method=method, runs=runs, dims=dims)


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
                dims=DIMS,
                stretches=stretches,
                frames=frames,
            )
            for repetition in range(effort.pick(1, 3, 16))
        ]
    return calm
