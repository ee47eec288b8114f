"""Effect-size gate: with enough frames everything is significant; only more than lots do by nature is worth a page."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.null import StreamNull

_SPREADS = 1.96  # 95 % of lots lie within this many standard deviations


def verdict(displacement: NDArray[np.floating], null: StreamNull) -> Literal["paging", "recorded"]:
    """`recorded` where the displacement (d,) lies within the natural between-lot spread of its own direction."""
    size = float(np.linalg.norm(displacement))
    if size == 0 or not null.sigma2_lot.any():
        return "paging"
    along = float(np.sqrt(np.sum((displacement / size) ** 2 * null.sigma2_lot)))
    return "paging" if size > _SPREADS * along else "recorded"


def size(displacement: NDArray[np.floating]) -> float:
    """Mahalanobis size of a displacement of whitened coordinates."""
    return math.sqrt(float(np.sum(np.square(displacement, dtype=np.float64))))
