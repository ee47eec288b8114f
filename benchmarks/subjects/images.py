"""The image cases: held-out products, camera faults of strength 2 and 3, and frames in control of every product."""

from benchmarks import held_out, stations
from benchmarks.cell import Cell, Effort
from benchmarks.subjects.quiet import quiet_cells
from benchmarks.subjects.story import measure, story
from sincewhen_edge.reference.faults import CAUSES

__all__ = ["cells", "measure"]

BLOCKS_HELD_OUT, BLOCKS = 7, 4  # of 2,000 frames: 28,000 of the held-out products


def cells(effort: Effort) -> list[Cell]:
    if not stations.there() or effort is Effort.SMOKE:
        return []
    full = effort is Effort.FULL
    golden = stations.GOLDEN if full else stations.GOLDEN // 4
    held = held_out.PRODUCTS if full else held_out.PRODUCTS[:1]
    others = [product for product in stations.PRODUCTS if product not in held_out.PRODUCTS] if full else ["BRG01_RL"]
    causes = CAUSES if full else CAUSES[::4]
    found = [story(product, cause, strength, golden) for cause in causes for product in held for strength in (2.0, 3.0)]
    for product in held:
        found += quiet_cells(product, golden, BLOCKS_HELD_OUT if full else 1)
    for product in others:
        found += quiet_cells(product, golden, BLOCKS if full else 1)
    return found
