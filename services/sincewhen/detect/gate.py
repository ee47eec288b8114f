"""Effect-size gate: with enough frames everything is significant; only more than lots do by nature is worth a page."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.null import StreamNull

_FAR = 2.0  # T² as a share of its limit, from which it pages whatever its layer says
_EARLY = 1.25  # of the limit, for a page before the change is confirmed: it is looked at several times, in few frames


def verdict(
    mean: NDArray[np.floating],
    frames: int,
    null: StreamNull,
    layer: NDArray[np.floating] | None = None,
    *,
    confirmed: bool = True,
) -> Literal["paging", "recorded"]:
    """`recorded` where the mean (d,) of so many drifted frames could be a lot's, as far as the golden lots tell.

    layer: of T², its layer's newest rows (n, k). Lots that deviate along few directions have a T² with a long tail,
    which few golden lots don't show. So the less it is over its limit, the nearer its layer has to be to its own: their
    product counts.
    """
    score, limit = null.lot_score(mean, frames), null.lot_score_limit * (1 if confirmed else _EARLY)
    if score <= limit:
        return "recorded"
    if null.layer is None or layer is None or score > _FAR * limit:
        return "paging"
    rows = layer[-frames:].astype(np.float32)
    displaced = null.layer.lot_score(rows.mean(axis=0), len(rows))
    return "paging" if score * displaced > limit * null.layer.lot_score_limit else "recorded"


def smallest_paging(along: NDArray[np.floating], frames: int, null: StreamNull) -> float:
    """The displacement along a unit direction (d,) from which so many drifted frames page; 0 where lots are unknown."""
    return math.sqrt(null.lot_score_limit / null.lot_score(along, frames))
