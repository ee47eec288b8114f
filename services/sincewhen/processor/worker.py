"""Stations of the partitions that this process has now: records in, outputs out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sincewhen.log.log import LogRecord
from sincewhen.log.partitions import Partitions, States
from sincewhen.processor.outputs import Outputs
from sincewhen.processor.pipeline import Pipeline
from sincewhen.processor.state import StationState
from sincewhen.processor.stations import Stations, set_aside
from sincewhen_schemas.messages import Heard

_Word: TypeAlias = tuple[str, int, str, int]


@dataclass(slots=True)
class Worker:
    pipeline: Pipeline
    states: States
    _partitions: Partitions[Stations] = field(init=False)

    def __post_init__(self) -> None:
        self._partitions = Partitions(self.states, lambda: Stations(self.pipeline))

    def assign(self, partitions: Sequence[int]) -> dict[int, int]:
        """As Partitions.assign. Raises LogUnavailable, and KeyError where a profile is missing."""
        return self._partitions.assign(partitions)

    def begin(self, partition: int, offset: int) -> None:
        """As Partitions.begin."""
        self._partitions.begin(partition, offset)

    def take(self, record: LogRecord) -> Outputs | None:
        """What a record makes: to be sent before the next one is taken. None where it is not to be applied.

        Of its statuses those whose state, profile or count of pages that were not drift changed.
        """
        stations = self._partitions.take(record)
        if stations is None:
            return None
        if self._partitions.poisoned(record):
            return Outputs(dead_letters=[set_aside(record)])
        before = _words(stations.states.get(record.key))
        made = stations.step(record)
        after = _words(stations.states.get(record.key))
        made.statuses = [status for status in made.statuses if before.get(status.view) != after[status.view]]
        return made

    def stumbled(self, record: LogRecord) -> None:
        """Remember a record that ends the process by a fault of ours. Raises LogUnavailable."""
        self.states.stumble(record.partition, record.offset)

    def heard(self) -> list[Heard]:
        """What is known of the stations that changed since the last barrier."""
        return [
            self.pipeline.heard(self.pipeline.status(station_id, name, view), view)
            for stations in self._partitions.holders()
            for station_id in sorted(stations.dirty)
            for name, view in stations.states[station_id].views.items()
        ]

    def barrier(self) -> dict[int, int]:
        """As Partitions.barrier. Raises LogUnavailable."""
        return self._partitions.barrier()


def _words(state: StationState | None) -> dict[str, _Word]:
    views = {} if state is None else state.views
    memories = {name: view.memory for name, view in views.items()}
    return {name: (m.state, m.state_since_ns, m.profile_sha, m.not_drift) for name, m in memories.items()}
