"""plant.toml becomes a Plant, or a PlantError that says the rule, the value and the way out. Read once, at start."""

import itertools
import math
import re
import tomllib
from collections.abc import Sequence
from datetime import date, time
from pathlib import Path
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from sincewhen.plant.calendar import Break, Calendar, Shift
from sincewhen.plant.plant import PAGES_PER_WEEK, Kept, Plant, Retention, Station
from sincewhen_schemas.limits import STATION_ID

Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES
_RETENTION = Retention()
RETENTION_DAYS_MAX = 10_000  # beyond 2106 the engine's DateTime wraps around and rows expire at once


class PlantError(ValueError):
    """plant.toml breaks a rule."""


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table as written in the file."""


class _Break(_Written, frozen=True):
    start: str
    end: str


class _Shift(_Written, frozen=True):
    name: str
    start: str
    end: str
    days: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
    breaks: tuple[_Break, ...] = ()


class _Calendar(_Written, frozen=True):
    timezone: str
    shifts: tuple[_Shift, ...]
    day_starts: str = "00:00"
    holidays: tuple[date, ...] = ()


class _Station(_Written, frozen=True):
    id: str
    views: tuple[str, ...]
    calendar: str | None = None
    embeddings: Kept = "all"


class _Retention(_Written, frozen=True):
    units_days: int = _RETENTION.units_days
    embeddings_days: int = _RETENTION.embeddings_days
    dead_letters_days: int = _RETENTION.dead_letters_days


class _Plant(_Written, frozen=True):
    stations: tuple[_Station, ...]
    pages_per_week: float = PAGES_PER_WEEK
    calendars: dict[str, _Calendar] = {}
    retention: _Retention = _Retention()


def load_plant(path: Path | None) -> Plant:
    """The plant of the file; without one, a plant that lists no stations and has no calendar."""
    if path is None:
        return Plant()
    try:
        written = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _Plant)
        return _plant(written)
    except (OSError, UnicodeDecodeError) as error:
        raise PlantError(f"{path} cannot be read: {error}; name a UTF-8 text file, or none") from error
    except tomllib.TOMLDecodeError as error:
        raise PlantError(f"{path} is not TOML: {error}; correct that line") from error
    except msgspec.ValidationError as error:
        raise PlantError(f"{path}: {error}; plant.example.toml shows every field") from error
    except PlantError as error:
        raise PlantError(f"{path}: {error}") from error


def _plant(written: _Plant) -> Plant:
    if not (math.isfinite(written.pages_per_week) and written.pages_per_week > 0):
        raise PlantError(f"pages_per_week is above 0; got {written.pages_per_week}: 1.0 is one false page a week")
    if not written.stations:
        raise PlantError("at least one [[stations]] is listed; got none: add one, or start without plant.toml")
    calendars = {name: _calendar(name, calendar) for name, calendar in written.calendars.items()}
    stations: dict[str, Station] = {}
    for station in written.stations:
        if not STATION_ID.fullmatch(station.id):
            raise PlantError(
                f"a station's id is site/area/line/station without spaces; got {station.id!r}: write all four"
            )
        if station.id in stations:
            raise PlantError(f"a station is listed once; {station.id!r} is there twice: remove one")
        if not station.views or "" in station.views:
            raise PlantError(
                f"a station has named views; {station.id!r} has {list(station.views)}: write views = ['main']"
            )
        if len(set(station.views)) < len(station.views):
            raise PlantError(f"a view is listed once; {station.id!r} has {list(station.views)}: remove one")
        if station.calendar is not None and station.calendar not in calendars:
            raise PlantError(
                f"a station's calendar is one of {sorted(calendars)}; {station.id!r} has {station.calendar!r}: "
                f"add [calendars.{station.calendar}] or correct the name"
            )
        calendar = None if station.calendar is None else calendars[station.calendar]
        stations[station.id] = Station(station.id, station.views, calendar, station.embeddings)
    return Plant(stations, written.pages_per_week, _retention(written.retention))


def _retention(written: _Retention) -> Retention:
    for name, days in msgspec.structs.asdict(written).items():
        if not 1 <= days <= RETENTION_DAYS_MAX:
            raise PlantError(f"retention.{name} is 1..{RETENTION_DAYS_MAX}; got {days}: 400 is usual for units")
    return Retention(**msgspec.structs.asdict(written))


def _calendar(name: str, written: _Calendar) -> Calendar:
    try:
        zone = ZoneInfo(written.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise PlantError(
            f"timezone is an IANA name; calendar {name!r} has {written.timezone!r}: write 'Europe/Berlin'"
        ) from error
    if not written.shifts:
        raise PlantError(f"a calendar has shifts; calendar {name!r} has none: add [[calendars.{name}.shifts]]")
    shifts = tuple(_shift(shift) for shift in written.shifts)
    names = [shift.name for shift in shifts]
    if len(set(names)) < len(names) or "" in names:
        raise PlantError(f"shifts of one calendar have different names; calendar {name!r} has {names}: rename one")
    _apart(name, shifts)
    return Calendar(zone, _time(written.day_starts), shifts, frozenset(written.holidays))


def _shift(written: _Shift) -> Shift:
    start, end = _time(written.start), _time(written.end)
    if start == end:
        raise PlantError(
            f"a shift is shorter than a day; {written.name!r} starts and ends at {written.start}: split it"
        )
    if not written.days:
        raise PlantError(f"a shift has days; {written.name!r} has none: name the days on which it starts, or remove it")
    breaks = tuple(Break(_time(pause.start), _time(pause.end)) for pause in written.breaks)
    length = (_minutes(end) - _minutes(start)) % DAY_MINUTES
    spans = []
    for pause, text in zip(breaks, written.breaks, strict=True):
        first, last = ((_minutes(t) - _minutes(start)) % DAY_MINUTES for t in (pause.start, pause.end))
        if pause.start == pause.end:
            raise PlantError(
                f"a break has a length; in {written.name!r} it starts and ends at {text.start}: correct one"
            )
        if not first < last <= length:
            raise PlantError(
                f"a break lies in its shift; {text.start}-{text.end} does not lie in {written.name!r} "
                f"{written.start}-{written.end}: move it"
            )
        spans.append((first, last))
    for (_, last), (first, _) in itertools.pairwise(sorted(spans)):
        if first < last:
            raise PlantError(f"breaks of a shift do not overlap; those of {written.name!r} do: merge them")
    return Shift(written.name, start, end, frozenset(WEEKDAYS.index(day) for day in written.days), breaks)


def _apart(name: str, shifts: Sequence[Shift]) -> None:
    spans = []
    for shift in shifts:
        length = (_minutes(shift.end) - _minutes(shift.start)) % DAY_MINUTES
        for day in shift.weekdays:
            first = day * DAY_MINUTES + _minutes(shift.start)
            spans.append((first, first + length, shift.name))
    spans.sort()
    spans.append((spans[0][0] + WEEK_MINUTES, spans[0][1] + WEEK_MINUTES, spans[0][2]))
    for (_, last, one), (first, _, other) in itertools.pairwise(spans):
        if first < last:
            raise PlantError(f"shifts of a calendar do not overlap; {one!r} and {other!r} of {name!r} do: move one")


def _time(text: str) -> time:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise PlantError(f"a time of day is 'HH:MM', 00:00 to 23:59; got {text!r}: write '06:00'")
    return time.fromisoformat(text)


def _minutes(wall: time) -> int:
    return wall.hour * 60 + wall.minute
