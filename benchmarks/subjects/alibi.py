"""alibi-detect's online MMD, only where it is asked for (--alibi): its licence is BSL and its environment large."""

import numpy as np

from benchmarks.cell import Cell, Effort, Figures
from benchmarks.outside import ask
from benchmarks.streams import simulated
from sincewhen_testing.streams import direction

GOLDEN, DIMS, BEFORE, AFTER, WINDOW, ARL0 = 500, 64, 50, 300, 16, 200.0


def cells(effort: Effort) -> list[Cell]:
    return [Cell.of("alibi", 0, size=size, runs=effort.pick(1, 5, 40)) for size in (1.0, 2.0, 3.0)]


def measure(cell: Cell) -> Figures:
    """Frames from the change to the alarm; runs that alarmed before it are left out."""
    rng, runs = cell.rng, cell.get("runs", int)
    rows = np.array([simulated("ar 0", rng, BEFORE + AFTER, DIMS).x for _ in range(runs)])
    for row in rows:
        row[BEFORE:] += cell.get("size", float) * direction(rng, DIMS)
    said = ask(
        "alibi", "alibi", {"golden": simulated("ar 0", rng, GOLDEN, DIMS).x, "x": rows}, arl0=ARL0, window=WINDOW
    )
    late = [first for first in said["first"] if not 0 <= first < BEFORE]
    return {"delay": [first - BEFORE + 1 if first >= 0 else AFTER for first in late], "micros": said["micros"]}
