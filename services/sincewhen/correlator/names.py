"""What a line's or plant's change looks like: the known cause whose pattern all scores of its layer show, or "unknown".

A displacement along one cause moves the scores along all others by their cosine with it, and those are how the scores
vary together in control. One that no cause explains moves some score as well, but not the others as that cause would.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sincewhen.correlator.mean import MEMBERS_MIN, GroupMean
from sincewhen.detect.naming import AHEAD_MIN, UNKNOWN
from sincewhen.profiles.library import BOTH_WAYS
from sincewhen.profiles.streams import CAUSES, cause_of, layer_of

COSINE_MIN = 0.9  # only within what the scores span, so it is more than a station's layer needs
_BINS_MIN = 64  # that tell how scores vary together
_RIDGE = 1e-3

Floats = NDArray[np.float64]


def named(stream: str, means: Mapping[str, GroupMean], since: int) -> tuple[str, float]:
    """Causes that can't be told apart joined by " or ", and the best one's cosine, of a change since a bin.

    means: the group's, by stream, of which `stream` has changed.
    """
    if not stream.startswith(CAUSES):
        return UNKNOWN, 0.0
    known = {
        name: mean
        for name, mean in sorted(means.items())
        if name.startswith(CAUSES) and layer_of(name) == layer_of(stream) and mean.reference is not None
    }
    bins, values = _together(known, set(means[stream].head.left_out))
    moved = bins >= since
    if len(bins) < _BINS_MIN or not moved.any():
        return UNKNOWN, 0.0
    cosine = _cosines(values, moved, list(known.values()))
    causes = [cause_of(name) for name in known]
    cosine = np.where(np.isin(causes, list(BOTH_WAYS)), np.abs(cosine), cosine)
    best = float(cosine.max())
    if best < COSINE_MIN:
        return UNKNOWN, max(best, 0.0)
    return " or ".join(causes[i] for i in np.argsort(-cosine) if cosine[i] > best - AHEAD_MIN), best


def _together(known: Mapping[str, GroupMean], left_out: set[str]) -> tuple[NDArray[np.int64], Floats]:
    """Bins (n,) that all means have, and the values of each mean in them (n, D), without some members."""
    columns: list[dict[int, float]] = []
    for mean in known.values():
        ring = mean.ring
        values = ring.values[:, [member not in left_out for member in ring.members]]
        count = (~np.isnan(values)).sum(axis=1)
        sums = np.nansum(values, axis=1) / np.sqrt(np.maximum(count, 1))
        columns.append({bin_: float(x) for bin_, x, n in zip(ring.bins, sums, count, strict=True) if n >= MEMBERS_MIN})
    bins = sorted(set.intersection(*map(set, columns)))
    return np.array(bins, np.int64), np.array([[column[bin_] for column in columns] for bin_ in bins])


def _cosines(values: Floats, moved: NDArray[np.bool_], means: list[GroupMean]) -> Floats:
    """Of each score's direction with the change, among all directions that the scores span; its noise taken out."""
    steps = np.diff(values, axis=0)  # a change of the mean is one step among many
    covariance = steps.T @ steps / (2 * len(steps))
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    correlation = covariance / np.outer(scale, scale) + _RIDGE * np.eye(len(scale))
    frames = int(moved.sum())
    nulls = [mean.reference for mean in means if mean.reference is not None]
    along = (values[moved].sum(axis=0) - frames * np.array([known.mean for known in nulls])) / scale
    vt = np.array([known.null.vt[min(frames, known.null.n_max) - 1, 0] for known in nulls])
    noise = frames * float((vt / scale**2).sum())
    size2 = float(along @ np.linalg.solve(correlation, along)) - noise
    return np.asarray(along / np.sqrt(max(size2, float(np.max(along**2)), 1e-12)))
