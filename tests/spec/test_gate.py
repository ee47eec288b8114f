"""The effect-size gate along one direction is the gate."""

import numpy as np
import pytest

from sincewhen.detect.gate import smallest_paging, verdict
from sincewhen.profiles.variance import Runs, stream_null
from sincewhen_testing.streams import direction


@pytest.mark.parametrize("frames", [8, 40, 500])
def test_the_smallest_paging_displacement_is_where_the_verdict_turns(frames: int) -> None:
    rng = np.random.default_rng(31)
    lots = np.repeat(np.arange(30), 40)
    golden = rng.standard_normal((30, 6))[lots] + rng.standard_normal((1200, 6))
    null = stream_null(golden, Runs(lots))
    along = direction(rng, 6)
    size = smallest_paging(along, frames, null)
    assert verdict(0.999 * size * along, frames, null) == "recorded"
    assert verdict(1.001 * size * along, frames, null) == "paging"


def test_without_lots_there_is_no_such_displacement() -> None:
    rng = np.random.default_rng(32)
    null = stream_null(rng.standard_normal((1200, 6)))
    assert smallest_paging(direction(rng, 6), 40, null) == 0
