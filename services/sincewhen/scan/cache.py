"""Features of pictures that were seen before, in one SQLite file: an interrupted scan resumes, a second one is fast.

`seen` maps (path, size, mtime) to the SHA-256 of the content, so that an unchanged file is not read again; `features`
maps (content, model) to the row, a CRC-32 before it, so that a copied archive is known too. A row that fails its CRC
is made again; a file that is no SQLite database, or above BYTES_MAX, is begun anew. Each batch is one commit. Where the
disk does not let it, the scan goes on without.
"""

import hashlib
import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from sincewhen.scan.order import Picture

BYTES_MAX = 4 * 2**30  # about 700,000 pictures through the reference model
_MODEL_MAX = 200
_TABLES = """
CREATE TABLE IF NOT EXISTS seen (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, sha BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS features (sha BLOB, model TEXT, row BLOB, PRIMARY KEY (sha, model)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one picture."""

    layers: dict[str, NDArray[np.float32]]  # (d,) each
    factors: dict[str, float]


@dataclass(slots=True)
class FeatureCache:
    """`model` names everything that a row depends on but the picture."""

    path: Path | None  # None: nothing is kept
    model: str
    warnings: list[str] = field(default_factory=list)
    _connection: sqlite3.Connection | None = None

    def __post_init__(self) -> None:
        self.model = self.model[:_MODEL_MAX]
        self._open()

    def get(self, picture: Picture) -> Row | None:
        """The row, if this content was seen through this model. Raises OSError where the file can't be read."""
        if self._connection is None:
            return None
        sha = self._sha(picture)
        try:
            found = self._connection.execute(
                "SELECT row FROM features WHERE sha = ? AND model = ?", (sha, self.model)
            ).fetchone()
        except sqlite3.DatabaseError as error:
            self._recover(error)
            return None
        return None if found is None else _decoded(found[0])

    def put(self, rows: Sequence[tuple[Picture, Row]]) -> None:
        """Keep a batch: on disk when this returns."""
        if self._connection is None:
            return
        encoded = [(self._sha(picture), self.model, _encoded(row)) for picture, row in rows]
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", encoded)
        except sqlite3.DatabaseError as error:
            self._recover(error)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sha(self, picture: Picture) -> bytes:
        assert self._connection is not None
        key = (str(picture.path.resolve()), picture.bytes, picture.mtime_ns)
        try:
            found = self._connection.execute(
                "SELECT sha FROM seen WHERE path = ? AND size = ? AND mtime_ns = ?", key
            ).fetchone()
            if found is not None:
                return bytes(found[0])
            sha = _content(picture.path)
            self._connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", (*key, sha))
        except sqlite3.DatabaseError:  # whatever follows meets it too, and recovers
            return _content(picture.path)
        return sha

    def _open(self) -> None:
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size > BYTES_MAX:
                self.warnings.append(f"The cache {self.path} was above {BYTES_MAX >> 30} GiB and is begun anew")
                self._remove()
            self._connection = sqlite3.connect(self.path, timeout=30)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_TABLES)
        except (OSError, sqlite3.DatabaseError) as error:
            self._recover(error)

    def _recover(self, error: Exception) -> None:
        """A damaged file is begun anew; where the disk or another process is the reason, nothing is kept."""
        self.close()
        assert self.path is not None
        if isinstance(error, OSError | sqlite3.OperationalError):
            self.warnings.append(f"The cache {self.path} can't be used ({error}): this scan can't be resumed")
            return
        self.warnings.append(f"The cache {self.path} was damaged ({error}) and is rebuilt")
        try:
            self._remove()
        except OSError as refused:
            self._recover(refused)
        else:
            self._open()

    def _remove(self) -> None:
        assert self.path is not None
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _encoded(row: Row) -> bytes:
    layers = {name: values.astype(np.float32).tobytes() for name, values in row.layers.items()}
    body = msgspec.msgpack.encode((layers, row.factors))
    return zlib.crc32(body).to_bytes(4, "little") + body


def _decoded(data: bytes) -> Row | None:
    """None where the row is damaged."""
    if len(data) < 4 or zlib.crc32(data[4:]).to_bytes(4, "little") != data[:4]:  # noqa: PLR2004 - the CRC's size
        return None
    layers, factors = msgspec.msgpack.decode(data[4:], type=tuple[dict[str, bytes], dict[str, float]])
    return Row({name: np.frombuffer(values, np.float32) for name, values in layers.items()}, factors)
