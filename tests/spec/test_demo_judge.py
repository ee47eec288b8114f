"""The judge of the demonstration: what counts as found, and which lots have to be suspect."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sincewhen.demo.judge import Stage, judge
from sincewhen.demo.scene import Truth

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
LOTS = {"early": (0, 690), "before": (690, 720), "begun": (720, 810), "next": (810, 900), "last": (900, 1700)}
HAZE = Stage("p/a/l/s", Truth("lens haze", 800, 1700, 500, ("begun", "next", "last")), START, 1.0, LOTS)


def incident(since: int, low: int, high: int, lots: set[str], opened: int = 880) -> dict[str, Any]:
    at = {"since": since, "since_low": low, "since_high": high, "opened_at": opened}
    times = {key: (START + timedelta(seconds=row)).isoformat() for key, row in at.items()}
    return {"station_id": HAZE.station_id, "shape": "gradual", "cause": "haze", "lots": sorted(lots), **times}


@pytest.mark.parametrize(
    ("lots", "right"),
    [
        ({"begun", "next", "last"}, True),
        ({"next", "last"}, True),  # of the lot in which it began ten frames are hazed by at most a fiftieth
        ({"before", "begun", "next", "last"}, True),  # it ended 80 frames before
        ({"early", "before", "begun", "next", "last"}, False),
        ({"begun", "last"}, False),
    ],
)
def test_the_lots_of_a_ramp_are_right_but_for_those_that_ended_about_when_it_began(
    lots: set[str],
    right: bool,  # noqa: FBT001 - a case
) -> None:
    report, ok, false = judge(HAZE, [incident(810, 795, 830, lots)])
    assert (report["covered"], ok, false) == (True, right, 0)


def test_the_first_incident_after_the_story_began_is_its_finding_and_others_are_false() -> None:
    lots = {"begun", "next", "last"}
    report, ok, false = judge(
        HAZE, [incident(400, 390, 420, {"early"}, opened=420), incident(890, 880, 899, lots, opened=950)]
    )
    assert (report["covered"], ok, false) == (False, False, 1)
