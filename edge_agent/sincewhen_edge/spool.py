"""Store and forward: records wait on this PC's disk until the server has them.

Invariants
- `put` returns after the record is on disk (WAL, synchronous=FULL); what it accepted is lost by nothing but the disk.
- A record leaves only when the server acknowledged it, or into `refused` when the server said that it never takes it.
- Records leave strictly oldest first, per station.
- The bytes that wait never exceed `bytes_max`: a full spool refuses (`SpoolFull`); who produces chooses what to drop.
- A source's progress is stored in the same transaction as the record it belongs to, so a source that is killed and
  started again goes on behind its last spooled row: no row twice, none missing.

- One process at a time: the file is locked while it is open.

Format: one SQLite file. records(id, station_id, value, captured_at_ns), refused(id, station_id, value, reason),
sources(source, position, digest).
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY AUTOINCREMENT, station_id TEXT NOT NULL,
  value BLOB NOT NULL, captured_at_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS refused (id INTEGER PRIMARY KEY, station_id TEXT NOT NULL, value BLOB NOT NULL,
  reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sources (source TEXT PRIMARY KEY, position INTEGER NOT NULL, digest TEXT NOT NULL)
  WITHOUT ROWID;
"""
REFUSED_KEPT = 1000
_NONE: Mapping[int, str] = {}
_OPEN_S = 2.0


class SpoolFull(Exception):  # noqa: N818 - a state of the world that the producer decides on
    """The spool holds as much as it may."""


class SpoolError(Exception):
    """The disk, or another process, keeps the spool from being used."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a source is in the spool: its position, and a digest of what came up to there ("" = it keeps none)."""

    source: str
    position: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One record that the server does not have yet."""

    id: int
    value: bytes
    station_id: str


@dataclass(frozen=True, slots=True)
class Depth:
    records: int
    bytes: int
    oldest_captured_at_ns: int | None


class Spool:
    """Thread-safe: one connection behind one lock."""

    def __init__(self, path: Path, bytes_max: int) -> None:
        """Raises SpoolError where the file can't be opened, or is open in another process."""
        self._lock = threading.Lock()
        self._bytes_max = bytes_max
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_OPEN_S, check_same_thread=False, isolation_level=None)
            for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
                self._db.execute(f"PRAGMA {setting}")
            self._db.executescript(_SCHEMA)
            self._bytes: int = self._db.execute("SELECT coalesce(sum(length(value)), 0) FROM records").fetchone()[0]
        except (OSError, sqlite3.Error) as error:
            raise SpoolError(
                f"the spool {path} is one process's own and on a disk that can be written; {error}: end the other "
                "agent, or name another spool"
            ) from error

    def put(self, station_id: str, value: bytes, captured_at_ns: int, progress: Progress | None = None) -> None:
        """Take one record, and with it how far its source is. Raises SpoolFull or SpoolError."""
        with self._using():
            if self._bytes + len(value) > self._bytes_max:
                raise SpoolFull(f"the spool holds at most {self._bytes_max} bytes; {self._bytes} wait")
            with self._transaction():
                self._db.execute(
                    "INSERT INTO records (station_id, value, captured_at_ns) VALUES (?, ?, ?)",
                    (station_id, value, captured_at_ns),
                )
                if progress is not None:
                    self._db.execute(
                        "INSERT OR REPLACE INTO sources VALUES (?, ?, ?)",
                        (progress.source, progress.position, progress.digest),
                    )
            self._bytes += len(value)

    def oldest(self, limit: int, bytes_max: int) -> list[Waiting]:
        """The oldest records, at most `limit` and `bytes_max` together, but at least one if any waits."""
        with self._using():
            rows = self._db.execute(
                "SELECT id, value, station_id FROM records ORDER BY id LIMIT ?", (limit,)
            ).fetchall()
        taken: list[Waiting] = []
        total = 0
        for number, value, station_id in rows:
            total += len(value)
            if taken and total > bytes_max:
                break
            taken.append(Waiting(number, value, station_id))
        return taken

    def acknowledge(self, ids: Sequence[int], refused: Mapping[int, str] = _NONE) -> None:
        """The server has these. It will never take those `refused`: they are set aside with its reason.

        The newest REFUSED_KEPT of them are kept.
        """
        with self._using():
            removed = 0
            with self._transaction():
                self._db.executemany(
                    "INSERT OR REPLACE INTO refused SELECT id, station_id, value, ? FROM records WHERE id = ?",
                    [(reason, number) for number, reason in refused.items()],
                )
                self._db.execute(
                    "DELETE FROM refused WHERE id NOT IN (SELECT id FROM refused ORDER BY id DESC LIMIT ?)",
                    (REFUSED_KEPT,),
                )
                for number in (*ids, *refused):
                    row = self._db.execute(
                        "DELETE FROM records WHERE id = ? RETURNING length(value)", (number,)
                    ).fetchone()
                    removed += row[0] if row else 0
            self._bytes -= removed

    def refused(self) -> list[tuple[bytes, str]]:
        """Records set aside, with the server's reasons, oldest first."""
        with self._using():
            return self._db.execute("SELECT value, reason FROM refused ORDER BY id").fetchall()

    def progress(self, source: str) -> Progress:
        """How far a source is in the spool; position 0 where it is not."""
        with self._using():
            row = self._db.execute("SELECT position, digest FROM sources WHERE source = ?", (source,)).fetchone()
        return Progress(source, *row) if row else Progress(source, 0)

    def depth(self) -> Depth:
        with self._using():
            records, oldest = self._db.execute("SELECT count(*), min(captured_at_ns) FROM records").fetchone()
            return Depth(records, self._bytes, oldest)

    def close(self) -> None:
        with self._using():
            self._db.close()

    @contextmanager
    def _using(self) -> Iterator[None]:
        """One thread at a time; what keeps SQLite from its work is a SpoolError."""
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise SpoolError(f"the spool can't be used: {error}; see to its disk, what waits there is kept") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield
