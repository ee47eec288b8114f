"""Frames that are lost, and pauses: correlated noise across a gap is no sign of a change, and hides no date."""

import numpy as np
import pytest

from sincewhen.processor.event import Rows
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.profiles.null import StreamNull
from sincewhen.profiles.variance import stream_null
from sincewhen_testing.streams import direction, noise

DIMS, PHI, GOLDEN, TICKS, ONSET, SIZE, RUNS, TICK_NS = 16, 0.9, 5000, 1400, 600, 3.0, 24, 10**9


def lost(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which of the ticks are seen, and when each is: three in ten are lost, five at a time."""
    seen = np.ones(TICKS, bool)
    for start in rng.integers(0, TICKS, int(0.07 * TICKS)):
        seen[start : start + 5] = False
    return seen, np.arange(TICKS) * TICK_NS


def pauses(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The line stands still for ten minutes every five; noise goes on meanwhile."""
    paused = np.cumsum(rng.random(TICKS) < 1 / 300)
    return np.ones(TICKS, bool), (np.arange(TICKS) + 600 * paused) * TICK_NS


def dated(rng: np.random.Generator, null: StreamNull, seen: np.ndarray, at_ns: np.ndarray) -> tuple[bool, int] | None:
    """Whether the newest interval holds the onset, and by how many frames the date is off; None: not found."""
    x = noise(rng, int(at_ns[-1] // TICK_NS) + 1, DIMS, PHI)[at_ns // TICK_NS]
    x[ONSET:] += SIZE * direction(rng, DIMS)
    x, at_ns = x[seen].astype(np.float32), at_ns[seen]
    no, onset = np.zeros(len(x), bool), int(np.count_nonzero(seen[:ONSET]))
    events, _ = StreamMonitor(null, 1e4).update(Rows(x, at_ns, no, no, np.ones(len(x), np.float32)))
    told = [event for event in events if event.alarm >= onset and event.status != "ended"]
    return (told[-1].since_low <= onset <= told[-1].since_high, abs(told[-1].since - onset)) if told else None


@pytest.mark.parametrize("how", [lost, pauses])
def test_intervals_hold_the_onset_though_frames_are_missing(how: object) -> None:
    seed = 2300
    rng = np.random.default_rng(seed)
    null = stream_null(noise(rng, GOLDEN, DIMS, PHI))
    assert callable(how)
    found = [told for _ in range(RUNS) if (told := dated(rng, null, *how(rng))) is not None]
    covered, errors = sum(holds for holds, _ in found), [error for _, error in found]
    print(f"seed {seed}: {len(found)} of {RUNS} found, {covered} covered, median error {np.median(errors):.0f}")
    assert len(found) >= RUNS - 4
    assert covered >= len(found) - 3
    assert np.median(errors) <= 5
