"""What calm and changed cells tell: thresholds of a run length, and delays at a threshold (see race.py)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.cell import Floats
from benchmarks.work import Found


def threshold(calm: Sequence[Found], arl0: float) -> float:
    """Of a run length; NaN where nothing is known."""
    greatest = np.array([value for found in calm for value in found.figures["greatest"]])
    if not len(greatest):
        return math.nan
    frames = calm[0].figures["frames"][0]
    return float(np.quantile(greatest, math.exp(-frames / arl0)))


def realised(calm: Sequence[Found], limit: float) -> tuple[float, float]:
    """Stretches that reach the limit, as alarms, and the frames until then on average."""
    greatest = np.array([value for found in calm for value in found.figures["greatest"]])
    frames = calm[0].figures["frames"][0] if calm else 0.0
    reached = float(np.mean(greatest >= limit)) if len(greatest) else 0.0
    alarms = -math.log1p(-min(reached, 1 - 1e-9)) * len(greatest)
    return alarms, frames * len(greatest)


@dataclass(frozen=True, slots=True)
class Delays:
    """Delays by cell; a miss counts as the horizon, `early` are runs that alarmed before the change."""

    parts: list[Floats]
    missed: int
    early: int


def delays(changed: Sequence[Found], limit: float, horizon: float) -> Delays:
    parts, missed, early = [], 0, 0
    for found in changed:
        run, at, value = (np.array(found.figures[name]) for name in ("run", "at", "value"))
        kept = []
        for number, before in enumerate(found.figures["before"]):
            own = (run == number) & (value >= limit)
            if before >= limit:
                early += 1
            elif own.any():
                kept.append(float(at[own].min()))
            else:
                missed += 1
                kept.append(horizon)
        parts.append(np.array(kept))
    return Delays(parts, missed, early)
