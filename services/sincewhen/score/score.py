"""Positions of a batch in every stream of a profile."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.embedding import apply_basis
from sincewhen.profiles.profile import LayerProfile, Profile
from sincewhen.profiles.regime import doubts, judged, regime_names, residuals, row_by_row
from sincewhen.profiles.scalar import score_about
from sincewhen.profiles.streams import parsed, slice_stream
from sincewhen_schemas.frames import Strings

_FAR = math.log(2.0)  # T² or SPE beyond twice the golden frames' greatest
Positions = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scores:
    """Whitened residuals of n frames by stream; a row that is not valid is zeros and must not be used.

    All of them lie in one array, stream by stream in the profile's order; scalars come last.
    """

    positions: dict[str, Positions]  # (n, d) each
    valid: dict[str, Mask]  # (n,) each
    new_regime: Mask  # (n,) frames of a condition that the profile does not know, or far from all golden frames
    doubt: NDArray[np.float32]  # (n,) variance of the mean they are held against, over that of the null's reference
    flat: Positions
    offsets: NDArray[np.int64]  # (S,) where each stream begins in `flat`
    valid_rows: Mask  # (S, n)
    scalars: Positions  # (s, n)
    scalars_valid: Mask  # (s, n)

    def layer(self, stream: str) -> Positions | None:
        """The positions (n, k) of the layer that a stream is the T² of."""
        return self.positions[f"embedding:{parsed(stream)[1]}"] if stream.startswith("t2:") else None


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
    streams, dims = profile.streams, profile.dims
    offsets = n * (np.cumsum(dims) - dims)
    flat, rows = np.zeros(n * int(dims.sum()), np.float32), np.zeros((len(streams), n), bool)
    places = zip(streams, offsets.tolist(), dims.tolist(), strict=True)
    positions = {stream: flat[at : at + n * d].reshape(n, d) for stream, at, d in places}
    valid = dict(zip(streams, rows, strict=True))
    far = np.zeros(n, bool)
    raw: dict[str, NDArray[np.floating]] = {}
    for layer, fitted in profile.layers.items():
        seen = np.zeros(n, bool) if layer not in layers else present.get(layer, np.ones(n, bool)) & known
        raw |= _score_layer(layer, fitted, layers.get(layer), seen, names, positions, valid)
    for stream, scalar in profile.scalars.items():
        values = raw.get(stream, scalars.get(stream))
        if values is None:
            continue
        mean, spread = row_by_row(names, scalar.regimes)
        out, seen = positions[stream][:, 0], valid[stream]
        score_about(scalar.quantiles, np.asarray(values, np.float64), known, mean, spread, out, seen)
        if stream in raw:
            far |= seen & (values > scalar.quantiles[0, -1] + _FAR)
    first = len(streams) - len(profile.scalars)
    together = flat[offsets[first] :].reshape(-1, n) if profile.scalars else np.zeros((0, n), np.float32)
    doubt = doubts(names, profile.regimes)
    return Scores(positions, valid, ~known | far, doubt, flat, offsets, rows, together, rows[first:])


def _score_layer(
    layer: str,
    fitted: LayerProfile,
    values: NDArray[np.floating] | None,
    seen: Mask,
    regimes: Strings,
    positions: dict[str, Positions],
    valid: dict[str, Mask],
) -> dict[str, NDArray[np.floating]]:
    """Fills positions and valid; T² and SPE (n,) by stream, NaN where the layer was not seen."""
    n, coordinates = len(seen), positions[f"embedding:{layer}"]
    t2, spe = np.full(n, np.nan), np.full(n, np.nan)
    if values is None or values.shape[1] != len(fitted.basis.center):
        seen = np.zeros(n, bool)
    elif seen.any():
        rows = slice(None) if seen.all() else seen
        found, t2[rows], spe[rows] = apply_basis(fitted.basis, values[rows].astype(np.float32))
        coordinates[rows] = residuals(found, regimes[rows], fitted.regimes)
    valid[f"embedding:{layer}"][:] = seen
    if fitted.slices is not None:
        number = np.where(seen, fitted.slices.parting.of(coordinates), -1)
        for part, own in fitted.slices.parts.items():
            stream = slice_stream(layer, part)
            np.equal(number, part, out=valid[stream])
            np.subtract(coordinates, own.mean, out=positions[stream], where=valid[stream][:, None])
    return {f"t2:{layer}": t2, f"spe:{layer}": spe}
