"""The seam: large values under their sha. One contract suite for every implementation."""

import sqlite3
import threading
from pathlib import Path
from typing import Literal, Protocol

from sincewhen.log.log import LogUnavailable


class Bodies(Protocol):
    """A value never changes; put again, what it is of may."""

    def put(self, sha: str, about: bytes, value: bytes, /) -> None:
        """Keep a value durably, and what it is of. Raises LogUnavailable."""
        ...

    def get(self, sha: str, /) -> bytes:
        """A value. Raises KeyError where it is not there."""
        ...

    def listed(self) -> dict[str, bytes]:
        """What each value is of, by sha."""
        ...


class MemoryBodies:
    """For tests of what stands behind it."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[bytes, bytes]] = {}

    def put(self, sha: str, about: bytes, value: bytes, /) -> None:
        self._values[sha] = about, value

    def get(self, sha: str, /) -> bytes:
        return self._values[sha][1]

    def listed(self) -> dict[str, bytes]:
        return {sha: about for sha, (about, _) in sorted(self._values.items())}


class SqliteBodies:
    """One table of a SQLite file: what `put` returned for is on disk (WAL, synchronous=FULL). Thread-safe."""

    def __init__(self, path: Path, kind: Literal["profiles", "reference_sets"]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock, self._kind = threading.Lock(), kind
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS {kind} (sha TEXT PRIMARY KEY, about BLOB NOT NULL, value BLOB NOT NULL)"
        )

    def put(self, sha: str, about: bytes, value: bytes, /) -> None:
        with self._lock:
            try:
                self._db.execute(f"INSERT OR REPLACE INTO {self._kind} VALUES (?, ?, ?)", (sha, about, value))  # noqa: S608 - one of two names
            except sqlite3.Error as error:
                raise LogUnavailable(f"a body can't be written ({error}): check the disk of --data") from error

    def get(self, sha: str, /) -> bytes:
        with self._lock:
            row = self._db.execute(f"SELECT value FROM {self._kind} WHERE sha = ?", (sha,)).fetchone()  # noqa: S608 - one of two names
        if row is None:
            raise KeyError(sha)
        return bytes(row[0])

    def listed(self) -> dict[str, bytes]:
        with self._lock:
            return dict(self._db.execute(f"SELECT sha, about FROM {self._kind} ORDER BY sha"))  # noqa: S608 - one of two names

    def close(self) -> None:
        with self._lock:
            self._db.close()
