"""A stream's events depend on its rows alone: not on batches, restarts of the process, or rows still to come."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sincewhen.processor.event import Event, Marks, Rows
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.profiles.null import StreamNull
from sincewhen.profiles.variance import stream_null
from sincewhen_testing.streams import direction, noise

DIMS, ARL0 = 8, 1e5


def stream(seed: int, until: int = 900) -> tuple[StreamNull, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    null = stream_null(noise(rng, 2000, DIMS))
    x = noise(rng, 1500, DIMS)
    x[400:until] += 3 * direction(rng, DIMS)
    return null, x.astype(np.float32), np.arange(1500) % 150 == 0


def rows_of(x: np.ndarray, at: np.ndarray, lots: np.ndarray) -> Rows:
    return Rows(x, at, lots, lots, np.ones(len(x), np.float32))


def run(null: StreamNull, x: np.ndarray, lots: np.ndarray, cuts: list[int], *, through_bytes: bool) -> list[Event]:
    monitor = StreamMonitor(null, ARL0)
    events: list[Event] = []
    edges = [0, *sorted(cuts), len(x)]
    for start, stop in itertools.pairwise(edges):
        at = np.arange(start, stop) * 10**9
        events += monitor.update(
            Rows(x[start:stop], at, lots[start:stop], lots[start:stop], np.ones(stop - start, np.float32))
        )[0]
        if through_bytes:
            monitor = StreamMonitor.from_bytes(monitor.to_bytes(), null, ARL0)
    return events


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 1499), max_size=12), st.booleans())
def test_batches_and_restarts_change_nothing(seed: int, cuts: list[int], through_bytes: bool) -> None:  # noqa: FBT001 - drawn
    null, x, lots = stream(seed)
    assert run(null, x, lots, cuts, through_bytes=through_bytes) == run(null, x, lots, [], through_bytes=False)


def test_an_event_is_the_same_when_the_rows_end_right_after_it() -> None:
    null, x, lots = stream(11)
    events = run(null, x, lots, [], through_bytes=False)
    assert [event.status for event in events] == ["provisional", "confirmed", "refined", "ended"]
    for index, event in enumerate(events):
        known = run(null, x[: event.at + 1], lots[: event.at + 1], [], through_bytes=False)
        assert known == events[: index + 1]


def test_a_change_is_dated_and_its_end_too() -> None:
    null, x, lots = stream(12)
    *_, refined, ended = run(null, x, lots, [], through_bytes=False)
    assert refined.since_low <= 400 <= refined.since_high
    assert abs(refined.since - 400) <= 3
    assert refined.shape == "abrupt"
    assert ended.until is not None
    assert abs(ended.until - 899) <= 5


def test_what_comes_back_at_once_was_not_short() -> None:
    null, x, lots = stream(14, until=530)
    away = x[400:530].mean(axis=0)
    x[580:] += away
    events = run(null, x, lots, [], through_bytes=False)
    over = next(event for event in events if event.status == "ended")
    assert (over.shape, over.ordinal) == ("transient", 0)
    last = events[-1]
    assert (last.ordinal, last.until, last.shape) == (0, None, "abrupt")


def test_a_later_change_is_an_event_of_its_own() -> None:
    rng = np.random.default_rng(13)
    null, x, lots = stream(13, until=700)
    x[1200:] += (4 * direction(rng, DIMS)).astype(np.float32)
    events = run(null, x, lots, [], through_bytes=False)
    assert {event.ordinal for event in events} == {0, 1}
    assert abs(events[-1].since - 1200) <= 3


@pytest.mark.parametrize("dims", [1, DIMS])
def test_a_level_that_stays_after_a_recorded_change_is_a_new_level_and_a_ramp_is_none(dims: int) -> None:
    marks, proposed, moving = Marks(changes=(400 * 10**9,)), 0, 0
    for seed in range(1500, 1508):
        rng = np.random.default_rng(seed)
        null, lots = stream_null(noise(rng, 2000, dims)), np.zeros(6000, bool)
        way = direction(rng, dims)
        for growth in (np.full(5600, 3.0), np.arange(5600) / 200):
            x = noise(rng, 6000, dims)
            x[400:] += growth[:, None] * way
            rows = replace(rows_of(x.astype(np.float32), np.arange(6000) * 10**9, lots), marks=marks)
            events, _ = StreamMonitor(null, ARL0).update(rows)
            proposed += growth[0] > 0 and any(event.new_level for event in events)
            moving += growth[0] == 0 and any(event.new_level for event in events)
    print(f"seeds 1500-1507, d={dims}: a new level in {proposed} of 8 steps and {moving} of 8 ramps")
    assert proposed >= 6
    assert moving == 0


def test_memory_of_a_stream_is_bounded() -> None:
    null, x, lots = stream(14)
    monitor = StreamMonitor(null, ARL0)
    sizes = []
    for turn in range(6):
        monitor.update(rows_of(x, np.arange(len(x)) + turn * len(x), lots))
        sizes.append(len(monitor.to_bytes()))
    assert max(sizes[2:]) <= 1.1 * sizes[2]
