"""What the other rooms ask about the plant."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sincewhen.plant.calendar import Calendar
from sincewhen_schemas.limits import STATION_ID

PAGES_PER_WEEK = 1.0


@dataclass(frozen=True, slots=True)
class Station:
    station_id: str
    views: tuple[str, ...]
    calendar: Calendar | None = None


@dataclass(frozen=True, slots=True)
class Plant:
    """`stations` is None where nobody listed them: then every well-formed station_id is of this plant."""

    stations: Mapping[str, Station] | None = None
    pages_per_week: float = field(default=PAGES_PER_WEEK)

    def knows(self, station_id: str) -> bool:
        if self.stations is None:
            return STATION_ID.fullmatch(station_id) is not None
        return station_id in self.stations

    def shift_of(self, station_id: str, at_ns: int) -> str:
        """The shift at this instant (UTC epoch ns); "" where there is none or no calendar says."""
        calendar = self._calendar(station_id)
        return "" if calendar is None else calendar.shift_of(at_ns)

    def planned(self, station_id: str, at_ns: int) -> bool:
        """Whether the calendar plans production; False without one: then only a running flag can say so."""
        calendar = self._calendar(station_id)
        return calendar is not None and calendar.planned(at_ns)

    def _calendar(self, station_id: str) -> Calendar | None:
        station = None if self.stations is None else self.stations.get(station_id)
        return None if station is None else station.calendar
