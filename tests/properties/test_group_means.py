"""Line and plant means depend on what the stations say alone: not on who comes first, batches, or restarts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sincewhen.correlator import mean, reference
from sincewhen.correlator.bins import LATE_NS
from sincewhen_schemas.messages import Detection, Subgroup
from sincewhen_testing.line import STREAM, Site, frames, names, subgroups, together

BINS, ONSET = 420, 360
STATIONS = [*names(2), *names(2, "ulm/body/line2")]
STREAMS = (STREAM, "cause:head:haze", "cause:head:dirt")


@pytest.fixture(autouse=True)
def short_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bins are enough to see that nothing depends on the order."""
    monkeypatch.setattr(mean, "MEAN_BINS", 16)
    monkeypatch.setattr(mean, "SERIES_BINS", 320)
    monkeypatch.setattr(reference, "BLOCK_BINS", 16)


def said(seed: int) -> list[list[list[Subgroup]]]:
    """Per station and bin, all streams: in control, then 2.5 standard deviations in both lines; some bins are missing.

    Scores along dirt move a fifth as much as those along haze, which they are not correlated with.
    """
    rng = np.random.default_rng(seed)
    x = frames(rng, len(STATIONS) * len(STREAMS), 2 * BINS).reshape(2 * BINS, len(STREAMS), len(STATIONS))
    x[2 * ONSET :] += np.array([2.5, 2.5, 0.5])[:, None]
    every = [
        together(subgroups(station, x[:, s, i], 2, stream=stream) for s, stream in enumerate(STREAMS))
        for i, station in enumerate(STATIONS)
    ]
    return [[groups for number, groups in enumerate(bins) if number % 2 or rng.random() > 0.05] for bins in every]


def run(
    by_station: list[list[list[Subgroup]]], seed: int, *, in_order: bool, through_bytes: bool = False
) -> tuple[list[Detection], set[str]]:
    """A random order of the stations that keeps each one's own, cut into records at random, within the lateness.

    Also which groups watch: of so short a learning the A/A fails by chance now and then.
    """
    rng = np.random.default_rng(seed)
    site, left = Site(), [list(groups) for groups in by_station]
    site.expect(STATIONS)
    ends = max(groups[-1][0].last_at_ns for groups in by_station)
    now = min(groups[0][0].first_at_ns for groups in by_station)
    while any(left):
        behind = min(groups[0][0].first_at_ns for groups in left if groups)
        ready = [groups for groups in left if groups and (groups[0][0].first_at_ns <= behind + LATE_NS // 6)]
        chosen = (
            min(ready, key=lambda groups: groups[0][0].first_at_ns) if in_order else ready[rng.integers(len(ready))]
        )
        count = 1 if in_order else int(rng.integers(1, 3))
        now = max(now, behind)
        site.feed([group for bin_ in chosen[:count] for group in bin_], now)
        del chosen[:count]
        if through_bytes and rng.random() < 0.05:
            again = site.means.to_bytes()
            site.reload()
            assert site.means.to_bytes() == again, "bit for bit"
    assert site.means.late == 0
    for waited in (2, 4):  # the lines, then the plant
        site.feed([], ends + waited * LATE_NS)
    watching = {status.group_id for status in site.means.statuses() if status.state != "learning"}
    return sorted(site.found, key=lambda d: (d.station_id, d.detection_id, d.version)), watching


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_any_interleaving_batching_and_restart_gives_the_same_detections(seed: int) -> None:
    print(f"seed {seed}")
    by_station = said(seed)
    expected, watching = run(by_station, seed, in_order=True)
    assert {found.station_id for found in expected} >= watching & {"ulm/body/line1", "ulm/body/line2"} != set()
    assert {found.cause for found in expected if found.stream != STREAM} <= {"haze", "unknown"}
    assert run(by_station, seed, in_order=False, through_bytes=True) == (expected, watching)


def test_memory_is_bounded() -> None:
    by_station = said(5)
    site = Site()
    site.expect(STATIONS)
    sizes = []
    for index in range(BINS - 40):
        site.feed([group for groups in by_station for group in groups[index]])
        sizes.append(len(site.means.to_bytes()))
    print(f"{sizes[-1]} bytes for two lines and their plant")
    assert max(sizes) < 120_000
