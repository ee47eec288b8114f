"""What a line or the plant has in common is one incident, whatever the order; a fault of one station stays its own."""

import itertools
import random
from typing import Any

import pytest
from msgspec.structs import replace

from sincewhen.correlator.changes import changes
from sincewhen.incidents.correlate import correlate
from sincewhen_schemas.messages import Detection, Incident, Likeness

LINE, OTHER = "ulm/body/line1", "ulm/body/line2"
MINUTE = 60 * 10**9


def detection(station: str, stream: str, since: int, alarm: int, **fields: Any) -> Detection:  # noqa: ANN401 - of the message
    """Times in minutes; the onset is known to a minute."""
    return Detection(
        detection_id=f"{station} {stream} {alarm}",
        version=1,
        station_id=station,
        view="" if station.count("/") < 3 else "top",
        stream=stream,
        status="provisional",
        dating="provisional",
        verdict="paging",
        alarm_at_ns=alarm * MINUTE,
        paged_at_ns=alarm * MINUTE,
        since_ns=since * MINUTE,
        since_low_ns=(since - 1) * MINUTE,
        since_high_ns=(since + 1) * MINUTE,
        shape="abrupt",
        p_ramp=0.0,
        evidence=30.0,
        displacement=1.0,
        ln_z=12.0,
        arl0=1e6,
        profile_sha="",
        model_version="",
        updated_at_ns=alarm * MINUTE,
        **fields,
    )


COMMON = detection(LINE, "factor:brightness", 100, 110, stations=(f"{LINE}/a", f"{LINE}/b", f"{LINE}/c"))
BEFORE = detection(f"{LINE}/a", "factor:brightness", 101, 105)
ALSO_BEFORE = detection(f"{LINE}/b", "factor:brightness", 102, 106)
AFTER = detection(f"{LINE}/c", "factor:brightness", 105, 150)
GLARE = (Likeness(cause="glare", family=0, cosine=0.9),)
EMBEDDING = detection(f"{LINE}/a", "embedding:head", 103, 112, cause="glare", cause_cosine=0.9, alike=GLARE)


def test_members_paged_before_and_after_are_one_incident_with_the_id_that_was_paged_first() -> None:
    (alone,) = correlate([BEFORE])
    together = [BEFORE, ALSO_BEFORE, COMMON, AFTER, EMBEDDING]
    (incident,) = correlate(together)
    assert incident.incident_id == alone.incident_id
    assert incident.station_id == LINE
    assert incident.stations == (f"{LINE}/a", f"{LINE}/b", f"{LINE}/c")
    assert (incident.opened_at_ns, incident.since_ns) == (BEFORE.paged_at_ns, COMMON.since_ns)
    assert incident.cause == "glare"


def test_incidents_are_a_function_of_the_set() -> None:
    seed = 7
    print(f"seed {seed}")
    far = detection(f"{OTHER}/a", "factor:brightness", 100, 108)
    every = [BEFORE, ALSO_BEFORE, COMMON, AFTER, EMBEDDING, far]
    rng = random.Random(seed)  # noqa: S311 - an order of a test
    for count in range(1, len(every) + 1):
        for chosen in itertools.combinations(every, count):
            shuffled = list(chosen)
            rng.shuffle(shuffled)
            assert correlate(shuffled) == correlate(chosen)


def test_a_fault_of_one_station_stays_its_own() -> None:
    earlier = detection(f"{LINE}/a", "factor:brightness", 50, 60)
    other_stream = detection(f"{LINE}/b", "factor:contrast", 130, 140)
    other_line = detection(f"{OTHER}/a", "factor:brightness", 100, 105)
    found = correlate([COMMON, earlier, other_stream, other_line])
    assert [incident.station_id for incident in found] == [f"{LINE}/a", f"{OTHER}/a", LINE, f"{LINE}/b"]


def test_after_a_common_cause_has_ended_the_next_fault_is_a_stations_own() -> None:
    ended = detection(LINE, "factor:brightness", 100, 110, until_ns=200 * MINUTE, until_high_ns=201 * MINUTE)
    assert len(correlate([ended, detection(f"{LINE}/a", "factor:brightness", 190, 205)])) == 1
    assert len(correlate([ended, detection(f"{LINE}/a", "factor:brightness", 210, 220)])) == 2


def test_the_plant_takes_its_lines_and_their_stations() -> None:
    plant = detection("ulm", "factor:brightness", 99, 111)
    second = detection(OTHER, "factor:brightness", 100, 112, stations=(f"{OTHER}/a",))
    contrast = detection(LINE, "factor:contrast", 100, 109)
    late = detection(f"{LINE}/b", "factor:contrast", 120, 140)
    (incident,) = correlate([BEFORE, COMMON, plant, second, contrast, late])
    assert incident.station_id == "ulm"
    assert f"{OTHER}/a" in incident.stations
    assert "factor:contrast" in incident.streams


def test_an_incident_ends_with_its_last_member() -> None:
    ended = detection(LINE, "factor:brightness", 100, 110, until_ns=200 * MINUTE)
    (incident,) = correlate([ended, BEFORE])
    assert incident.status == "open"


def stored(*found: Incident) -> dict[str, Incident]:
    return {incident.incident_id: incident for incident in found}


def test_the_store_is_told_what_became_a_part_of_another_incident_once() -> None:
    known = stored(*correlate([BEFORE, ALSO_BEFORE]))
    now = stored(*correlate([BEFORE, ALSO_BEFORE, COMMON]))
    told = changes(known, now)
    (whole,) = now.values()
    (merged,) = [incident for incident in told if incident.merged_into]
    assert (merged.status, merged.merged_into) == ("ended", whole.incident_id)
    assert all(incident.version > known[incident.incident_id].version for incident in told)
    known |= stored(*told)
    assert changes(known, now) == []
    back = changes(known, stored(*correlate([BEFORE, ALSO_BEFORE])))
    assert {incident.merged_into for incident in back} == {""}
    assert all(incident.version > known[incident.incident_id].version for incident in back)


def test_of_a_stations_streams_the_first_that_was_worth_a_page_says_since_when() -> None:
    """An unusual lot is recorded at once and only pages, smeared, together with the change that follows it."""
    smeared = detection(f"{LINE}/a", "embedding:head", 60, 84)
    smeared = replace(smeared, paged_at_ns=134 * MINUTE, shape="gradual")
    sharp = detection(f"{LINE}/a", "factor:contrast", 100, 104)
    (incident,) = correlate([smeared, sharp])
    assert (incident.since_ns, incident.shape) == (sharp.since_ns, "abrupt")


@pytest.mark.parametrize("stream", ["slice:head:0", "t2:head"])
def test_a_narrower_date_of_a_slice_or_of_t2_does_not_speak_for_the_whole(stream: str) -> None:
    whole = replace(
        detection(f"{LINE}/a", "embedding:head", 100, 120), since_low_ns=80 * MINUTE, since_high_ns=110 * MINUTE
    )
    (incident,) = correlate([whole, replace(detection(f"{LINE}/a", stream, 105, 119), dating="confirmed")])
    assert (incident.since_low_ns, incident.dating) == (whole.since_low_ns, "provisional")


SCORE = detection(
    LINE, "cause:head:haze", 100, 110, cause="haze or contrast_loss", cause_cosine=0.97, stations=(f"{LINE}/a",)
)


def test_scores_along_a_cause_say_what_a_line_looks_like_where_no_layer_of_a_station_moved() -> None:
    brightness = replace(COMMON, detection_id="b", alarm_at_ns=105 * MINUTE, paged_at_ns=105 * MINUTE)
    assert [incident.cause for incident in correlate([SCORE, brightness])] == ["haze or contrast_loss"]
    unknown = replace(SCORE, cause="unknown", stream="cause:head:dirt", detection_id="d", cause_cosine=0.98)
    assert [incident.cause for incident in correlate([SCORE, unknown])] == ["haze or contrast_loss"]
    assert [incident.cause for incident in correlate([unknown])] == ["unknown"]
    assert [incident.cause for incident in correlate([SCORE, EMBEDDING])] == ["glare"], "a station's layer sees it all"


def test_a_layer_that_moved_late_belongs_to_the_line_whose_scores_of_that_layer_moved() -> None:
    late = replace(EMBEDDING, alarm_at_ns=300 * MINUTE, paged_at_ns=300 * MINUTE, since_ns=150 * MINUTE,
                   since_low_ns=140 * MINUTE, since_high_ns=160 * MINUTE)  # fmt: skip
    (incident,) = correlate([SCORE, late])
    assert incident.streams == ("cause:head:haze", "embedding:head")
    other = replace(late, stream="embedding:early", detection_id="e")
    assert len(correlate([SCORE, other])) == 2


@pytest.mark.parametrize(("cause", "incidents"), [("haze", 1), ("dirt or haze", 1), ("dirt", 2), ("unknown", 2)])
def test_a_station_that_was_dated_a_little_wrong_belongs_to_the_line_of_its_cause(cause: str, incidents: int) -> None:
    """Its interval, two minutes wide, ends a minute and a half before the line's begins."""
    line = replace(COMMON, stream="cause:head:haze", cause="haze", since_low_ns=int(99.5 * MINUTE))
    assert len(correlate([line, detection(f"{LINE}/a", "embedding:head", 97, 112, cause=cause)])) == incidents
