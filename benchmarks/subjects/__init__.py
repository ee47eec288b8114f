"""One subject a module: `cells(effort)` says what is to be measured, `measure(cell)` measures one of them."""

import importlib

from benchmarks.cell import Cell, Effort

SUBJECTS = {
    name: f"benchmarks.subjects.{name}"
    for name in (
        "arl",
        "delay",
        "ramps",
        "scalar",
        "onset",
        "end",
        "lots",
        "irregular",
        "names",
        "images",
        "shared",
        "pages",
        "cost",
        "stack",
    )
}
ASKED_FOR = {"alibi": "benchmarks.subjects.alibi"}
PARTS = {name: f"benchmarks.subjects.{name}" for name in ("calm", "story", "quiet")}  # of several subjects
MODULES = {**SUBJECTS, **ASKED_FOR, **PARTS}
ALONE = {"cost", "stack", "alibi"}  # they measure time


def cells_of(subject: str, effort: Effort) -> list[Cell]:
    found: list[Cell] = importlib.import_module(MODULES[subject]).cells(effort)
    return found
