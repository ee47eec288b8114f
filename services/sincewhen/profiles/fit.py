"""Fit a profile's parts on golden frames: basis, means, quantiles, nulls (3-detection §2)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.embedding import Basis, Common, apply_basis, fit_basis, fit_common, fit_shared
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.library import fit_library, half_whitening
from sincewhen.profiles.null import StreamNull
from sincewhen.profiles.profile import LayerProfile, ScalarProfile
from sincewhen.profiles.regime import (
    FRAMES_MIN,
    Regime,
    fit_regimes,
    judged,
    known_regimes,
    left_out,
    regime_names,
    residuals,
)
from sincewhen.profiles.scalar import fit_quantiles, normal_scores
from sincewhen.profiles.slices import Parting, fit_parting, fit_slices
from sincewhen.profiles.streams import SQUARED
from sincewhen.profiles.variance import Before, Runs, stream_null
from sincewhen_schemas.frames import Strings
from sincewhen_schemas.reference import ReferenceSet

DIMS_MAX = 64
_FRAMES_PER_DIM = 10
_ONE_VALUE_MAX = 0.95  # share of golden frames that may carry one and the same value
_LEFT_MIN = 1e-5  # of a layer's variance outside of its principal axes, below which that is rounding
_MEASURED_MIN = 0.8  # share of golden frames that must carry a scalar


@dataclass(frozen=True, slots=True)
class Fitted:
    layers: dict[str, LayerProfile]
    scalars: dict[str, ScalarProfile]
    warnings: tuple[str, ...]
    regimes: dict[str, float]


def fit_bases(golden: Golden, common: Mapping[str, Common], later: Golden) -> dict[str, Basis]:
    """A basis for each layer that varies at all, within a common one or, where there is none, within its own.

    later: frames after the golden ones, by which the clip radius within a common one is chosen.
    """
    k = dims_max(golden.n)
    return {
        name: fit_shared(common[name], x, k, later.layers[name])
        if name in common
        else fit_basis(fit_common([x], k), x, k)
        for name, x in golden.layers.items()
        if np.ptp(x, axis=0).any()
    }


def dims_max(frames: int) -> int:
    """Coordinates that so many frames can tell."""
    return min(DIMS_MAX, frames // _FRAMES_PER_DIM)


def fit_partings(golden: Golden, bases: dict[str, Basis]) -> dict[str, Parting]:
    """Semantic slices of the widest layer, which in image models is the deepest, on the frames of its basis."""
    if not bases:
        return {}
    layer = max(bases, key=lambda name: (len(bases[name].center), name))
    coordinates, _, _ = apply_basis(bases[layer], golden.layers[layer])
    names = regime_names(golden.regime, known_regimes(golden.regime), golden.n)
    _, x = fit_regimes(coordinates.astype(np.float64), names)
    parting = fit_parting(x, half_whitening(bases[layer]))
    return {} if parting is None else {layer: parting}


def fit(
    golden: Golden,
    bases: dict[str, Basis],
    partings: dict[str, Parting],
    *,
    by_lot: bool,
    before: Golden | None = None,
    reference: ReferenceSet | None = None,
) -> Fitted:
    """Means, quantiles, nulls and fingerprints on `golden`, whose frames the bases and partings have not seen.

    by_lot: its lots are enough to tell how lots differ. before: the frames of the bases, for how lots differ alone; T²
    and SPE, which are less on the frames of their own basis, go without.
    """
    known = known_regimes(golden.regime)
    warnings = [
        f"{name!r} is judged as a new regime: {count} golden frames, needs {FRAMES_MIN}"
        for name, count in left_out(golden.regime, known).items()
    ]
    golden, names = _judged(golden, known)
    earlier = None if before is None or not by_lot else _Earlier.of(before, known)
    instead = by_lot and codes_of(golden.lot) is None  # shifts are in the place of lots
    codes = Runs(lot_codes(golden) if by_lot else None, None if instead else codes_of(golden.shift))
    layers: dict[str, LayerProfile] = {}
    scalars: dict[str, ScalarProfile] = {}
    raw = dict(golden.scalars)
    for layer, basis in bases.items():
        coordinates, raw[f"t2:{layer}"], spe = apply_basis(basis, golden.layers[layer])
        if np.median(spe) > math.log(_LEFT_MIN * golden.layers[layer].var(axis=0, dtype=np.float64).sum()):
            raw[f"spe:{layer}"] = spe
        else:
            warnings.append(f"spe:{layer} is left out: nothing lies outside of its {len(basis.deviation)} axes")
        own, x = fit_regimes(coordinates.astype(np.float64), names)
        library = fit_library(basis, layer, reference, x, golden.decision)
        more = None
        if earlier is not None:
            more = earlier.about(apply_basis(basis, earlier.golden.layers[layer])[0], own)
        null = stream_null(x, codes, more)
        slices = fit_slices(partings[layer], x, codes, null) if layer in partings else None
        layers[layer] = LayerProfile(basis, own, null, library, slices)
    for stream in sorted(raw):
        squared = stream.startswith(SQUARED)
        scalar = _fit_scalar(raw[stream], names, codes, None if squared else earlier, stream)
        if isinstance(scalar, str):
            warnings.append(f"{stream} is left out: {scalar}")
        else:
            scalars[stream] = replace(scalar, null=replace(scalar.null, patient=squared))
    return Fitted(layers, scalars, tuple(warnings), known)


def lot_codes(golden: Golden) -> NDArray[np.int64] | None:
    """The lots as numbers (G,); where no frame names one the shifts, which differ by nature like lots; or None."""
    named = codes_of(golden.lot)
    return codes_of(golden.shift) if named is None else named


def codes_of(names: Strings | None) -> NDArray[np.int64] | None:
    """Names as numbers (G,), or None where there is none."""
    if names is None or not (names != "").any():
        return None
    return np.unique(names.astype(str), return_inverse=True)[1].astype(np.int64)


def slow_ratio(null: StreamNull, *, but_shifts: bool = False) -> float:
    """vt(n_max) / vt(n_max / 2), mean over coordinates: far above 1 = slower than the golden frames can show.

    What lots explain of a window of n_max / 2 frames is added to both: a coordinate that lots rule is not slow.
    but_shifts: as if no shift differed from another.
    """
    shifts, run = null.sigma2_shift * but_shifts, null.n_ref / max(1, null.shifts)
    known = null.n_max / 2 * (null.sigma2_lot + shifts)

    def left(n: int) -> NDArray[np.float32]:
        by_shift = shifts * (n - n * min(n, run) / (3 * run))  # a window of n frames in runs of so many
        return np.asarray(np.maximum(null.vt[n - 1] - by_shift, 0) + known, np.float32)

    return float(np.mean(left(null.n_max) / left(max(1, null.n_max // 2))))


def _judged(golden: Golden, known: dict[str, float]) -> tuple[Golden, Strings]:
    """The frames of conditions that can be judged, and their names."""
    names = regime_names(golden.regime, known, golden.n)
    kept = judged(names, known)
    return golden.take(kept), names[kept]


@dataclass(frozen=True, slots=True)
class _Earlier:
    """Frames before the fitted ones, of conditions that can be judged."""

    golden: Golden
    names: Strings
    lots: NDArray[np.int64]

    @staticmethod
    def of(golden: Golden, known: dict[str, float]) -> "_Earlier | None":
        golden, names = _judged(golden, known)
        codes = lot_codes(golden)
        return None if codes is None else _Earlier(golden, names, codes)

    def about(
        self, x: NDArray[np.floating], regimes: dict[str, Regime], seen: NDArray[np.bool_] | None = None
    ) -> Before:
        """Positions x (E, d) about the conditions' means."""
        rows = slice(None) if seen is None else seen
        return Before(np.asarray(residuals(x, self.names, regimes)[rows], np.float64), self.lots[rows])


def _fit_scalar(
    values: NDArray[np.float64], names: Strings, codes: Runs, earlier: _Earlier | None, stream: str
) -> ScalarProfile | str:
    seen = np.isfinite(values)
    if seen.mean() < _MEASURED_MIN:
        return f"measured in {seen.mean():.0%} of the golden frames, needs {_MEASURED_MIN:.0%}"
    commonest = np.unique(values[seen], return_counts=True)[1].max() / seen.sum()
    if commonest > _ONE_VALUE_MAX:
        return f"it is one value in {commonest:.0%} of the golden frames, may be in {_ONE_VALUE_MAX:.0%}"
    quantiles = fit_quantiles(values[seen])
    scores = normal_scores(quantiles, values[seen])[:, None]
    own, x = fit_regimes(scores, names[seen])
    more = None
    if earlier is not None:
        past = earlier.golden.scalars[stream]
        more = earlier.about(normal_scores(quantiles, past)[:, None], own, np.isfinite(past))
    return ScalarProfile(quantiles, float(scores.mean()), own, stream_null(x, codes.of(seen), more))
