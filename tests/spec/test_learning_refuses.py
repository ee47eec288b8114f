"""Golden frames that are not steady make no profile, and what shifts differ by is measured."""

import numpy as np
import pytest

from sincewhen.processor.learn import Refusal, RefusalReason, build_profile
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile
from sincewhen.profiles.variance import Runs, stream_null
from sincewhen_testing.streams import direction

FRAMES, DIMS = 3000, 12


def built(step: float) -> Profile | Refusal:
    """Of frames whose last tenth, which only A/A sees, is displaced."""
    rng = np.random.default_rng(61)
    x = rng.standard_normal((FRAMES, DIMS))
    x[9 * FRAMES // 10 :] += step * direction(rng, DIMS)
    return build_profile(Golden(np.arange(FRAMES) * 10**9, {"head": x.astype(np.float32)}, {}, None))


def test_a_profile_whose_newest_golden_frames_moved_is_refused_by_its_self_test() -> None:
    assert isinstance(built(0), Profile)
    refusal = built(2)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is RefusalReason.SELF_TEST_FAILED
    assert "embedding:head" in refusal.detail
    assert "choose a steadier or longer window" in refusal.detail


@pytest.mark.parametrize("apart", [0.0, 0.5])
def test_what_shifts_differ_by_is_measured_beyond_noise(apart: float) -> None:
    rng = np.random.default_rng(62)
    shift = np.arange(8 * 400) // 400
    x = rng.standard_normal((len(shift), 60)) + apart * rng.standard_normal((8, 60))[shift]
    null = stream_null(x - x.mean(axis=0), Runs(None, shift))
    assert null.shifts == 8
    assert np.median(null.sigma2_shift) == pytest.approx(apart**2, rel=0.35, abs=0.003)
