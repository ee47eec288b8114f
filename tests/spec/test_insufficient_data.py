"""Frames skip the streams that they lack; where more than a fifth lack one, its view has insufficient data."""

from dataclasses import replace

import numpy as np
import pytest

from sincewhen_schemas.encode import encode_frames
from sincewhen_testing.station import GOLDEN, ONSET, Recorded, Run, activation, columns, learned, stream

SEED = 97


@pytest.mark.parametrize(("share", "expected"), [(0.0, "in control"), (0.1, "in control"), (0.3, "insufficient data")])
def test_above_a_fifth_of_frames_that_miss_their_parts_the_state_is_insufficient_data(
    share: float, expected: str
) -> None:
    runner = lacking({"embedding", "factor"}, share)
    assert runner.outputs.statuses[-1].state == expected
    assert runner.outputs.statuses[-1].frames == ONSET - GOLDEN
    assert not runner.outputs.detections


def lacking(lack: set[str], share: float, data: Recorded | None = None) -> Run:
    """Every batch without the embedding, the factor or both in so many of its frames."""
    data, rng = data or stream(SEED), np.random.default_rng(SEED)
    sha, profile = learned(data)
    runner = Run({sha: profile})
    runner.feed(activation(sha))
    for start in range(GOLDEN, ONSET, 50):
        frames = columns(data, start, start + 50)
        there = rng.permutation(50) >= share * 50
        if "embedding" in lack:
            frames = replace(frames, present={"head": there})
        if "factor" in lack:
            factor = np.where(there, frames.factors["brightness"], np.nan).astype(np.float32)
            frames = replace(frames, factors={"brightness": factor})
        runner.feed(encode_frames(frames))
    return runner


def test_an_embedding_that_a_third_of_the_frames_lack_is_named_with_its_share_though_they_have_a_factor() -> None:
    runner = lacking({"embedding"}, 0.3)
    status = runner.outputs.statuses[-1]
    assert (status.state, status.missing) == ("insufficient data", ("embedding 'head' in 30 % of the newest frames",))
    assert lacking({"embedding"}, 0.1).outputs.statuses[-1].missing == ()
    runner.reload()
    frames = columns(stream(SEED), ONSET - 50, ONSET)
    for number in range(2):
        runner.feed(encode_frames(replace(frames, first_seq=ONSET + 50 * number)))
    assert (runner.outputs.statuses[-1].state, runner.outputs.statuses[-1].missing) == ("in control", ())


def test_a_factor_that_frames_lack_is_named_and_the_embedding_still_says_in_control() -> None:
    """A busy agent measures factors on fewer frames by design."""
    status = lacking({"factor"}, 0.5).outputs.statuses[-1]
    assert (status.state, status.missing) == ("in control", ("factor 'brightness' in 50 % of the newest frames",))


def test_a_factor_that_moves_is_found_and_paged_while_the_embedding_is_missing() -> None:
    data = stream(SEED)
    data[1][GOLDEN + 300 :] += 5
    runner = lacking({"embedding"}, 0.3, data)
    states = [status.state for status in runner.outputs.statuses]
    assert list(dict.fromkeys(states)) == ["in control", "insufficient data", "out of control"]
    assert {found.stream for found in runner.outputs.detections} == {"factor:brightness"}
    assert runner.outputs.statuses[-1].missing == ("embedding 'head' in 30 % of the newest frames",)


def test_what_golden_frames_lacked_already_is_not_missing() -> None:
    data = stream(SEED)
    data[1][:GOLDEN:8] = np.nan
    assert lacking({"factor"}, 0.25, data).outputs.statuses[-1].missing == ()
    assert lacking({"factor"}, 0.25).outputs.statuses[-1].missing != ()


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
