"""Partitions of the log that this process has now: records in, outputs out, barriers.

Invariants
- Reading starts from the snapshot, never from where a group's offset was committed: at its next offset, and records
  that a state already holds are skipped.
- A record is taken only if it is its partition's next one, of what was assigned last: what a buffer still holds of
  before is not.
- Outputs leave at once, with ids that a replay makes again; a barrier waits for their acknowledgement, then stores the
  states: it bounds what is replayed, no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sincewhen.log.log import LogRecord, Snapshot
from sincewhen.processor.outputs import Outputs
from sincewhen.processor.pipeline import Pipeline
from sincewhen.processor.stations import Stations


class States(Protocol):
    """Where snapshots of partitions are."""

    def load(self, partitions: Sequence[int]) -> Mapping[int, Snapshot]:
        """What to go on from. Raises LogUnavailable."""
        ...

    def barrier(self, partition: int, next_offset: int, dirty: Mapping[str, bytes]) -> None:
        """As Log.barrier. Raises LogUnavailable."""
        ...


@dataclass(slots=True)
class _Part:
    stations: Stations
    next_offset: int
    applied: Mapping[str, int]
    covered: int = -1


@dataclass(slots=True)
class Worker:
    pipeline: Pipeline
    states: States
    _parts: dict[int, _Part] = field(default_factory=dict)

    def assign(self, partitions: Sequence[int]) -> dict[int, int]:
        """From now on these partitions are this process's; the offset at which each is read on.

        Raises LogUnavailable, and KeyError where a profile is missing: nothing has changed then.
        """
        parts: dict[int, _Part] = {}
        for partition, snapshot in self.states.load(partitions).items():
            stations = Stations(self.pipeline)
            stations.load(snapshot.states)
            parts[partition] = _Part(stations, snapshot.next_offset, snapshot.applied)
        self._parts = parts
        return {partition: part.next_offset for partition, part in parts.items()}

    def begin(self, partition: int, offset: int) -> None:
        """The log no longer has what lies before `offset`."""
        self._parts[partition].next_offset = max(self._parts[partition].next_offset, offset)

    def take(self, record: LogRecord) -> Outputs | None:
        """What a record makes: to be sent before the next one is taken. None where it is not the next one."""
        part = self._parts.get(record.partition)
        if part is None or record.offset != part.next_offset:
            return None
        part.next_offset += 1
        if record.offset <= part.applied.get(record.key, -1):
            return Outputs()
        return part.stations.step(record)

    def barrier(self) -> dict[int, int]:
        """Store what changed since the last one; the next offset of each partition that did. Raises LogUnavailable.

        All that `take` returned has been acknowledged by then.
        """
        stored: dict[int, int] = {}
        for partition, part in self._parts.items():
            if part.next_offset == part.covered:
                continue
            self.states.barrier(partition, part.next_offset, part.stations.changed())
            part.stations.settled()
            part.covered = stored[partition] = part.next_offset
        return stored
