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

    def shift_on_day(self, at_ns: int) -> str:
        """The shift with its production day, "2026-03-01 night"; "" where none runs."""
        shift = self.shift_of(at_ns)
        return f"{self.production_day(at_ns)} {shift}" if shift else ""

    def planned(self, at_ns: int) -> bool:
        """Whether production is planned: a shift runs, and it is not in a break."""
        return any(first <= at_ns < last for first, last in self.planned_between(at_ns, at_ns + 1))

    def planned_between(self, from_ns: int, until_ns: int) -> list[tuple[int, int]]:
        """The stretches [first, last) of planned production within [from_ns, until_ns), oldest first."""
        found: list[tuple[int, int]] = []
        day, last_day = self._local(from_ns).date() - DAY, self._local(until_ns).date()
        while day <= last_day:
            for shift in self.shifts:
                if self._runs(day, shift):
                    found += self._working(day, shift)
            day += DAY
        clipped = [(max(first, from_ns), min(last, until_ns)) for first, last in found]
        return sorted(stretch for stretch in clipped if stretch[0] < stretch[1])

    def _working(self, day: date, shift: Shift) -> list[tuple[int, int]]:
        """The stretches between the breaks of the shift that starts on this day."""
        edges = [self._instant_ns(day, shift.start)]
        for pause in sorted(shift.breaks, key=lambda pause: (pause.start < shift.start, pause.start)):
            start_day = day if pause.start >= shift.start else day + DAY
            end_day = start_day if pause.end > pause.start else start_day + DAY
            edges += [self._instant_ns(start_day, pause.start), self._instant_ns(end_day, pause.end)]
        edges.append(self._instant_ns(day if shift.end > shift.start else day + DAY, shift.end))
        return list(zip(edges[::2], edges[1::2], strict=True))

    def _running(self, at_ns: int) -> Iterator[tuple[date, Shift]]:
        today = self._local(at_ns).date()
        for day in (today - DAY, today):
            for shift in self.shifts:
                end_day = day if shift.end > shift.start else day + DAY
                first, last = self._instant_ns(day, shift.start), self._instant_ns(end_day, shift.end)
                if self._runs(day, shift) and first <= at_ns < last:
                    yield day, shift

    def _runs(self, day: date, shift: Shift) -> bool:
        """Whether the shift starts on this day: a weekday of its own, and no holiday."""
        production_day = day if shift.start >= self.day_starts else day - DAY
        return day.weekday() in shift.weekdays and production_day not in self.holidays

    def _instant_ns(self, day: date, wall: time) -> int:
        """A time that summer time skips is the same length later; one that comes twice is the first."""
        return int(datetime.combine(day, wall, self.zone).timestamp()) * NS

    def _local(self, at_ns: int) -> datetime:
        return datetime.fromtimestamp(at_ns // NS, UTC).astimezone(self.zone)
