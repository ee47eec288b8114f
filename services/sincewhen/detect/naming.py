"""What a displacement looks like: the nearest fingerprint by its angle in half-whitened space, or "unknown".

A name is given only where the angle is closer than in-control stretches ever come, and clearly ahead of the next
family; causes of one family, which can't be told apart, are named together (3-detection §5.1).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.library import CLASS_MIX, Library
from sincewhen_schemas.messages import Likeness

UNKNOWN = "unknown"
COSINE_MIN = 0.6
AHEAD_MIN = 0.05


@dataclass(frozen=True, slots=True)
class Name:
    """cause: names joined by " or ", or "unknown"; cosine with the nearest fingerprint; strength 0..5, 0 = none known.

    ahead: cosine less that of the next family. near: share of the decision limit of that cause, None = not known.
    """

    cause: str
    cosine: float
    ahead: float
    strength: float
    near: float | None
    alike: tuple[Likeness, ...] = ()  # every known cause


def name(library: Library | None, mean: NDArray[np.floating], noise: float) -> Name:
    """Name a mean displacement (k,); noise: expected squared length of its error in half-whitened space."""
    if library is None:
        return Name(UNKNOWN, 0.0, 0.0, 0.0, None)
    turned = np.asarray(mean, np.float64) @ library.half
    known = library.displacement.astype(np.float64) @ library.half
    lengths = np.linalg.norm(known, axis=1)
    along = known @ turned / lengths
    # the error lengthens what is measured, not what it points along
    size = np.sqrt(max(float(turned @ turned) - noise, float(along.max()) ** 2, 1e-12))
    cosine = along / size
    best = int(np.argmax(cosine))
    family = np.array(library.families)
    others = cosine[family != family[best]]
    ahead = float(cosine[best] - (others.max() if len(others) else -1.0))
    limit = library.limits.get(library.causes[best])
    near = None if limit is None else float(np.linalg.norm(mean)) / limit
    sure = cosine[best] >= max(COSINE_MIN, library.cosine_min) and ahead >= AHEAD_MIN
    alike = _alike(library, cosine)
    if not sure:
        return Name(UNKNOWN, float(cosine[best]), ahead, 0.0, near, alike)
    strength = _strength(library, along, lengths, best)
    return Name(_spoken(library, cosine, best), float(cosine[best]), ahead, strength, near, alike)


def _alike(library: Library, cosine: NDArray[np.float64]) -> tuple[Likeness, ...]:
    nearest: dict[str, int] = {}
    for row, cause in enumerate(library.causes):
        if cause not in nearest or cosine[row] > cosine[nearest[cause]]:
            nearest[cause] = row
    return tuple(
        Likeness(cause=cause, family=library.families[row], cosine=float(cosine[row])) for cause, row in nearest.items()
    )


def _spoken(library: Library, cosine: NDArray[np.float64], best: int) -> str:
    """The family's causes that come close to the best one, nearest first."""
    close: dict[str, float] = {}
    for row, cause in enumerate(library.causes):
        if library.families[row] == library.families[best] and cosine[row] > cosine[best] - AHEAD_MIN:
            close[cause] = max(close.get(cause, -1.0), float(cosine[row]))
    return " or ".join(sorted(close, key=lambda cause: -close[cause]))


def _strength(library: Library, along: NDArray[np.float64], lengths: NDArray[np.float64], best: int) -> float:
    """Where the displacement lies among the strengths of the cause, between two of them linear."""
    if library.causes[best] == CLASS_MIX:
        return 0.0
    rows = [row for row, cause in enumerate(library.causes) if cause == library.causes[best]]
    sizes = np.maximum.accumulate(lengths[rows])
    return float(np.interp(along[best], np.concatenate([[0.0], sizes]), [0, *library.strengths[rows].tolist()]))
