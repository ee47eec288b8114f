"""Frames without anything to judge are skipped; where more than a fifth are so, a view has insufficient data."""

from dataclasses import replace

import numpy as np
import pytest

from sincewhen_schemas.encode import encode_frames
from sincewhen_testing.station import GOLDEN, ONSET, Run, activation, columns, learned, stream

SEED = 97


@pytest.mark.parametrize(("share", "expected"), [(0.0, "in control"), (0.1, "in control"), (0.3, "insufficient data")])
def test_above_a_fifth_of_frames_that_miss_their_parts_the_state_is_insufficient_data(
    share: float, expected: str
) -> None:
    data, rng = stream(SEED), np.random.default_rng(SEED)
    sha, profile = learned(data)
    runner = Run({sha: profile})
    runner.feed(activation(sha))
    for start in range(GOLDEN, ONSET, 50):
        frames = columns(data, start, start + 50)
        there = rng.permutation(50) >= share * 50
        factor = np.where(there, frames.factors["brightness"], np.nan).astype(np.float32)
        runner.feed(encode_frames(replace(frames, present={"head": there}, factors={"brightness": factor})))
    assert runner.outputs.statuses[-1].state == expected
    assert runner.outputs.statuses[-1].frames == ONSET - GOLDEN
    assert not runner.outputs.detections


def test_what_is_missing_is_not_filled_in_and_the_change_is_dated_by_the_rest() -> None:
    data, rng = stream(SEED), np.random.default_rng(SEED)
    sha, profile = learned(data)
    runner = Run({sha: profile})
    runner.feed(activation(sha))
    judged = 0
    for start in range(GOLDEN, ONSET + 200, 50):
        frames = columns(data, start, start + 50)
        there = rng.random(50) >= 0.15
        judged += int(there.sum())
        junk = np.where(there[:, None], frames.layers["head"], np.float16(100))
        made = runner.feed(encode_frames(replace(frames, layers={"head": junk}, present={"head": there})))
        (batch,) = made.batches
        assert not np.isfinite(batch.ln_z["embedding:head"][~there]).any()
    monitor = runner.state.views["top"].monitors["embedding:head"]
    assert monitor.state is not None
    assert monitor.state.head.rows == judged
    (event,) = monitor.open
    onset_ns = columns(data, ONSET, ONSET + 1).captured_at_ns[0]
    assert event.since_low_ns <= onset_ns <= event.since_high_ns
