"""What known causes do to one layer: fingerprints of a station's own images through its own model (3-detection §2.6).

A fingerprint is the mean displacement of the layer's coordinates between an image and its corrupted copy. Beside the
faults of the reference set stand class mixes: a changed share of a decision moves the mean too, and is no fault.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.embedding import Basis, apply_basis
from sincewhen_schemas.frames import Strings
from sincewhen_schemas.reference import STRENGTHS, ReferenceSet

CLASS_MIX = "class_mix"
ALIKE_COSINE = 0.95  # strengths of one cause are one direction to the detector from here on
FAMILY_COSINE = 0.9  # causes that can't be told apart from here on
_CLASS_FRAMES_MIN = 30
BOTH_WAYS = {"rotation", "offset", "zoom", "colour_cast"}  # a reference set shows one way of two
_SIGNAL_MIN = 3.0  # a fingerprint's squared length over its own noise
_DIRECTIONS_MAX = 40
_WINDOW_FRAMES, _CONTROL_QUANTILE = 64, 0.99
_FLIPS_MIN = 0.05  # share of the images whose decision flips, from which decisions count as affected
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Library:
    """F fingerprints of one layer. strength 0: of a class mix."""

    causes: tuple[str, ...]  # of each fingerprint
    strengths: NDArray[np.int64]  # (F,)
    displacement: NDArray[np.float32]  # (F, k)
    families: tuple[int, ...]  # of each fingerprint; causes of one number look alike
    half: NDArray[np.float32]  # (k, k) to half-whitened space, rows are coordinates
    cosine_min: float  # in control the best cosine is below, 99 %
    limits: dict[str, float]  # by cause: the displacement at which decisions begin to flip; absent: they did not

    @property
    def decision_limit(self) -> float | None:
        """The smallest displacement at which decisions begin to flip."""
        return min(self.limits.values(), default=None)

    @property
    def directions(self) -> NDArray[np.float32]:
        """The directions that the detector looks along (D, k), unit length; strengths that look alike are one."""
        kept: list[NDArray[np.float32]] = []
        for row in np.argsort(-self.strengths, kind="stable"):
            unit = self.displacement[row] / np.linalg.norm(self.displacement[row])
            if all(float(unit @ other) < ALIKE_COSINE for other in kept):
                kept.append(unit)
        return np.array(kept[:_DIRECTIONS_MAX], np.float32).reshape(-1, self.displacement.shape[1])


def fit_library(
    basis: Basis, layer: str, reference: ReferenceSet | None, residuals: Floats, decision: Strings | None
) -> Library | None:
    """From the reference set and the golden residuals (G, k) with their decisions (G,); None where nothing is known."""
    rows: list[tuple[str, int, Floats]] = []
    limits: dict[str, float] = {}
    if reference is not None and layer in reference.clean:
        pairs = _pairs(basis, reference, layer)
        rows += _faults(reference, pairs)
        limits = _limits(reference, pairs)
    rows += _class_mixes(residuals, decision)
    if not rows:
        return None
    displacement = np.array([row for _, _, row in rows], np.float32)
    half = half_whitening(basis)
    turned = displacement @ half
    unit = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    causes = tuple(cause for cause, _, _ in rows)
    return Library(
        causes=causes,
        strengths=np.array([strength for _, strength, _ in rows]),
        displacement=displacement,
        families=_families(causes, unit),
        half=half,
        cosine_min=_in_control(residuals, half, unit),
        limits=limits,
    )


def half_whitening(basis: Basis) -> NDArray[np.float32]:
    """Map (k, k) from final coordinates to C^(-1/4) of the embedding: between raw and whitened, where causes part best.

    A displacement's rows times it. C has the PCA spreads; its fourth root is half of the whitening undone.
    """
    spread = basis.deviation.astype(np.float64)
    back = np.linalg.pinv(basis.rotate.astype(np.float64))
    half = back * np.sqrt(spread / np.median(spread))
    return np.asarray(half, np.float32)


def _pairs(basis: Basis, reference: ReferenceSet, layer: str) -> Floats:
    """Displacement of each corrupted copy (causes, strengths, m, k) from its own image."""
    clean, _, _ = apply_basis(basis, reference.clean[layer].astype(np.float32))
    faults = reference.faults[layer]
    flat, _, _ = apply_basis(basis, faults.reshape(-1, faults.shape[-1]).astype(np.float32))
    return flat.reshape(*faults.shape[:-1], -1).astype(np.float64) - clean


def _faults(reference: ReferenceSet, pairs: Floats) -> list[tuple[str, int, Floats]]:
    """Those that stand out from the noise of their own mean."""
    mean = pairs.mean(axis=2)
    noise = (pairs.var(axis=2, ddof=1) / pairs.shape[2]).sum(axis=-1)
    seen = (mean**2).sum(axis=-1) > _SIGNAL_MIN * noise
    return [
        (cause, strength, sign * mean[c, s])
        for c, cause in enumerate(reference.causes)
        for sign in ((1, -1) if cause in BOTH_WAYS else (1,))
        for s, strength in enumerate(STRENGTHS)
        if seen[c, s]
    ]


def _limits(reference: ReferenceSet, pairs: Floats) -> dict[str, float]:
    """By cause the displacement where the share of flips passes _FLIPS_MIN, linear between two strengths."""
    if reference.decision_clean is None or reference.decision_faults is None:
        return {}
    size = np.linalg.norm(pairs.mean(axis=2), axis=-1)
    flips = (reference.decision_faults != reference.decision_clean).mean(axis=-1)
    found: dict[str, float] = {}
    for c, cause in enumerate(reference.causes):
        at = np.flatnonzero(flips[c] >= _FLIPS_MIN)
        if not len(at):
            continue
        s = int(at[0])
        before_flips, before_size = (flips[c, s - 1], size[c, s - 1]) if s else (0.0, 0.0)
        share = (_FLIPS_MIN - before_flips) / max(flips[c, s] - before_flips, 1e-9)
        found[cause] = float(before_size + share * (size[c, s] - before_size))
    return found


def _class_mixes(residuals: Floats, decision: Strings | None) -> list[tuple[str, int, Floats]]:
    """Where the mean goes when one decision becomes more, or less, frequent."""
    if decision is None:
        return []
    found = []
    names, counts = np.unique(decision.astype(str), return_counts=True)
    for name, count in zip(names, counts, strict=True):
        if name and _CLASS_FRAMES_MIN <= count <= len(decision) - _CLASS_FRAMES_MIN:
            toward = residuals[decision == name].mean(axis=0) - residuals[decision != name].mean(axis=0)
            found += [(CLASS_MIX, 0, toward), (CLASS_MIX, 0, -toward)]
    return found


def _families(causes: Sequence[str], unit: NDArray[np.floating]) -> tuple[int, ...]:
    """Causes whose fingerprints can't be told apart, by one number: joined where any two of theirs are that close."""
    names = list(dict.fromkeys(causes))
    joined = {name: number for number, name in enumerate(names)}
    cosine = unit @ unit.T
    for a, b in zip(*np.nonzero(cosine > FAMILY_COSINE), strict=True):
        one, other = joined[causes[a]], joined[causes[b]]
        if one != other:
            joined = {name: min(one, other) if number in {one, other} else number for name, number in joined.items()}
    return tuple(joined[cause] for cause in causes)


def _in_control(residuals: Floats, half: NDArray[np.floating], unit: NDArray[np.floating]) -> float:
    """The 99 % quantile of the best cosine among means of short stretches of golden frames."""
    count = len(residuals) // _WINDOW_FRAMES
    if count == 0:
        return 1.0
    means = residuals[: count * _WINDOW_FRAMES].reshape(count, _WINDOW_FRAMES, -1).mean(axis=1) @ half
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return float(np.quantile((means @ unit.T).max(axis=1), _CONTROL_QUANTILE))
