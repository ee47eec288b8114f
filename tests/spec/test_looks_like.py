"""An incident names the earlier one that it looks like; what a stream remembers of them is bounded."""

import numpy as np
import pytest

from sincewhen.incidents.correlate import correlate
from sincewhen.processor.past import PAST_MAX, Past, alike, remembered
from sincewhen_schemas.messages import Incident
from sincewhen_testing.station import GOLDEN, Run, activation, batch, changes, learned

SEED = 95


def incidents(*, same: tuple[bool, ...], reload: bool = False) -> list[Incident]:
    """Of a station that changes again and again; those of `same` point where the first did."""
    data = changes(SEED, same)
    sha, profile = learned(data)
    runner = Run({sha: profile})
    runner.feed(activation(sha))
    for start in range(GOLDEN, len(data[0]), 50):
        runner.feed(batch(data, start, start + 50))
        if reload:
            runner.reload()
    found = correlate(runner.outputs.detections)
    shuffled = list(runner.outputs.detections)
    np.random.default_rng(SEED).shuffle(shuffled)
    assert correlate(shuffled) == found
    return found


@pytest.mark.parametrize("reload", [False, True])
def test_an_incident_names_the_earlier_one_that_it_looks_like(reload: bool) -> None:  # noqa: FBT001 - parametrized
    first, other, again = incidents(same=(True, False, True), reload=reload)
    assert (first.looks_like, other.looks_like) == (None, None)
    assert (again.looks_like, again.looks_like_since_ns) == (first.incident_id, first.since_ns)
    assert again.shape != "recurring", "once before is not yet recurring"


def test_of_several_that_it_looks_like_it_names_one_and_is_recurring() -> None:
    first, second, third = incidents(same=(True, True, True))
    assert second.looks_like == first.incident_id
    assert third.looks_like in {first.incident_id, second.incident_id}
    assert third.shape == "recurring"


def test_a_stream_remembers_its_newest_changes_and_a_reopened_one_once() -> None:
    past = remembered([], [Past(number, number * 10, (float(number), 1.0)) for number in range(2 * PAST_MAX)])
    assert [item.ordinal for item in past] == list(range(PAST_MAX, 2 * PAST_MAX))
    newest = past[-1].ordinal
    again = remembered(past, [Past(newest, newest * 10, (0.0, -1.0))])
    assert len(again) == PAST_MAX
    assert again[-1].direction == (0.0, -1.0)


def test_of_equally_near_changes_the_newest_counts() -> None:
    past = [Past(0, 10, (1.0,)), Past(1, 20, (2.0,)), Past(2, 30, (-1.0,))]
    count, like = alike(past, (0.5,))
    assert count == 2
    assert like is not None
    assert (like.ordinal, like.cosine) == (1, 1.0)
    assert alike(past[2:], (0.5,)) == (0, None)
