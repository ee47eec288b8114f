"""Effect-size gate: with enough frames everything is significant; only more than lots do by nature is worth a page."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.null import LOT_FRAMES, StreamNull

MARGIN = 2.0  # times the score of the most unusual golden lot


def verdict(mean: NDArray[np.floating], frames: int, null: StreamNull) -> Literal["paging", "recorded"]:
    """`recorded` where the mean (d,) of so many drifted frames could be a lot's, as far as the golden lots tell.

    Each golden lot was held against the others; a few tens of lots say nothing of the tail, hence the margin.
    """
    if not len(null.lot_score_max):
        return "paging"
    level = min(len(null.lot_score_max) - 1, max(0, int(math.log2(max(frames, 1) / LOT_FRAMES))))
    limit = MARGIN * float(null.lot_score_max[level])
    return "paging" if null.lot_score(mean, frames) > limit else "recorded"
