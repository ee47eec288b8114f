"""The image cases: held-out products, faults of strengths between the library's, off it too; frames in control."""

from benchmarks import held_out, stations
from benchmarks.cell import Cell, Effort
from benchmarks.subjects.names import FEW_PRODUCTS
from benchmarks.subjects.quiet import quiet_cells
from benchmarks.subjects.story import STRENGTHS, measure, story
from sincewhen_edge.reference.faults import CAUSES

__all__ = ["cells", "measure"]

BLOCKS_HELD_OUT, BLOCKS = 7, 4  # of 2,000 frames: 28,000 of the held-out products


def cells(effort: Effort) -> list[Cell]:
    if not stations.there() or effort is Effort.SMOKE:
        return []
    full = effort is Effort.FULL
    golden = stations.GOLDEN if full else stations.GOLDEN // 4
    if not full:
        return quiet_cells(FEW_PRODUCTS[0], golden, 1)
    held = held_out.PRODUCTS
    others = [product for product in stations.PRODUCTS if product not in held]
    found = [
        story(product, cause, strength, golden, library=library)
        for library, causes in (("whole", CAUSES), ("off", held_out.FAULTS))
        for cause in causes
        for product in held
        for strength in STRENGTHS
    ]
    for product in held:
        found += quiet_cells(product, golden, BLOCKS_HELD_OUT)
    for product in others:
        found += quiet_cells(product, golden, BLOCKS)
    return found
