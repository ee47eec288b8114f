"""Effect-size gate: with enough frames everything is significant; only more than lots do by nature is worth a page."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.null import LOT_FRAMES, StreamNull


def verdict(mean: NDArray[np.floating], frames: int, null: StreamNull) -> Literal["paging", "recorded"]:
    """`recorded` where the mean (d,) of so many drifted frames could be a lot's, as far as the golden lots tell."""
    if not len(null.lot_score_limit):
        return "paging"
    level = min(len(null.lot_score_limit) - 1, max(0, int(math.log2(max(frames, 1) / LOT_FRAMES))))
    return "paging" if null.lot_score(mean, frames) > null.lot_score_limit[level] else "recorded"
