"""Which common basis a layer of a station is measured within (3-detection §2): pure, of embeddings alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.embedding import Common, explained, fit_common

EXPLAINED_MIN = 0.95  # of the variance that a station's own axes explain
ROWS_MAX = 4096  # of all stations together, which a pooled basis is fitted on
Embeddings = NDArray[np.float32]


def explained_share(common: Common, basis: Embeddings, rest: Embeddings, dims: int) -> float:
    """How much of a station's variance a common basis explains, over what its own axes, `dims` of them, explain.

    basis (G, d) are the frames that its own axes are fitted on, rest (R, d) those that tell.
    """
    told = rest[:: max(1, len(rest) // ROWS_MAX)]
    own = explained(fit_common([basis], dims), told)
    return explained(common, told) / max(own, float(np.finfo(float).tiny))


def pooled(stations: Sequence[Embeddings], dims: int) -> Common:
    """Of the newest frames (G, d) of each station, as many of each, in their order."""
    rows = min(ROWS_MAX // len(stations), *map(len, stations)) if len(stations) > 1 else ROWS_MAX
    return fit_common([x[-rows:] for x in stations], dims)
