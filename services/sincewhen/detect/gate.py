"""Effect-size gate: with enough frames everything is significant; only more than lots do by nature is worth a page."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.null import StreamNull


def verdict(mean: NDArray[np.floating], frames: int, null: StreamNull) -> Literal["paging", "recorded"]:
    """`recorded` where the mean (d,) of so many drifted frames could be a lot's, as far as the golden lots tell."""
    return "paging" if null.lot_score(mean, frames) > null.lot_score_limit else "recorded"
