"""A passed challenge part counts against a change that it would have noticed: the posterior times 1 - power."""

import functools
import math

import numpy as np
import pytest
from scipy.special import ndtr

from sincewhen.onset.date import Known, Onset, date_onset
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.null import StreamNull
from sincewhen.profiles.profile import Profile, encode_profile, profile_sha
from sincewhen.profiles.variance import stream_null
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_control
from sincewhen_testing.references import pinned
from sincewhen_testing.station import GOLDEN, START_NS, STATION, STEP_NS, Run, activation, batch
from sincewhen_testing.streams import direction, noise

SEED, DIMS, ROWS, ONSET, AT = 98, 64, 600, 300, 450
SPREAD, PASSES_ANYWAY = 0.25, 0.01  # of a part's limit; how often one passes whatever there is to notice


@functools.cache
def in_control() -> StreamNull:
    return stream_null(noise(np.random.default_rng(SEED), 5000, DIMS))


@functools.cache
def dated(shape: str, size: float, passed: tuple[tuple[int, float], ...]) -> Onset:
    """A change from row ONSET on, of `size` at the last row."""
    rng = np.random.default_rng(SEED + 1)
    x = noise(rng, ROWS, DIMS)
    k = np.arange(1.0, ROWS - ONSET + 1)
    x[ONSET:] += (size * (np.ones(len(k)) if shape == "step" else k / len(k)))[:, None] * direction(rng, DIMS)
    return date_onset(x, in_control(), Known(passed=passed))


@pytest.mark.parametrize("limit", [12.0, 4.0, 3.0, 2.5, 1.0])
def test_the_posterior_is_multiplied_by_one_less_the_power_at_the_size_of_that_time(limit: float) -> None:
    """A step whose date the frames leave no doubt about: the evidence falls by the chance that the part passes."""
    alone, told = dated("step", 3.0, ()), dated("step", 3.0, ((AT, limit),))
    assert (told.since, told.low, told.high) == (alone.since, alone.low, alone.high)
    assert alone.high - alone.low <= 2
    passes = max(PASSES_ANYWAY, 1 - float(ndtr((3.0 - limit) / (SPREAD * limit))))
    assert told.evidence - alone.evidence == pytest.approx(math.log(passes), rel=0.2, abs=0.02)


def test_parts_multiply_and_one_before_the_change_says_nothing() -> None:
    alone = dated("step", 3.0, ())
    one, two = (dated("step", 3.0, ((AT, 3.0),) * count) for count in (1, 2))
    assert two.evidence - alone.evidence == pytest.approx(2 * (one.evidence - alone.evidence), rel=0.05)
    assert dated("step", 3.0, ((ONSET - 50, 1.0),)).evidence == pytest.approx(alone.evidence)


def test_a_part_that_would_have_noticed_moves_the_date_and_an_early_haze_passes_it() -> None:
    """A slope of 2 at the end: at row 360 it is .4, which a limit of 3 lets pass and one of .2 does not."""
    alone = dated("ramp", 2.0, ())
    early, late = dated("ramp", 2.0, ((360, 3.0),)), dated("ramp", 2.0, ((360, 0.2),))
    assert alone.low <= ONSET <= alone.high
    assert (early.low, early.since, early.high) == (alone.low, alone.since, alone.high)
    assert late.since > alone.since + 20


def test_a_passed_part_in_the_log_narrows_the_date_of_a_slope() -> None:
    """By the decision limit of the reference set: a slope that began long before the part would have been noticed."""
    rng, dims, onset, rows = np.random.default_rng(SEED), 24, GOLDEN + 300, GOLDEN + 600
    way, x = direction(rng, dims), noise(rng, rows, dims)
    x[onset:] += 0.0075 * np.arange(1, rows - onset + 1)[:, None] * way
    reference = pinned(x[:24], {"haze": 0.1 * way})
    golden = Golden(START_NS + np.arange(GOLDEN) * STEP_NS, {"head": x[:GOLDEN].astype(np.float32)}, {})
    profile = build_profile(golden, Subject(STATION, "top", "", "1"), reference)
    assert isinstance(profile, Profile), profile
    sha = profile_sha(encode_profile(profile))
    data = (x.astype(np.float16), np.zeros(rows, np.float32), np.full(rows, "", object))

    def earliest(*passed_at: int) -> float:
        """Rows from the true onset to the early end of the confirmed interval."""
        runner = Run({sha: profile})
        runner.feed(activation(sha))
        for row in passed_at:
            told = pb.Control(control_id="p", at_ns=START_NS + row * STEP_NS, challenge=pb.Challenge(passed=True))
            runner.feed(encode_control(STATION, told))
        for start in range(GOLDEN, rows, 50):
            runner.feed(batch(data, start, start + 50))
        known = [d for d in runner.outputs.detections if (d.stream, d.dating) == ("embedding:head", "confirmed")]
        return (known[0].since_low_ns - START_NS) / STEP_NS - onset

    alone, told = earliest(), earliest(onset + 20)
    assert alone < -40
    assert alone + 20 < told <= 0
