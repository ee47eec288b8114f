"""Nelson's eight rules on standardised subgroup values: patterns that a plain limit does not see. They never page.

The rules take neighbours for independent; where subgroups are alike, runs and trends come more often by themselves.
Source: Nelson 1984, "The Shewhart control chart: tests for special causes".
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class NelsonRule(IntEnum):
    """The rules by Nelson's numbers."""

    BEYOND = 1
    ONE_SIDE = 2
    TREND = 3
    ALTERNATING = 4
    TWO_OF_THREE = 5
    FOUR_OF_FIVE = 6
    TOO_CALM = 7
    TOO_WILD = 8

    @property
    def text(self) -> str:
        """For operators."""
        return _TEXTS[self]


_TEXTS = {
    NelsonRule.BEYOND: "one point lies beyond a control limit",
    NelsonRule.ONE_SIDE: "nine points in a row lie on the same side of the centre line",
    NelsonRule.TREND: "six points in a row only rise, or only fall",
    NelsonRule.ALTERNATING: "fourteen points in a row go up and down by turns",
    NelsonRule.TWO_OF_THREE: "two of three points lie near or beyond the same control limit",
    NelsonRule.FOUR_OF_FIVE: "four of five points lie well away from the centre line, on the same side",
    NelsonRule.TOO_CALM: "fifteen points in a row lie unusually close to the centre line",
    NelsonRule.TOO_WILD: "eight points in a row keep away from the centre line, on either side",
}


def nelson(z: NDArray[np.float64]) -> dict[NelsonRule, NDArray[np.int64]]:
    """For each rule the rows of z (k,) at which it fires: the newest point completes the pattern."""
    size, steps = np.abs(z), np.diff(z, prepend=np.nan)
    turns = steps * np.roll(steps, 1) < 0
    fired = {
        NelsonRule.BEYOND: size > 3,  # noqa: PLR2004 - Nelson's numbers, here and below
        NelsonRule.ONE_SIDE: _at_least(z > 0, 9, 9) | _at_least(z < 0, 9, 9),
        NelsonRule.TREND: _at_least(steps > 0, 5, 5) | _at_least(steps < 0, 5, 5),
        NelsonRule.ALTERNATING: _at_least(turns, 12, 12),
        NelsonRule.TWO_OF_THREE: _at_least(z > 2, 2, 3) | _at_least(z < -2, 2, 3),  # noqa: PLR2004 - as above
        NelsonRule.FOUR_OF_FIVE: _at_least(z > 1, 4, 5) | _at_least(z < -1, 4, 5),
        NelsonRule.TOO_CALM: _at_least(size < 1, 15, 15),
        NelsonRule.TOO_WILD: _at_least(size > 1, 8, 8),
    }
    return {rule: np.flatnonzero(rows) for rule, rows in fired.items()}


def _at_least(seen: NDArray[np.bool_], count: int, of: int) -> NDArray[np.bool_]:
    """Rows (k,) that are seen and the newest of at least `count` seen ones among the last `of`."""
    total = np.cumsum(np.concatenate([np.zeros(of, np.int64), seen]))
    return np.asarray(seen & (total[of:] - total[:-of] >= count))
