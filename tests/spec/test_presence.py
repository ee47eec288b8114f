"""Silence is never health: who should produce and sends nothing is blind; who need not is grey; else nobody knows."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from sincewhen.plant.calendar import Break, Calendar, Shift
from sincewhen.presence.presence import BY_SHIFT_NS, FLAGS_MAX, Presence, Stretch, arrive, beat, heard, judge
from sincewhen_schemas.messages import StationStatus

S = 10**9
DAY_NS = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp()) * S  # a Tuesday
EARLY = Shift("early", time(6), time(14), frozenset(range(5)), (Break(time(9, 30), time(10)),))
CALENDAR = Calendar(ZoneInfo("UTC"), time(6), (EARLY,))


def at(hour: float) -> int:
    return DAY_NS + round(hour * 3600) * S


def seen(hour: float) -> Presence:
    presence = Presence()
    assert arrive(presence, at(hour), at(hour), at(hour), 1.0 * S, None) == []
    return presence


def judged(presence: Presence, spacing_ns: float, calendar: Calendar | None, now_ns: int) -> str | None:
    status = StationStatus(
        station_id="ulm/body/line1/oven",
        view="main",
        state="in control",
        since_ns=0,
        profile_sha="",
        frames=0,
        last_captured_at_ns=0,
    )
    return judge(heard(status, presence, spacing_ns), calendar, now_ns)


def beats(presence: Presence, first: float, last: float, *, producing: bool | None, observing: bool = True) -> None:
    for now in range(at(first), at(last) + 1, 10 * S):
        beat(presence, now, now, producing, observing=observing)


@pytest.mark.parametrize(
    ("hour", "state"),
    [
        (7.01, None),  # frames came half a minute ago
        (7.5, "blind"),
        (9.75, "not producing"),  # break
        (10.01, "not producing"),  # the break ended less than a minute ago
        (10.1, "blind"),
        (15.0, "not producing"),
    ],
)
def test_a_silent_station_is_judged_by_its_calendar(hour: float, state: str | None) -> None:
    assert judged(seen(7), 1.0 * S, CALENDAR, at(hour)) == state


def test_the_running_flag_wins_over_the_calendar_while_heartbeats_come() -> None:
    presence = seen(7)
    beats(presence, 7, 7.5, producing=False)
    assert judged(presence, 1.0 * S, CALENDAR, at(7.5)) == "not producing"
    assert judged(presence, 1.0 * S, CALENDAR, at(8)) == "blind", "heartbeats stopped: the calendar says"
    beats(presence, 9.6, 9.7, producing=True)
    assert judged(presence, 1.0 * S, CALENDAR, at(9.7)) == "blind", "a break that the line works through"


def test_where_nobody_says_a_silent_station_has_insufficient_data() -> None:
    presence = seen(7)
    assert judged(presence, 1.0 * S, None, at(8)) == "insufficient data"
    beats(presence, 7, 7.1, producing=True)
    assert judged(presence, 1.0 * S, None, at(8)) == "blind", "it was producing when its agent was last heard of"


def test_a_listed_station_that_never_sent_anything_is_blind_in_its_shift() -> None:
    assert judged(Presence(), 0, CALENDAR, at(8)) == "blind"
    assert judged(Presence(), 0, CALENDAR, at(5)) == "not producing"


def test_a_slow_line_is_silent_after_ten_of_its_usual_pauses() -> None:
    assert judged(seen(7), 300.0 * S, CALENDAR, at(7.8)) is None
    assert judged(seen(7), 300.0 * S, CALENDAR, at(7.9)) == "blind"


def test_blind_time_is_the_planned_part_of_a_gap() -> None:
    presence = seen(9)
    found = arrive(presence, at(11), at(11), at(11), 1.0 * S, CALENDAR)
    assert found == [Stretch(at(9), at(9.5), "silent"), Stretch(at(10), at(11), "silent")]


def test_a_gap_of_decades_is_told_in_a_bounded_number_of_stretches() -> None:
    """The first frame was of a PC whose clock had begun anew."""
    first, now = int(datetime(2000, 1, 3, tzinfo=UTC).timestamp()) * S, at(7)
    presence = Presence(captured_at_ns=first)
    found = arrive(presence, now, now, now, 1.0 * S, CALENDAR)
    assert found[0] == Stretch(first, now - BY_SHIFT_NS, "silent")
    assert found[1].since_ns >= found[0].until_ns
    assert 40 < len(found) < 130
    assert found[-1].until_ns <= now


def test_a_backlog_that_comes_late_leaves_no_blind_time() -> None:
    presence = seen(7)
    assert judged(presence, 1.0 * S, CALENDAR, at(9)) == "blind"
    assert arrive(presence, at(7) + S, at(9), at(9), 1.0 * S, CALENDAR) == []


def test_flags_within_a_gap_say_more_than_the_calendar() -> None:
    presence = seen(7)
    beats(presence, 7, 8, producing=False)  # setup
    beats(presence, 8, 8.5, producing=True)
    found = arrive(presence, at(8.5), at(8.5), at(8.5), 1.0 * S, CALENDAR)
    assert found == [Stretch(at(8), at(8.5), "silent")]
    assert len(presence.flags) <= 1, "what was said before the newest frame is forgotten"


def test_without_a_calendar_a_producing_station_stays_blind_until_it_says_otherwise() -> None:
    presence = seen(7)
    beats(presence, 7, 7.1, producing=True)
    assert arrive(presence, at(8), at(8), at(8), 1.0 * S, None) == [Stretch(at(7), at(8), "silent")]
    assert arrive(presence, at(9), at(9), at(9), 1.0 * S, None) == [], "nobody says that it should have produced"


def test_an_agent_that_was_switched_off_is_the_reason() -> None:
    presence = seen(7)
    beats(presence, 7, 7.2, producing=None, observing=False)
    (stretch,) = arrive(presence, at(8), at(8), at(8), 1.0 * S, CALENDAR)
    assert stretch == Stretch(at(7), at(8), "agent_off")


def test_what_is_remembered_is_bounded() -> None:
    presence = seen(7)
    for number in range(3 * FLAGS_MAX):
        beat(presence, at(7) + number * S, at(7) + number * S, number % 2 == 0, observing=True)
    assert len(presence.flags) == FLAGS_MAX
