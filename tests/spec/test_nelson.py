"""Each of Nelson's rules fires at the row that completes its pattern, and says so without the field's words."""

from itertools import pairwise

import numpy as np
import pytest

from sincewhen.detect.nelson import NelsonRule, nelson

UP_AND_DOWN = [0.5 * (-1) ** row for row in range(14)]
CASES = {
    NelsonRule.BEYOND: ([0, 3.1, 0, -3.1], [1, 3]),
    NelsonRule.ONE_SIDE: ([-1, *[0.5] * 9, -1], [9]),
    NelsonRule.TREND: ([0, -0.1, 0, 0.1, 0.2, 0.3, 0.4, 0.4], [6]),
    NelsonRule.ALTERNATING: ([*UP_AND_DOWN, -0.6], [13]),
    NelsonRule.TWO_OF_THREE: ([2.1, 0, 2.1, -2.1, 0, 0], [2]),
    NelsonRule.FOUR_OF_FIVE: ([-1.1, -1.1, 0, -1.1, -1.1, 0, 0], [4]),
    NelsonRule.TOO_CALM: ([1.5, *[0.2] * 16], [15, 16]),
    NelsonRule.TOO_WILD: ([0, *[1.5, -1.5] * 4, 0], [8]),
}


@pytest.mark.parametrize("rule", NelsonRule)
def test_a_rule_fires_where_its_pattern_is_complete(rule: NelsonRule) -> None:
    values, rows = CASES[rule]
    assert nelson(np.array(values, float))[rule].tolist() == rows


@pytest.mark.parametrize("rule", NelsonRule)
def test_a_rule_s_text_is_for_operators(rule: NelsonRule) -> None:
    assert rule.text
    assert "sigma" not in rule.text.lower()
    assert "deviation" not in rule.text.lower()


@pytest.mark.parametrize("k", [0, 1, 2])
def test_too_few_points_fire_nothing(k: int) -> None:
    assert [rows.tolist() for rows in nelson(np.zeros(k)).values()] == [[]] * 8


def reference(z: list[float], row: int) -> set[int]:
    """Nelson's rules in plain words at one row."""

    def last(count: int) -> list[float]:
        return z[row - count + 1 : row + 1] if row + 1 >= count else []

    def steps(count: int) -> list[float]:
        points = last(count)
        return [b - a for a, b in pairwise(points)]

    def beyond(limit: float, count: int, of: int, sign: int) -> bool:
        seen = [sign * value > limit for value in z[max(0, row - of + 1) : row + 1]]
        return seen[-1] and sum(seen) >= count

    turns = steps(14)
    found = {
        1: abs(z[row]) > 3,
        2: bool(last(9)) and (min(last(9)) > 0 or max(last(9)) < 0),
        3: bool(steps(6)) and (min(steps(6)) > 0 or max(steps(6)) < 0),
        4: bool(turns) and all(a * b < 0 for a, b in pairwise(turns)),
        5: beyond(2, 2, 3, 1) or beyond(2, 2, 3, -1),
        6: beyond(1, 4, 5, 1) or beyond(1, 4, 5, -1),
        7: bool(last(15)) and max(map(abs, last(15))) < 1,
        8: bool(last(8)) and min(map(abs, last(8))) > 1,
    }
    return {rule for rule, fires in found.items() if fires}


@pytest.mark.parametrize("spread", [0.4, 1.0, 2.5])
def test_rules_are_those_of_a_plain_loop(spread: float) -> None:
    rng = np.random.default_rng(7)
    z = np.round(spread * rng.standard_normal(600), 1)
    z[100:114] = 0.3 * (-1.0) ** np.arange(14)
    fired = nelson(z)
    for row in range(len(z)):
        assert {int(rule) for rule, rows in fired.items() if row in rows} == reference(z.tolist(), row)
