"""The seam: an ordered log with barriers. One contract suite for every implementation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class LogUnavailable(Exception):  # noqa: N818 - the unwell world, not an error of ours: wait and try again
    """The log can't take or give records now."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    offset: int
    key: str
    value: bytes
    appended_at_ns: int
    partition: int = 0


STUMBLES_MAX = 2  # ends of a process by a fault of ours; then the record is set aside


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where to go on: the next offset to read, and states by key.

    applied: the newest offset that each state holds; records of its key at or below it are skipped, because a state may
    be newer than next_offset says. stumbles: how often the process ended at a record by a fault of ours, by offset.
    """

    next_offset: int
    states: dict[str, bytes]
    applied: dict[str, int] = field(default_factory=dict)
    stumbles: dict[int, int] = field(default_factory=dict)


class Log(Protocol):
    """One partition. Offsets grow by one; `offset` is always the next one."""

    def append(self, records: Sequence[tuple[str, bytes]], now_ns: int, /) -> int:
        """Append (key, value) pairs durably; the offset of the first. Raises LogUnavailable.

        now_ns: their append time where the log has no clock of its own.
        """
        ...

    def read(self, offset: int, limit: int, /) -> list[LogRecord]:
        """At most `limit` records from `offset` on, in order."""
        ...

    def barrier(self, next_offset: int, dirty: Mapping[str, bytes], /) -> None:
        """Store durably the states that changed and that everything before next_offset is applied to all.

        Raises LogUnavailable.
        """
        ...

    def snapshot(self) -> Snapshot:
        """What to go on from: all that the last barrier stored, or newer."""
        ...

    def end(self) -> int:
        """The offset that the next record will get."""
        ...
