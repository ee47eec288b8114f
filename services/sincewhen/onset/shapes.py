"""How a change may grow with the frames since its onset: at once, as a power, or towards a level."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma, gammainc

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Growth:
    """k^power, or 1 - e^(-(k / levels_off)^power) with levels_off in frames; `weight` is its prior probability."""

    weight: float
    power: float = 1.0
    levels_off: float = math.inf

    @property
    def abrupt(self) -> bool:
        return self.power == 0

    def at(self, k: Floats) -> Floats:
        """Size after k >= 0 frames, up to a factor."""
        if math.isinf(self.levels_off):
            return np.asarray(k**self.power, np.float64)
        return np.asarray(-np.expm1(-((k / self.levels_off) ** self.power)), np.float64)

    def total(self, k: Floats) -> Floats:
        """Integral of `at` from 0 to k."""
        if math.isinf(self.levels_off):
            return np.asarray(k ** (self.power + 1) / (self.power + 1), np.float64)
        inverse = 1 / self.power
        missed = self.levels_off * gamma(1 + inverse) * gammainc(inverse, (k / self.levels_off) ** self.power)
        return np.asarray(k - missed, np.float64)


# Real growth is of no known form, and between too few of them a date is too sure. What levels off does so in the
# profile's coordinates: far from the golden frames the norm clip holds a displacement back. What grows evenly on a lens
# or sensor, as dirt, glare and noise do, may grow there with its 2nd to 4th power before it levels off: without these
# forms it is dated when it begins to be seen.
SHAPES = (
    Growth(0.70, power=0),
    Growth(0.05, power=0.5),
    Growth(0.075, power=1),
    Growth(0.04, power=1.5),
    Growth(0.025, power=2),
    Growth(0.01, power=3),
    Growth(0.025, levels_off=50),
    Growth(0.025, levels_off=120),
    Growth(0.025, levels_off=300),
    Growth(0.005, power=2, levels_off=100),
    Growth(0.005, power=2, levels_off=200),
    Growth(0.005, power=3, levels_off=150),
    Growth(0.005, power=3, levels_off=300),
    Growth(0.005, power=4, levels_off=400),
)
