"""The seam: an ordered log with barriers. One contract suite for every implementation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class LogUnavailable(Exception):  # noqa: N818 - the unwell world, not an error of ours: wait and try again
    """The log can't take or give records now."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    offset: int
    key: str
    value: bytes
    appended_at_ns: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where to go on: the next offset to read, and each station's state as of there."""

    next_offset: int
    states: dict[str, bytes]


class Log(Protocol):
    """Offsets grow by one; `offset` is always the next one."""

    def append(self, records: Sequence[tuple[str, bytes]], now_ns: int, /) -> int:
        """Append (key, value) pairs durably, all or none; the offset of the first. Raises LogUnavailable."""
        ...

    def read(self, offset: int, limit: int, /) -> list[LogRecord]:
        """At most `limit` records from `offset` on, in order."""
        ...

    def barrier(self, next_offset: int, dirty: Mapping[str, bytes], /) -> None:
        """Store, in one step, the states that changed and that everything before next_offset is applied."""
        ...

    def snapshot(self) -> Snapshot:
        """What the last barrier stored."""
        ...

    def end(self) -> int:
        """The offset that the next record will get."""
        ...
