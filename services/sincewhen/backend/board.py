"""What was last heard of every view, for threads that answer questions."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from sincewhen.plant import Plant
from sincewhen.presence.presence import judge
from sincewhen_schemas.messages import Heard, StationStatus


@dataclass(slots=True)
class Board:
    """now_ns: the clock of the log's append times."""

    plant: Plant
    now_ns: Callable[[], int]
    _heard: dict[tuple[str, str], Heard] = field(default_factory=dict)

    def take(self, last: Heard) -> None:
        self._heard[last.status.station_id, last.status.view] = last

    def stations(self, *, caught_up: bool) -> list[StationStatus]:
        """Every view that was heard of or is listed. Silence is judged only once all that came is applied."""
        known = dict(self._heard)
        for station in (self.plant.stations or {}).values():
            for view in station.views:
                known.setdefault((station.station_id, view), Heard(status=_unheard(station.station_id, view)))
        return [self._now(known[key]) if caught_up else known[key].status for key in sorted(known)]

    def _now(self, last: Heard) -> StationStatus:
        status = last.status
        silent = judge(last, self.plant.calendar(status.station_id), self.now_ns())
        if silent is None:
            return status
        return msgspec.structs.replace(status, state=silent, since_ns=status.last_captured_at_ns, silent=True)


def _unheard(station_id: str, view: str) -> StationStatus:
    return StationStatus(
        station_id=station_id,
        view=view,
        state="learning",
        since_ns=0,
        profile_sha="",
        frames=0,
        last_captured_at_ns=0,
    )
