"""plant.toml: what it says is what the plant answers; every mistake is refused with its own message."""

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from sincewhen.plant import Calendar, Plant, PlantError, load_plant

EXAMPLE = Path(__file__).resolve().parents[2] / "services/sincewhen/plant/plant.example.toml"
FIXTURES = Path(__file__).parent / "plant_fixtures"
STATION = "ulm/body/line-1/weld-check"
BERLIN = ZoneInfo("Europe/Berlin")
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

MISTAKES = {
    "break_has_no_length": "a break has a length",
    "break_lies_outside_its_shift": "a break lies in its shift; 13:30-14:30",
    "breaks_overlap": "breaks of a shift do not overlap",
    "calendar_has_no_shifts": "a calendar has shifts",
    "calendar_is_unknown": "'nights': add",
    "day_is_unknown": "'monday'",
    "field_has_the_wrong_type": "Expected `float`, got `str`",
    "field_is_missing": "missing required field `views`",
    "field_is_unknown": "unknown field `pages`",
    "file_is_not_toml": "is not TOML",
    "holiday_is_no_date": "date - at",
    "no_station_is_listed": "at least one",
    "pages_per_week_is_zero": "pages_per_week is above 0; got 0.0",
    "retention_is_zero": "retention.units_days is 1..10000; got 0",
    "shift_has_no_days": "a shift has days",
    "shift_is_named_twice": "different names",
    "shift_lasts_a_whole_day": "shorter than a day",
    "shifts_overlap": "'early' and 'late' of 'c' do",
    "shifts_overlap_over_midnight": "'night' and 'early' of 'c' do",
    "station_has_no_view": "named views",
    "station_id_is_malformed": "site/area/line/station without spaces; got 's/a/one'",
    "station_is_listed_twice": "a station is listed once",
    "time_is_malformed": "'HH:MM', 00:00 to 23:59; got '24:00'",
    "timezone_is_unknown": "IANA name",
    "view_is_listed_twice": "a view is listed once",
}


def ns(text: str, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()) * 1_000_000_000


def calendar(path: Path) -> Calendar:
    found = load_plant(path).calendar(STATION)
    assert found is not None
    return found


@pytest.mark.parametrize(("mistake", "says"), MISTAKES.items())
def test_a_mistake_in_plant_toml_is_refused_with_its_own_message(mistake: str, says: str) -> None:
    with pytest.raises(PlantError) as refused:
        load_plant(FIXTURES / f"{mistake}.toml")
    assert says in str(refused.value)


def test_every_fixture_has_its_message() -> None:
    assert {path.stem for path in FIXTURES.glob("*.toml")} == set(MISTAKES)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlantError, match=r"absent\.toml cannot be read"):
        load_plant(tmp_path / "absent.toml")


def test_without_a_file_every_well_formed_station_is_known_and_no_shift_is() -> None:
    plant = load_plant(None)
    assert plant == Plant()
    assert plant.knows("any/area/line/station")
    assert not plant.knows("any/line/station")
    assert plant.pages_per_week == 1.0
    assert plant.calendar("any/area/line/station") is None
    assert plant.shifts("any/area/line/station", np.array([ns("2026-11-24T10:00")])).tolist() == [""]


def test_with_a_file_only_listed_stations_are_known() -> None:
    plant = load_plant(EXAMPLE)
    assert plant.knows(STATION)
    assert not plant.knows("ulm/body/line-1/weld-chek")


@pytest.mark.parametrize(
    ("at", "shift", "planned"),
    [
        ("2026-11-24T06:00", "early", True),
        ("2026-11-24T09:30", "early", False),  # break
        ("2026-11-24T10:00", "early", True),
        ("2026-11-24T14:00", "late", True),
        ("2026-11-24T22:00", "night", True),
        ("2026-11-25T02:15", "night", False),  # break after midnight
        ("2026-11-28T05:59", "night", True),  # Saturday morning, Friday's night shift
        ("2026-11-28T06:00", "", False),
        ("2026-11-29T23:00", "", False),  # no night shift starts on Sunday
        ("2026-12-25T05:00", "night", True),  # the night of the 24th
        ("2026-12-25T10:00", "", False),  # holiday
        ("2026-12-26T05:00", "", False),  # the night of the holiday
    ],
)
def test_shifts_breaks_and_holidays_are_as_the_calendar_says(at: str, shift: str, planned: bool) -> None:  # noqa: FBT001 - a table of expectations
    days = calendar(EXAMPLE)
    assert days.shift_of(ns(at)) == shift
    assert days.planned(ns(at)) is planned


def test_a_break_in_the_hour_that_comes_twice_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "plant.toml"
    path.write_text(EXAMPLE.read_text().replace('end = "06:00"', f'end = "06:00"\ndays = {DAYS}'))
    days = calendar(path)
    assert not days.planned(ns("2026-10-25T02:15", fold=0))
    assert days.planned(ns("2026-10-25T02:15", fold=1))
    night = range(ns("2026-10-24T22:00"), ns("2026-10-25T06:00"), 1800 * 10**9)
    assert len(night) == 18  # nine hours
    assert {days.shift_of(at) for at in night} == {"night"}


def test_a_break_in_the_hour_that_is_skipped_keeps_its_length(tmp_path: Path) -> None:
    path = tmp_path / "plant.toml"
    path.write_text(EXAMPLE.read_text().replace('end = "06:00"', f'end = "06:00"\ndays = {DAYS}'))
    days = calendar(path)
    night = range(ns("2026-03-28T22:00"), ns("2026-03-29T06:00"), 60 * 10**9)
    assert len(night) == 7 * 60
    assert sum(not days.planned(at) for at in night) == 30
    planned = days.planned_between(ns("2026-03-28T22:00"), ns("2026-03-29T06:00"))
    assert sum(last - first for first, last in planned) == (7 * 60 - 30) * 60 * 10**9


def test_the_hours_before_the_day_starts_belong_to_the_production_day_before() -> None:
    days = calendar(EXAMPLE)
    assert days.production_day(ns("2026-11-25T05:59")) == date(2026, 11, 24)
    assert days.production_day(ns("2026-11-25T06:00")) == date(2026, 11, 25)


def test_a_frame_s_shift_is_that_of_its_capture_with_the_production_day() -> None:
    plant = load_plant(EXAMPLE)
    at = ["2026-11-24T21:59:59", "2026-11-24T22:00", "2026-11-25T05:59", "2026-11-28T12:00"]
    found = plant.shifts(STATION, np.array([ns(text) for text in at]))
    assert found.tolist() == ["2026-11-24 late", "2026-11-24 night", "2026-11-24 night", ""]
    assert plant.shift_names(STATION) == ("early", "late", "night")


def test_planned_stretches_are_cut_by_breaks_shifts_and_the_window() -> None:
    found = calendar(EXAMPLE).planned_between(ns("2026-11-24T09:00"), ns("2026-11-24T15:00"))
    expected = [("09:00", "09:30"), ("10:00", "14:00"), ("14:00", "15:00")]
    assert found == [(ns(f"2026-11-24T{a}"), ns(f"2026-11-24T{b}")) for a, b in expected]
    assert calendar(EXAMPLE).planned_between(ns("2026-11-28T10:00"), ns("2026-11-29T10:00")) == []
