import math

import numpy as np
import pytest
from scipy.integrate import quad

from sincewhen.onset.shapes import SHAPES, Growth


def test_the_prior_of_shapes_is_whole_and_the_step_is_the_first() -> None:
    assert math.isclose(sum(growth.weight for growth in SHAPES), 1)
    assert [growth.abrupt for growth in SHAPES] == [True] + [False] * (len(SHAPES) - 1)


@pytest.mark.parametrize("growth", SHAPES, ids=str)
def test_the_total_is_the_integral_of_the_growth(growth: Growth) -> None:
    for k in (0.0, 1.0, 90.0, 3000.0):
        whole, _ = quad(lambda at: float(growth.at(np.array(at))), 0, k)
        assert float(growth.total(np.array(k))) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("growth", SHAPES[1:], ids=str)
def test_growth_begins_at_nothing_and_never_shrinks(growth: Growth) -> None:
    grown = growth.at(np.arange(0.0, 2000.0))
    assert grown[0] == 0
    assert np.all(np.diff(grown) >= 0)
