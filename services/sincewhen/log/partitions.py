"""Partitions of a log that this process has now, each with states of its own and a barrier.

Invariants
- Reading starts from the snapshot, never from where a group's offset was committed: at its next offset, and records
  that a state already holds are skipped.
- A record is taken only if it is its partition's next one, of what was assigned last: what a buffer still holds of
  before is not.
- What records make leaves at once, with ids that a replay makes again; a barrier bounds what is replayed, no more.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from sincewhen.log.log import STUMBLES_MAX, LogRecord, Snapshot


class States(Protocol):
    """Where snapshots of partitions are."""

    @property
    def topic_id(self) -> str:
        """The incarnation of the log's topic, as of the newest `load`."""
        ...

    def load(self, partitions: Sequence[int]) -> Mapping[int, Snapshot]:
        """What to go on from. Raises LogUnavailable."""
        ...

    def barrier(self, partition: int, next_offset: int, dirty: Mapping[str, bytes]) -> None:
        """As Log.barrier. Raises LogUnavailable."""
        ...

    def stumble(self, partition: int, offset: int) -> None:
        """Remember that the process ended at this record by a fault of ours. Raises LogUnavailable."""
        ...


class Holder(Protocol):
    """What a partition's records change."""

    def load(self, states: Mapping[str, bytes]) -> None:
        """Take a snapshot's states."""
        ...

    def changed(self) -> dict[str, bytes]:
        """States that changed since the last `settled`."""
        ...

    def settled(self) -> None:
        """What `changed` gave is stored."""
        ...


H = TypeVar("H", bound=Holder)


@dataclass(slots=True)
class _Part(Generic[H]):
    holder: H
    next_offset: int
    applied: Mapping[str, int]
    stumbles: Mapping[int, int]
    covered: int = -1


@dataclass(slots=True)
class Partitions(Generic[H]):
    """key_of: the state that a record changes."""

    states: States
    new: Callable[[], H]
    key_of: Callable[[str], str] = str  # of a record's key
    _parts: dict[int, _Part[H]] = field(default_factory=dict)

    def assign(self, partitions: Sequence[int]) -> dict[int, int]:
        """From now on these are this process's; the offset at which each is read on.

        Raises LogUnavailable, and what a holder's `load` raises: nothing has changed then.
        """
        parts: dict[int, _Part[H]] = {}
        for partition, snapshot in self.states.load(partitions).items():
            part = parts[partition] = _Part(self.new(), snapshot.next_offset, snapshot.applied, snapshot.stumbles)
            part.holder.load(snapshot.states)
        self._parts = parts
        return {partition: part.next_offset for partition, part in parts.items()}

    def begin(self, partition: int, offset: int) -> None:
        """The log no longer has what lies before `offset`."""
        self._parts[partition].next_offset = max(self._parts[partition].next_offset, offset)

    def take(self, record: LogRecord) -> H | None:
        """Who is to apply a record now; None where it is not the next one, or a state holds it already."""
        part = self._parts.get(record.partition)
        if part is None or record.offset != part.next_offset:
            return None
        part.next_offset += 1
        return None if record.offset <= part.applied.get(self.key_of(record.key), -1) else part.holder

    def poisoned(self, record: LogRecord) -> bool:
        """Whether it ended processes so often that it is to be set aside."""
        return self._parts[record.partition].stumbles.get(record.offset, 0) >= STUMBLES_MAX

    def holders(self) -> Iterator[H]:
        return (part.holder for part in self._parts.values())

    def barrier(self) -> dict[int, int]:
        """Store what changed since the last one; the next offset of each partition that did. Raises LogUnavailable.

        All that taken records made has been acknowledged by then.
        """
        stored: dict[int, int] = {}
        for partition, part in self._parts.items():
            if part.next_offset == part.covered:
                continue
            self.states.barrier(partition, part.next_offset, part.holder.changed())
            part.holder.settled()
            part.covered = stored[partition] = part.next_offset
        return stored
