"""Scores along known causes: one number a frame and cause, which stations without a common basis can add up.

Each station projects on its own fingerprint, so that the same cause moves every station's score the same way. One
layer of a view is enough: the widest with fingerprints, as for semantic slices. Class mixes have no scores: what a
decision is more of is another direction at each station.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sincewhen.profiles.library import CLASS_MIX, Library
from sincewhen.profiles.profile import Profile
from sincewhen.profiles.streams import cause_stream

SCORES_MAX = 16  # causes of a view

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CauseScores:
    """D causes of one layer: `of` gives scores whose long sums vary as `variance` (D,) a frame, lots left out."""

    layer: str
    streams: tuple[str, ...]
    weights: Floats  # (k, D)
    variance: Floats  # (D,) 1, were the layer's coordinates uncorrelated

    def of(self, x: NDArray[np.float32]) -> Floats:
        """Scores (n, D) of positions x (n, k)."""
        scores = np.zeros((len(x), len(self.streams)))
        _project(x, self.weights, scores)
        return scores


@njit(cache=True)
def _project(x, weights, scores):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """Like x @ weights, but no row's score depends on how many rows there are."""
    for row in range(len(x)):
        for k in range(len(weights)):
            for i in range(weights.shape[1]):
                scores[row, i] += x[row, k] * weights[k, i]


def cause_scores(profile: Profile) -> CauseScores | None:
    """Of the widest layer with fingerprints of faults; None where there is none.

    x·w, w = f/v / sqrt(Σ f²/v), is the most powerful linear look at a displacement along f where coordinates vary by v.
    """
    known = {name: fitted.library for name, fitted in profile.layers.items() if fitted.library}
    known = {name: library for name, library in known.items() if _causes(library)}
    if not known:
        return None
    layer = max(known, key=lambda name: (len(profile.layers[name].basis.center), name))
    null, causes = profile.layers[layer].null, _causes(known[layer])
    v = null.vt[-1].astype(np.float64)
    directions = np.array([_direction(known[layer], cause) for cause in causes])
    weights = directions / v / np.sqrt((directions**2 / v).sum(axis=1, keepdims=True))
    return CauseScores(
        layer=layer,
        streams=tuple(cause_stream(layer, cause) for cause in causes),
        weights=np.ascontiguousarray(weights.T),
        variance=np.array([null.spread(weight) for weight in weights]),
    )


def _causes(library: Library) -> tuple[str, ...]:
    return tuple(cause for cause in dict.fromkeys(library.causes) if cause != CLASS_MIX)[:SCORES_MAX]


def _direction(library: Library, cause: str) -> Floats:
    """Mean direction (k,) over its strengths; of a fault with two ways, the one that the reference set shows."""
    rows = np.array([known == cause for known in library.causes])
    moves = library.displacement[rows].astype(np.float64)
    unit = moves / np.linalg.norm(moves, axis=1, keepdims=True)
    return np.asarray(unit[unit @ unit[0] > 0].mean(axis=0))
