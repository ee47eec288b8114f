"""Effect-size gate: with enough frames everything is significant; only more than lots do by nature is worth a page."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.null import StreamNull


def verdict(mean: NDArray[np.floating], frames: int, null: StreamNull) -> Literal["paging", "recorded"]:
    """`recorded` where the mean (d,) of so many drifted frames could be a lot's, as far as the golden lots tell."""
    return "paging" if null.lot_score(mean, frames) > null.lot_score_limit else "recorded"


def smallest_paging(along: NDArray[np.floating], frames: int, null: StreamNull) -> float:
    """The displacement along a unit direction (d,) from which so many drifted frames page; 0 where lots are unknown."""
    return math.sqrt(null.lot_score_limit / null.lot_score(along, frames))
