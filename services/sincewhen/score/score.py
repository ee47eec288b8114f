"""Positions of a batch in every stream of a profile."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.embedding import apply_basis
from sincewhen.profiles.profile import LayerProfile, Profile, ScalarProfile
from sincewhen.profiles.regime import doubts, judged, regime_names, residuals
from sincewhen.profiles.scalar import normal_scores
from sincewhen.profiles.streams import SQUARED, parsed, slice_stream
from sincewhen_schemas.frames import Strings

_FAR = math.log(2.0)  # T² or SPE beyond twice the golden frames' greatest
Positions = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scores:
    """Whitened residuals of n frames by stream; a row that is not valid is zeros and must not be used."""

    positions: dict[str, Positions]  # (n, d) each
    valid: dict[str, Mask]  # (n,) each
    new_regime: Mask  # (n,) frames of a condition that the profile does not know, or far from all golden frames
    doubt: NDArray[np.float32]  # (n,) variance of the mean they are held against, over that of the null's reference

    def layer(self, stream: str) -> Positions | None:
        """The positions (n, k) of the layer that a stream is the T² of."""
        kind, name, _ = parsed(stream)
        return self.positions[f"embedding:{name}"] if kind == "t2" else None


def score(
    profile: Profile,
    layers: Mapping[str, NDArray[np.floating]],
    scalars: Mapping[str, NDArray[np.floating]],
    *,
    n: int,
    present: Mapping[str, Mask] | None = None,
    regime: Strings | None = None,
) -> Scores:
    """Score n frames. A stream of the profile that the batch does not carry is all invalid."""
    present = present or {}
    names = regime_names(regime, profile.regimes, n)
    known = judged(names, profile.regimes)
    positions: dict[str, Positions] = {}
    valid: dict[str, Mask] = {}
    far = np.zeros(n, bool)
    for layer, fitted in profile.layers.items():
        seen = np.zeros(n, bool) if layer not in layers else present.get(layer, np.ones(n, bool)) & known
        far |= _score_layer(profile, layer, fitted, layers.get(layer), seen, names, positions, valid)
    for stream, scalar in profile.scalars.items():
        if stream.startswith(SQUARED):
            continue
        values = np.asarray(scalars.get(stream, np.full(n, np.nan)), np.float64)
        seen = np.isfinite(values) & known
        positions[stream], valid[stream] = _scalar(scalar, values, seen, names), seen
    return Scores(positions, valid, ~known | far, doubts(names, profile.regimes))


def _score_layer(
    profile: Profile,
    layer: str,
    fitted: LayerProfile,
    values: NDArray[np.floating] | None,
    seen: Mask,
    regimes: Strings,
    positions: dict[str, Positions],
    valid: dict[str, Mask],
) -> Mask:
    """Fills positions and valid; which frames (n,) lie far from all golden ones."""
    n, k = len(seen), fitted.null.dims
    far = np.zeros(n, bool)
    coordinates = np.zeros((n, k), np.float32)
    t2, spe = np.zeros(n), np.zeros(n)
    if values is not None and values.shape[1] != len(fitted.basis.center):
        seen = np.zeros(n, bool)
    if values is not None and seen.any():
        coordinates[seen], t2[seen], spe[seen] = apply_basis(fitted.basis, values[seen].astype(np.float32))
        coordinates[seen] = residuals(coordinates[seen], regimes[seen], fitted.regimes)
    positions[f"embedding:{layer}"], valid[f"embedding:{layer}"] = coordinates, seen
    if fitted.slices is not None:
        number = np.where(seen, fitted.slices.parting.of(coordinates), -1)
        for part, own in fitted.slices.parts.items():
            stream = slice_stream(layer, part)
            valid[stream] = number == part
            positions[stream] = np.zeros((n, k), np.float32)
            positions[stream][valid[stream]] = coordinates[valid[stream]] - own.mean
    for stream, raw in ((f"t2:{layer}", t2), (f"spe:{layer}", spe)):
        if stream in profile.scalars:
            fits = profile.scalars[stream]
            positions[stream], valid[stream] = _scalar(fits, raw, seen, regimes), seen
            far |= seen & (raw > fits.quantiles[0, -1] + _FAR)
    return far


def _scalar(scalar: ScalarProfile, values: NDArray[np.float64], seen: Mask, regimes: Strings) -> Positions:
    scores = np.zeros((len(values), 1), np.float32)
    scores[seen] = residuals(normal_scores(scalar.quantiles, values[seen])[:, None], regimes[seen], scalar.regimes)
    return scores
