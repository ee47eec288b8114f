"""Records through the rooms: counted once, gaps known, the same answer from any snapshot and any batches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sincewhen.incidents.correlate import correlate
from sincewhen.plant import load_plant
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile, encode_profile, profile_sha
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_control, encode_frames, encode_heartbeat
from sincewhen_schemas.messages import Subgroup
from sincewhen_testing.references import pinned
from sincewhen_testing.station import (
    END,
    GOLDEN,
    ONSET,
    START_NS,
    STATION,
    STEP_NS,
    Run,
    activation,
    batch,
    columns,
    learned,
    run,
    stream,
)
from sincewhen_testing.streams import mixing, noise


def test_a_changed_lot_is_one_incident_with_the_right_window() -> None:
    incidents = correlate(run(21, 32).outputs.detections)
    assert len(incidents) == 1
    (incident,) = incidents
    assert incident.status == "ended"
    assert abs((incident.since_ns - START_NS) / STEP_NS - ONSET) <= 2
    assert incident.until_ns is not None
    assert abs((incident.until_ns - START_NS) / STEP_NS - (END - 1)) <= 3


@pytest.mark.parametrize("size", [7, 32, 500])
def test_batches_and_snapshots_change_no_detection(size: int) -> None:
    expected = run(22, 64).outputs.detections
    got = run(22, size, reload=True).outputs.detections
    latest = {d.detection_id: d for d in got}
    for known in {d.detection_id: d for d in expected}.values():
        found = latest.pop(known.detection_id)
        for name in ("version", "status", "verdict", "alarm_at_ns", "since_ns", "since_low_ns", "since_high_ns",
                     "until_ns", "shape"):  # fmt: skip
            assert getattr(found, name) == getattr(known, name), name
        # a matrix product of another batch size rounds its last bit differently
        assert found.evidence == pytest.approx(known.evidence, rel=1e-4)
    assert not latest


@pytest.mark.parametrize("size", [7, 500])
def test_batches_and_snapshots_change_no_subgroup_and_no_opinion(size: int) -> None:
    wide = stream(32, 160, 160)  # more columns than axes: there is an SPE
    expected, got = run(32, 64, data=wide).outputs, run(32, size, reload=True, data=wide).outputs
    assert {group.stream for group in got.subgroups} == {"factor:brightness", "t2:head", "spe:head"}
    assert_alike(expected.subgroups, got.subgroups)


@pytest.mark.parametrize("size", [7, 500])
def test_batches_and_snapshots_change_no_score_along_a_cause(size: int) -> None:
    data = stream(39)
    rng = np.random.default_rng(39)
    clean = data[0][:32].astype(float)
    reference = pinned(clean, {"haze": 0.3 * rng.standard_normal(24), "dirt": 0.3 * rng.standard_normal(24)})
    sha, profile = learned(data, reference)
    expected, got = (
        run(39, by, reload=again, data=data, known=(sha, profile)).outputs.scores
        for by, again in ((64, False), (size, True))
    )
    assert {group.stream for group in got} == {"cause:head:haze", "cause:head:dirt"}
    assert_alike(expected, got)


def assert_alike(expected: list[Subgroup], got: list[Subgroup]) -> None:
    known, found = (sorted(groups, key=lambda g: (g.stream, g.first_at_ns)) for groups in (expected, got))
    assert [(g.stream, g.first_at_ns, g.frames) for g in known] == [(g.stream, g.first_at_ns, g.frames) for g in found]
    assert [g.mean for g in found] == pytest.approx([g.mean for g in known], abs=1e-4)
    assert all(0 < g.sigma < 1 for g in found)


def test_second_opinions_on_a_signal_see_its_change_and_page_nobody() -> None:
    rng = np.random.default_rng(33)
    signal = rng.standard_normal(4000)
    signal[2500:] += 1.0
    golden = Golden(START_NS + np.arange(GOLDEN) * STEP_NS, {}, {"signal:torque": signal[:GOLDEN]})
    profile = build_profile(golden, Subject(STATION, "top", "", "1"))
    assert isinstance(profile, Profile)
    sha = profile_sha(encode_profile(profile))
    runner = Run({sha: profile})
    runner.feed(activation(sha))
    for start in range(GOLDEN, 4000, 40):
        part = columns(stream(33), 0, 40)
        at_ns = START_NS + np.arange(start, start + 40) * STEP_NS
        torque = {"torque": signal[start : start + 40].astype(np.float32)}
        sent = replace(part, first_seq=start, captured_at_ns=at_ns, layers={}, factors={}, signals=torque)
        runner.feed(encode_frames(sent))
    said = [(found.method, (found.at_ns - START_NS) / STEP_NS) for found in runner.outputs.second_opinions]
    assert {method for method, _ in said} == {"adwin", "page_hinkley"}
    assert all(2500 <= row < 3100 for _, row in said[:2])


def test_another_model_version_is_learned_anew_from_its_first_frame() -> None:
    data = stream(34)
    sha, profile = learned(data)
    runner = Run({sha: profile})
    for start in range(0, 1000, 100):
        runner.feed(batch(data, start, start + 100))
    runner.feed(activation(sha))
    for start in range(1000, 2200, 100):
        runner.feed(encode_frames(replace(columns(data, start, start + 100), model_version="2")))
        status = runner.outputs.statuses[-1]
        if start == 1000:
            assert status.missing[0] == "450 frames"
            assert "the active one is of '1'" in status.missing[-1]
    assert status.missing == ()
    assert status.learning_since_ns == START_NS + 1000 * STEP_NS


def test_a_profile_of_another_station_or_view_is_not_activated() -> None:
    sha, profile = learned(stream(35))
    event = pb.ProfileActivated(view="side", profile_sha=sha)
    told = encode_control(STATION, pb.Control(control_id="c", at_ns=START_NS, profile_activated=event))
    (letter,) = Run({sha: profile}).feed(told).dead_letters
    assert letter.reason == "bad_control"
    assert "activate it there" in letter.detail


def test_a_heartbeat_before_the_first_frame_makes_no_gap() -> None:
    runner = Run({})
    beat = pb.Heartbeat(agent_id="pc", boot_id="b", view="top", sent_at_ns=START_NS)
    runner.feed(encode_heartbeat(STATION, beat))
    assert runner.feed(batch(stream(36), 500, 532)).blind_times == []


def test_what_moved_later_does_not_say_since_when() -> None:
    """Scatter grows first, seen by T² alone; the mean moves a thousand frames later, while the page is open."""
    rng = np.random.default_rng(37)
    x, factor, lots = stream(37)
    x = (noise(rng, 4000, 12) @ mixing(rng, 12, 24)).astype(np.float32)
    wide, moved = 2400, 3200
    x[wide:] *= 1.6
    x[moved:] += 3 * x[:GOLDEN].std(axis=0)
    data = (x.astype(np.float16), np.resize(factor, 4000), np.resize(lots, 4000))
    sha, profile = learned(data)
    runner = Run({sha: profile})
    runner.feed(activation(sha))
    for start in range(GOLDEN, 4000, 100):
        runner.feed(batch(data, start, start + 100))
    (incident,) = [found for found in correlate(runner.outputs.detections) if found.status == "open"]
    assert "embedding:head" in incident.streams
    assert abs((incident.since_ns - START_NS) / STEP_NS - wide) < 100


def test_a_frame_that_was_seen_is_not_counted_again() -> None:
    data = stream(23)
    runner = Run({})
    runner.feed(batch(data, 0, 32))
    assert not runner.feed(batch(data, 0, 32)).batches
    runner.reload()
    overlap = runner.feed(batch(data, 16, 48)).batches
    assert [item.frames.first_seq for item in overlap] == [32]
    assert sum(item.frames.n for item in runner.outputs.batches) == 48


def test_a_gap_in_the_sequence_is_blind_time_with_its_count() -> None:
    data = stream(24)
    runner = Run({})
    runner.feed(batch(data, 0, 32))
    (blind,) = runner.feed(batch(data, 40, 64)).blind_times
    assert (blind.reason, blind.frames_missed) == ("sequence_gap", 8)
    assert blind.since_ns == START_NS + 31 * STEP_NS
    assert blind.until_ns == START_NS + 40 * STEP_NS


def test_without_a_profile_a_station_learns_and_says_what_is_missing() -> None:
    data = stream(25)
    runner = Run({})
    first = runner.feed(batch(data, 0, 100)).statuses[0]
    assert (first.state, first.missing) == ("learning", ("450 frames", "9 lots"))
    for start in range(100, 1100, 100):
        runner.feed(batch(data, start, start + 100))
    assert runner.outputs.statuses[-1].missing == ()
    assert not runner.outputs.detections


PLANT = """
[[stations]]
id = "plant/paint/line1/cam1"
views = ["top"]
calendar = "c"
embeddings = "sampled"
[calendars.c]
timezone = "UTC"
[[calendars.c.shifts]]
name = "day"
start = "06:00"
end = "18:00"
[[calendars.c.shifts]]
name = "night"
start = "18:00"
end = "06:00"
"""


def test_a_calendar_names_shifts_and_makes_a_gap_blind_and_learning_waits_for_every_shift(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(PLANT)
    data = stream(27)
    runner = Run({}, load_plant(tmp_path / "plant.toml"))
    for start in range(0, 1000, 50):  # 2 s a frame from 08:53 on
        runner.feed(batch(data, start, start + 50))
    assert runner.outputs.statuses[-1].missing == ("night shift",)
    assert set(runner.outputs.batches[0].shift) == {"2025-10-09 day"}
    assert set(runner.outputs.batches[0].embeddings) == {"all"}, "a station that learns keeps all"
    late = encode_frames(
        replace(columns(data, 1000, 1032), captured_at_ns=START_NS + 2000 * STEP_NS + np.arange(32) * STEP_NS)
    )
    (blind,) = runner.feed(late).blind_times
    assert (blind.reason, blind.since_ns, blind.until_ns) == (
        "silent",
        START_NS + 999 * STEP_NS,
        START_NS + 2000 * STEP_NS,
    )


def test_a_station_with_a_profile_keeps_one_embedding_in_fifty_where_it_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(PLANT)
    data = stream(28)
    sha, profile = learned(data)
    runner = Run({sha: profile}, load_plant(tmp_path / "plant.toml"))
    runner.feed(activation(sha))
    (made,) = runner.feed(batch(data, GOLDEN, GOLDEN + 100)).batches
    assert list(np.flatnonzero(made.embeddings == "sampled")) == [0, 50]
    assert (made.embeddings != "").sum() == 2


def control(**event: object) -> bytes:
    told = pb.Control(control_id="c2", at_ns=START_NS + 2700 * STEP_NS, actor="eve", reason="r", **event)  # type: ignore[arg-type]  # one of the events
    return encode_control(STATION, told)


def out_of_control(seed: int) -> Run:
    """A station with an open page."""
    data = stream(seed)
    sha, profile = learned(data)
    runner = Run({sha: profile})
    runner.feed(activation(sha))
    for start in range(GOLDEN, ONSET + 160, 40):
        runner.feed(batch(data, start, start + 40))
    return runner


def paged(runner: Run) -> str:
    """The id of the one detection of the layer that pages."""
    (opened,) = {
        d.detection_id for d in runner.outputs.detections if d.stream == "embedding:head" and d.verdict == "paging"
    }
    return opened


def test_not_drift_ends_the_page_mutes_its_direction_and_is_counted() -> None:
    runner = out_of_control(29)
    data = stream(29)
    opened = paged(runner)
    until_ns = START_NS + 10**6 * STEP_NS
    ended = runner.feed(control(not_drift=pb.NotDrift(view="top", detection_id=opened, until_ns=until_ns))).detections
    assert {(d.detection_id, d.status) for d in ended} == {(opened, "ended")}
    assert runner.outputs.statuses[-1].not_drift == 1
    runner.reload()
    before = len(runner.outputs.detections)
    for start in range(ONSET + 160, END, 35):
        runner.feed(batch(data, start, start + 35))
    later = [d for d in runner.outputs.detections[before:] if d.stream == "embedding:head"]
    assert later == [], "the same displacement goes on, and is not looked at"


def test_what_is_no_drift_stays_so_through_frames_that_lack_the_layer() -> None:
    runner = out_of_control(29)
    data = stream(29)
    opened = paged(runner)
    until_ns = START_NS + 10**6 * STEP_NS
    runner.feed(control(not_drift=pb.NotDrift(view="top", detection_id=opened, until_ns=until_ns)))
    before = len(runner.outputs.detections)
    for start in range(ONSET + 160, END, 7):
        frames = columns(data, start, min(start + 7, END))
        lacking = np.full(frames.n, start % 3 != 0)
        runner.feed(encode_frames(replace(frames, present={"head": lacking})))
    later = [d for d in runner.outputs.detections[before:] if d.stream == "embedding:head"]
    assert later == [], "the same displacement goes on, and is not looked at"


def test_what_is_no_drift_is_looked_at_again_once_its_time_is_over() -> None:
    runner = out_of_control(29)
    data = stream(29)
    opened = paged(runner)
    until_ns = START_NS + (ONSET + 200) * STEP_NS
    runner.feed(control(not_drift=pb.NotDrift(view="top", detection_id=opened, until_ns=until_ns)))
    before = len(runner.outputs.detections)
    for start in range(ONSET + 160, END, 35):
        runner.feed(batch(data, start, min(start + 35, END)))
    again = [d for d in runner.outputs.detections[before:] if d.stream == "embedding:head"]
    assert again[0].alarm_at_ns >= until_ns
    assert again[0].detection_id != opened


def test_a_cleaning_after_the_onset_that_did_not_end_the_change_is_contradicted() -> None:
    data = stream(30)
    sha, profile = learned(data)
    runner = Run({sha: profile})
    runner.feed(activation(sha))
    for start in range(GOLDEN, END, 40):
        if start == ONSET + 40:
            cleaned = pb.Control(control_id="c3", at_ns=START_NS + (ONSET + 30) * STEP_NS)
            cleaned.recorded_change.kind = "cleaning"
            runner.feed(encode_control(STATION, cleaned))
        runner.feed(batch(data, start, min(start + 40, END)))
    refined = [d for d in runner.outputs.detections if d.stream == "embedding:head" and d.status == "refined"]
    assert refined[0].contradicted
    (incident,) = correlate(runner.outputs.detections)
    assert incident.contradicted, "reported, not hidden"
    assert abs((refined[0].since_ns - START_NS) / STEP_NS - ONSET) <= 3


@pytest.mark.parametrize(("recorded_at", "follows"), [(GOLDEN - 500, False), (GOLDEN, True)])
def test_only_a_change_recorded_since_the_golden_frames_explains_what_is_there_from_the_first_frame_on(
    recorded_at: int,
    follows: bool,  # noqa: FBT001 - parametrized
) -> None:
    x, factor, lots = stream(38)
    moved = x.astype(np.float32)
    moved[GOLDEN:] += 2 * moved[:GOLDEN].std(axis=0)
    data = (moved.astype(np.float16), factor, lots)
    sha, profile = learned(data)
    runner = Run({sha: profile})
    for start in range(0, GOLDEN, 500):
        runner.feed(batch(data, start, start + 500))
    told = pb.Control(control_id="c4", at_ns=START_NS + recorded_at * STEP_NS)
    told.recorded_change.kind = "replacement"
    runner.feed(encode_control(STATION, told))
    runner.feed(activation(sha))
    for start in range(GOLDEN, GOLDEN + 300, 50):
        runner.feed(batch(data, start, start + 50))
    (event,) = runner.state.views["top"].monitors["embedding:head"].open
    assert event.since == 0
    assert event.follows_change == follows


def test_a_recorded_change_and_a_challenge_are_remembered_within_bounds() -> None:
    runner = out_of_control(31)
    for number in range(100):
        told = pb.Control(control_id=f"c{number}", at_ns=START_NS + number * STEP_NS)
        told.recorded_change.kind = "maintenance"
        runner.feed(encode_control(STATION, told))
        runner.feed(control(challenge=pb.Challenge(passed=True)))
    memory = runner.state.views["top"].memory
    assert len(memory.changes) == len(memory.passed) == 64
    assert (
        runner.feed(control(recorded_change=pb.RecordedChange(kind="washing"))).dead_letters[0].reason == "bad_control"
    )


def test_bad_bytes_become_a_dead_letter_and_the_next_record_goes_on() -> None:
    data = stream(26)
    runner = Run({})
    (letter,) = runner.feed(b"\xff\xff").dead_letters
    assert letter.reason == "undecodable"
    assert letter.payload == b"\xff\xff"
    assert runner.feed(batch(data, 0, 32)).batches
