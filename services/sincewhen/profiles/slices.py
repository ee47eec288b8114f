"""Semantic slices: parts of what a station shows that look alike, each with an in-control behaviour of its own.

A change that touches one kind of picture only is diluted among all the others; in its slice it is not. Slices part the
half-whitened space, where the large differences between pictures count for more than noise, by k-means.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from sincewhen.profiles.null import StreamNull
from sincewhen.profiles.variance import Runs, stream_null

SLICES_MAX = 6
FRAMES_MIN = 430  # of a part, among 40 % of the golden frames: with 60 % of them it has 640
WINDOW_MIN = 32  # longest window that a slice's golden frames must measure for a page: shorter ones see outliers
_SEED = 1967  # of k-means, so that equal frames make equal profiles
_ROUNDS = 30
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parting:
    """A frame with coordinates x (k,) belongs to the slice of the greatest x·weights − offset: the nearest centroid."""

    weights: NDArray[np.float32]  # (k, m)
    offset: NDArray[np.float32]  # (m,)

    def of(self, x: NDArray[np.floating]) -> NDArray[np.intp]:
        """The slice (n,) of each row of x (n, k)."""
        return np.asarray(np.argmax(x @ self.weights - self.offset, axis=1))


@dataclass(frozen=True, slots=True)
class Slice:
    """One part: its share of the golden frames, their mean (k,) and the null of what is left."""

    share: float
    mean: NDArray[np.float32]
    null: StreamNull


@dataclass(frozen=True, slots=True)
class Slices:
    """By number of the part; parts with too few golden frames are no streams."""

    parting: Parting
    parts: dict[int, Slice]


def fit_parting(x: Floats, half: NDArray[np.floating]) -> Parting | None:
    """Of golden coordinates x (G, k), half (k, k) their map to half-whitened space; None where frames are too few."""
    count = min(SLICES_MAX, len(x) // FRAMES_MIN)
    if count < 2:  # noqa: PLR2004 - one part is the whole
        return None
    rng = np.random.default_rng(_SEED)
    centroids, _ = kmeans2(x @ half, count, iter=_ROUNDS, minit="++", rng=rng, missing="warn")
    weights, offset = half @ centroids.T, 0.5 * np.sum(centroids**2, axis=1)
    return Parting(weights.astype(np.float32), offset.astype(np.float32))


def fit_slices(parting: Parting, x: Floats, runs: Runs, whole: StreamNull) -> Slices:
    """Of golden coordinates x (G, k) that the parting has not seen, and their null.

    Frames of a slice may follow each other as closely as those of the whole do, for a while: its windows' variance is
    at least that of theirs, however far apart its golden frames were on average.
    """
    number = parting.of(x)
    parts: dict[int, Slice] = {}
    for part in range(len(parting.offset)):
        rows = number == part
        if rows.sum() >= FRAMES_MIN:
            mean = x[rows].mean(axis=0)
            null = stream_null(x[rows] - mean, runs.of(rows))
            null = replace(null, vt=np.maximum(null.vt, whole.vt[: null.n_max]), sparse=True)
            parts[part] = Slice(float(rows.mean()), mean.astype(np.float32), null)
    return Slices(parting, parts)


def only_record(slices: Slices, numbers: set[int]) -> Slices:
    """These parts are watched and never page: their own golden frames did not pass."""
    parts = {
        number: replace(part, null=replace(part.null, lot_score_limit=math.inf)) if number in numbers else part
        for number, part in slices.parts.items()
    }
    return Slices(slices.parting, parts)
