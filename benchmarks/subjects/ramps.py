"""Changes that are no step: ramps of three shapes, scale, class mix, transient, missing frames; d = 128."""

from benchmarks.cell import Cell, Effort
from benchmarks.race import DIMS
from benchmarks.race import changed as measure
from benchmarks.subjects.delay import calm_cells

__all__ = ["cells", "measure"]

ALL = ("blind", "library", "library + scale", "mewma")
SHAPES, SLOPES = ("linear", "root", "square"), (0.005, 0.02)  # displacement a frame
RACES: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    *((f"ramp {shape}", slope, (*ALL, "line")) for shape in SHAPES for slope in SLOPES),
    *((f"in ramp {shape}", slope, ALL[:3]) for shape in SHAPES for slope in SLOPES),
    ("scale", 1.05, ("scale", "library + scale", "mewma", "line")),
    ("scale", 1.15, ("scale", "library + scale", "mewma", "line")),
    ("class mix", 0.0, ALL),
    ("transient", 2.5, ALL),
    ("missing", 2.0, ALL),
)


def cells(effort: Effort) -> list[Cell]:
    races = RACES if effort > Effort.SMOKE else RACES[1:2]
    runs = effort.pick(4, 15, 20)
    found = [
        Cell.of("ramps", repetition, kind="ar 0", change=change, size=size, method=method, runs=runs, dims=DIMS)
        for repetition in range(effort.pick(1, 2, 16))
        for change, size, methods in races
        for method in methods
    ]
    return [*calm_cells(found, effort), *found]
