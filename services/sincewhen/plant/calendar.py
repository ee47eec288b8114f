"""When a station is meant to produce. Wall-clock times become instants once a day, so a summer-time night is right."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Break:
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Shift:
    """Starts on each of `weekdays` (0 is Monday); an end at or before the start lies on the next day."""

    name: str
    start: time
    end: time
    weekdays: frozenset[int]
    breaks: tuple[Break, ...] = ()


@dataclass(frozen=True, slots=True)
class Calendar:
    """A production day runs from `day_starts` to the same time of the next day; `holidays` are production days."""

    zone: ZoneInfo
    day_starts: time
    shifts: tuple[Shift, ...]
    holidays: frozenset[date] = frozenset()

    def production_day(self, at_ns: int) -> date:
        local = self._local(at_ns)
        return local.date() if local.time() >= self.day_starts else local.date() - DAY

    def shift_of(self, at_ns: int) -> str:
        """The shift that runs at this instant, its breaks included; "" between shifts and on a holiday."""
        return next((shift.name for _, shift in self._running(at_ns)), "")

    def planned(self, at_ns: int) -> bool:
        """Whether production is planned: a shift runs, and it is not in a break."""
        for day, shift in self._running(at_ns):
            for pause in shift.breaks:
                start_day = day if pause.start >= shift.start else day + DAY
                if self._within(at_ns, start_day, pause.start, pause.end):
                    return False
            return True
        return False

    def _running(self, at_ns: int) -> Iterator[tuple[date, Shift]]:
        today = self._local(at_ns).date()
        for day in (today - DAY, today):
            for shift in self.shifts:
                first = day if shift.start >= self.day_starts else day - DAY
                if day.weekday() not in shift.weekdays or first in self.holidays:
                    continue
                if self._within(at_ns, day, shift.start, shift.end):
                    yield day, shift

    def _within(self, at_ns: int, day: date, start: time, end: time) -> bool:
        end_day = day if end > start else day + DAY
        return self._instant_ns(day, start) <= at_ns < self._instant_ns(end_day, end)

    def _instant_ns(self, day: date, wall: time) -> int:
        """A time that summer time skips is the same length later; one that comes twice is the first."""
        return int(datetime.combine(day, wall, self.zone).timestamp()) * NS

    def _local(self, at_ns: int) -> datetime:
        return datetime.fromtimestamp(at_ns // NS, UTC).astimezone(self.zone)
