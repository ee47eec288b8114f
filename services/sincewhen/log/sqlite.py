"""The log of the embedded server: one SQLite file.

Invariants
- WAL with synchronous=FULL: what `append` returned for is on disk, also after kill -9 or loss of power.
- Offsets are the row ids, strictly growing, never reused (AUTOINCREMENT), without holes (append is one transaction).
- A barrier is one transaction: states and position are of the same moment.
- Applied records are deleted by `trim`, never records at or after the barrier's position.

Format
- records(offset, key, value, appended_at_ns); states(key, value); position(next_offset), one row;
  stumbles(offset, times): records at which the process ended by a fault of ours.
"""

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from sincewhen.log.log import LogRecord, LogUnavailable, Snapshot

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  offset INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, value BLOB NOT NULL, appended_at_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS states (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS position (id INTEGER PRIMARY KEY CHECK (id = 1), next_offset INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS stumbles (offset INTEGER PRIMARY KEY, times INTEGER NOT NULL);
INSERT OR IGNORE INTO position VALUES (1, 1);
"""


class SqliteLog:
    """Thread-safe: one connection behind one lock."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def append(self, records: Sequence[tuple[str, bytes]], now_ns: int, /) -> int:
        with self._lock:
            first = self._end()
            rows = [(key, value, now_ns) for key, value in records]
            self._transact([("INSERT INTO records (key, value, appended_at_ns) VALUES (?, ?, ?)", rows)])
            return first

    def read(self, offset: int, limit: int, /) -> list[LogRecord]:
        with self._lock:
            rows = self._db.execute(
                "SELECT offset, key, value, appended_at_ns FROM records WHERE offset >= ? ORDER BY offset LIMIT ?",
                (offset, limit),
            )
            return [LogRecord(*row) for row in rows]

    def barrier(self, next_offset: int, dirty: Mapping[str, bytes], /) -> None:
        with self._lock:
            self._transact(
                [
                    ("INSERT OR REPLACE INTO states VALUES (?, ?)", list(dirty.items())),
                    ("UPDATE position SET next_offset = ?", [(next_offset,)]),
                ]
            )

    def snapshot(self) -> Snapshot:
        with self._lock:
            (position,) = self._db.execute("SELECT next_offset FROM position").fetchone()
            return Snapshot(position, dict(self._db.execute("SELECT key, value FROM states")))

    def end(self) -> int:
        with self._lock:
            return self._end()

    def trim(self, appended_before_ns: int) -> int:
        """Delete applied records that are older; how many."""
        with self._lock:
            (position,) = self._db.execute("SELECT next_offset FROM position").fetchone()
            return self._transact(
                [("DELETE FROM records WHERE offset < ? AND appended_at_ns < ?", [(position, appended_before_ns)])]
            )

    def stumble(self, offsets: Sequence[int]) -> None:
        """Remember that the process ends while it applies these records."""
        counted = "INSERT INTO stumbles VALUES (?, 1) ON CONFLICT (offset) DO UPDATE SET times = times + 1"
        with self._lock:
            self._transact([(counted, [(offset,) for offset in offsets])])

    def stumbles(self) -> dict[int, int]:
        """How often the process ended at each record that is still to be applied."""
        with self._lock:
            return dict(self._db.execute("SELECT offset, times FROM stumbles"))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _end(self) -> int:
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
        return (row[0] if row else 0) + 1

    def _transact(self, statements: Sequence[tuple[str, Sequence[tuple[object, ...]]]]) -> int:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            changed = sum(self._db.executemany(sql, rows).rowcount for sql, rows in statements if rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise LogUnavailable(f"the log's file can't be written ({error}): check the disk of --data") from error
        return changed
