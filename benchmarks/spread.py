"""Spreads: 90 % intervals by bootstrap over cells, and exact ones of shares and counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, chi2

from benchmarks.cell import Floats

LEVEL, _DRAWS = 0.90, 1000


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure and its 90 % interval."""

    value: float
    low: float
    high: float


def bootstrap(parts: Sequence[Floats], statistic: Callable[[Floats], float]) -> Spread:
    """Of a statistic of runs. Cells are drawn anew, since the runs of one share a profile; one cell: its runs are."""
    full = [part for part in parts if len(part)]
    if not full:
        return Spread(np.nan, np.nan, np.nan)
    whole, rng = np.concatenate(full), np.random.default_rng(1)
    if len(full) == 1:
        drawn = [statistic(rng.choice(whole, len(whole))) for _ in range(_DRAWS)]
    else:
        picks = rng.integers(len(full), size=(_DRAWS, len(full)))
        drawn = [statistic(np.concatenate([full[i] for i in pick])) for pick in picks]
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Spread(statistic(whole), float(low), float(high))


def share(hits: float, of: float) -> Spread:
    """Clopper-Pearson."""
    if of == 0:
        return Spread(np.nan, 0.0, 1.0)
    tail = (1 - LEVEL) / 2
    low = float(beta.ppf(tail, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, of - hits)) if hits < of else 1.0
    return Spread(hits / of, low, high)


def rate(count: float, exposure: float) -> Spread:
    """Events of a Poisson process per unit of exposure."""
    tail = (1 - LEVEL) / 2
    low = float(chi2.ppf(tail, 2 * count) / 2) if count else 0.0
    high = float(chi2.ppf(1 - tail, 2 * count + 2) / 2)
    return Spread(count / exposure, low / exposure, high / exposure)


def run_length(alarms: float, frames: float, target: float) -> Spread:
    """Realised ARL0 over its target; without an alarm the value is infinite and the interval's low end tells."""
    per_target = rate(alarms, frames / target)
    return Spread(*(1 / part if part > 0 else np.inf for part in (per_target.value, per_target.high, per_target.low)))
