"""Operating conditions (sku and recipe): each has a mean and a spread of its own, known from its own frames alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sincewhen_schemas.frames import Strings

FRAMES_MIN = 100  # of a condition, from which it has a mean of its own
_RARE_MAX = 0.5  # share of golden frames in rarer conditions, up to which those are left out
_SPREAD_FRAMES = 50  # weight, in frames, of the common spread in a condition's own


@dataclass(frozen=True, slots=True)
class Regime:
    """Mean (d,) of its golden frames, and their spread (d,) as a multiple of the common one."""

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]


def known_regimes(names: Strings | None) -> dict[str, float]:
    """Conditions of golden frames (G,) that can be judged, each with its share of their frames.

    {"": 1} where none is named, or where most frames are of rare ones: then all count as one, whatever the name.
    """
    if names is None:
        return {"": 1.0}
    found, counts = np.unique(names.astype(str), return_counts=True)
    if len(found) == 1:
        return {str(found[0]): 1.0}
    often = counts >= FRAMES_MIN
    if counts[~often].sum() > _RARE_MAX * len(names):
        return {"": 1.0}
    shares = counts[often] / counts[often].sum()
    return dict(zip(found[often].tolist(), shares.tolist(), strict=True))


def regime_names(names: Strings | None, known: Mapping[str, float], n: int) -> Strings:
    """Each frame's condition (n,) as the profile tells them apart."""
    return np.full(n, "", object) if names is None or set(known) == {""} else names


def judged(names: Strings, known: Mapping[str, float]) -> NDArray[np.bool_]:
    """Which frames (n,) are of a condition that can be judged."""
    return np.ones(len(names), bool) if set(known) == {""} else np.isin(names.astype(str), list(known))


def left_out(names: Strings | None, known: Mapping[str, float]) -> dict[str, int]:
    """Conditions of golden frames that are too rare to be judged, with their frames."""
    if names is None or set(known) == {""}:
        return {}
    found, counts = np.unique(names.astype(str), return_counts=True)
    return {name: count for name, count in zip(found.tolist(), counts.tolist(), strict=True) if name not in known}


def doubts(names: Strings, known: Mapping[str, float]) -> NDArray[np.float32]:
    """How much less certain (n,) each frame's mean is than one that all golden frames tell: their number over its."""
    found = np.ones(len(names), np.float32)
    if len(known) > 1:
        for name, share in known.items():
            found[names == name] = 1 / share
    return found


def fit_regimes(x: NDArray[np.float64], names: Strings) -> tuple[dict[str, Regime], NDArray[np.float64]]:
    """Of positions x (n, d) whose conditions are `names` (n,): the conditions, and x about them."""
    found = {name: x[names == name] for name in sorted(set(names.tolist()))}
    common = sum(len(rows) * rows.var(axis=0) for rows in found.values()) / len(x)
    common = np.maximum(common, 1e-12)
    regimes = {
        name: Regime(
            rows.mean(axis=0).astype(np.float32),
            np.sqrt(
                (len(rows) * rows.var(axis=0) / common + _SPREAD_FRAMES) / (len(rows) + _SPREAD_FRAMES)
                if len(found) > 1
                else np.ones(x.shape[1])
            ).astype(np.float32),
        )
        for name, rows in found.items()
    }
    return regimes, np.asarray(residuals(x, names, regimes), np.float64)


def residuals(x: NDArray[np.floating], names: Strings, regimes: Mapping[str, Regime]) -> NDArray[np.floating]:
    """X (n, d) about the mean of each row's condition, in units of its spread."""
    found = np.array(x)
    for name, regime in regimes.items():
        rows = slice(None) if len(regimes) == 1 else names == name
        found[rows] = (found[rows] - regime.mean) / regime.spread
    return found


def row_by_row(names: Strings, regimes: Mapping[str, Regime]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and spread of a scalar in the condition of each row (n,); (1,) where there is but one."""
    if len(regimes) == 1:
        (only,) = regimes.values()
        return only.mean, only.spread
    mean, spread = np.zeros(len(names), np.float32), np.ones(len(names), np.float32)
    for name, regime in regimes.items():
        mean[names == name], spread[names == name] = regime.mean[0], regime.spread[0]
    return mean, spread
