"""What changed: precision and share of names just below strength 3, on every product; and real ramps, since when."""

from benchmarks import held_out, stations
from benchmarks.cell import Cell, Effort
from benchmarks.subjects.story import STRENGTHS, measure, story
from sincewhen_edge.reference.faults import CAUSES

__all__ = ["cells", "measure"]

RAMPED = ("haze", "contrast_loss", "defocus", "glare", "brightness_down", "dirt")  # what grows in a plant
RAMP_FRAMES, RAMP_STRENGTH = 400, 3.5
FEW_PRODUCTS = ("BRG01_RL", "BTN01_RL")  # of a quick run, which people tune by
_FEW_CAUSES = [cause for cause in CAUSES if cause not in held_out.FAULTS][::4]


def cells(effort: Effort) -> list[Cell]:
    if not stations.there() or effort is Effort.SMOKE:
        return []
    full = effort is Effort.FULL
    golden = stations.GOLDEN if full else stations.GOLDEN // 4
    products, causes = (stations.PRODUCTS, CAUSES) if full else (FEW_PRODUCTS, _FEW_CAUSES)
    steps = [story(product, cause, STRENGTHS[-1], golden) for cause in causes for product in products]
    ramped = RAMPED if full else RAMPED[:1]
    ramps = [
        story(product, cause, RAMP_STRENGTH, golden, RAMP_FRAMES, repetition)
        for repetition in range(1 + full)
        for cause in ramped
        for product in products
    ]
    return [*steps, *ramps]
