"""What the other rooms ask about the plant."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sincewhen.plant.calendar import Calendar
from sincewhen.plant.places import line_of, site_of
from sincewhen_schemas.frames import Strings
from sincewhen_schemas.limits import STATION_ID

PAGES_PER_WEEK = 1.0
STATIONS_UNLISTED = 10  # stations that share the page budget where nobody listed them
GROUPS_UNLISTED = 6  # lines and plant that share the groups' part of it: five lines of two of those stations
_MINUTE_NS = 60 * 10**9
Kept: TypeAlias = Literal["all", "sampled"]


@dataclass(frozen=True, slots=True)
class Station:
    """embeddings: all of them, for a short time, or 1 in 50 for as long as units, once a profile is active."""

    station_id: str
    views: tuple[str, ...]
    calendar: Calendar | None = None
    embeddings: Kept = "all"


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that rows are kept, from their receipt. Incidents never expire."""

    units_days: int = 400
    embeddings_days: int = 14
    dead_letters_days: int = 90


@dataclass(frozen=True, slots=True)
class Plant:
    """`stations` is None where nobody listed them: then every well-formed station_id is of this plant."""

    stations: Mapping[str, Station] | None = None
    pages_per_week: float = PAGES_PER_WEEK
    retention: Retention = field(default_factory=Retention)

    @property
    def budget_stations(self) -> int:
        """Among how many stations the page budget is shared."""
        return STATIONS_UNLISTED if self.stations is None else len(self.stations)

    def budget_views(self, station_id: str, seen: int) -> int:
        """Among how many views a station's share is shared; seen: those that sent, where nobody listed them."""
        station = self._station(station_id)
        return max(1, seen) if station is None else len(station.views)

    @property
    def groups(self) -> int:
        """Lines of two stations or more, and sites of two lines or more."""
        if self.stations is None:
            return GROUPS_UNLISTED
        stations = Counter(line_of(station_id) for station_id in self.stations)
        lines = Counter(site_of(line) for line in stations)
        return sum(count > 1 for count in (*stations.values(), *lines.values()))

    def knows(self, station_id: str) -> bool:
        if self.stations is None:
            return STATION_ID.fullmatch(station_id) is not None
        return station_id in self.stations

    def knows_view(self, station_id: str, view: str) -> bool:
        station = self._station(station_id)
        return station is None or view in station.views

    def shifts(self, station_id: str, at_ns: NDArray[np.int64]) -> Strings:
        """The shift at each instant (n,): "2026-03-01 night", its production day first; "" where none runs."""
        calendar = self.calendar(station_id)
        if calendar is None:
            return np.full(len(at_ns), "", object)
        minutes, of = np.unique(at_ns // _MINUTE_NS, return_inverse=True)  # shifts begin and end on a minute
        named = [calendar.shift_on_day(int(minute) * _MINUTE_NS) for minute in minutes]
        return np.array(named, object)[of]

    def shift_names(self, station_id: str) -> tuple[str, ...]:
        """Every shift of the station's calendar."""
        calendar = self.calendar(station_id)
        return () if calendar is None else tuple(shift.name for shift in calendar.shifts)

    def calendar(self, station_id: str) -> Calendar | None:
        """When the station is meant to produce; None where nobody says."""
        station = self._station(station_id)
        return None if station is None else station.calendar

    def embeddings(self, station_id: str) -> Kept:
        station = self._station(station_id)
        return "all" if station is None else station.embeddings

    def _station(self, station_id: str) -> Station | None:
        return None if self.stations is None else self.stations.get(station_id)
