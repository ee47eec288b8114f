"""The log in memory, for tests of what stands behind it."""

from collections.abc import Mapping, Sequence

from sincewhen.log.log import LogRecord, Snapshot


class MemoryLog:
    def __init__(self) -> None:
        self._records: list[LogRecord] = []
        self._snapshot = Snapshot(1, {})

    def append(self, records: Sequence[tuple[str, bytes]], now_ns: int, /) -> int:
        first = self.end()
        self._records += [LogRecord(first + i, key, value, now_ns) for i, (key, value) in enumerate(records)]
        return first

    def read(self, offset: int, limit: int, /) -> list[LogRecord]:
        return self._records[max(0, offset - 1) :][:limit]

    def barrier(self, next_offset: int, dirty: Mapping[str, bytes], /) -> None:
        self._snapshot = Snapshot(next_offset, {**self._snapshot.states, **dirty})

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def end(self) -> int:
        return len(self._records) + 1
