"""The store: the ClickHouse engine in this process, or a server that speaks ClickHouse's HTTP interface."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import chdb
import clickhouse_connect
import pyarrow as pa

MEMORY_BYTES_MAX = 2 * 1024**3
Row: TypeAlias = dict[str, Any]


class StoreUnavailable(Exception):  # noqa: N818 - the unwell world: wait and try again, nothing is lost
    """The store can't answer now."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a store is served. `ca_file` is for certificates that no public authority has signed."""

    url: str
    user: str = "default"
    token: str = ""
    ca_file: Path | None = None


class Engine:
    """The ClickHouse engine of one folder; it belongs to one process, which may have one such engine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        # the limit is the engine's, which starts with the first connection; the client does not pass it on
        limit = f"max_server_memory_usage={MEMORY_BYTES_MAX}"
        try:
            self._first = chdb.connect(f"{self.folder}?{limit}")  # type: ignore[no-untyped-call]  # chdb ships no types
        except RuntimeError as error:
            raise StoreUnavailable(
                f"a store is one process's own, on a disk that can be written; {folder} did not open: end another "
                f"process that serves it, or name another --data ({str(error)[:200]})"
            ) from error

    def handle(self) -> Any:  # noqa: ANN401 - chdb ships no types
        """One more chdb connection (.1 ms): settings, database, temporary tables of its own. The caller closes it."""
        return chdb.connect(str(self.folder))  # type: ignore[no-untyped-call]  # chdb ships no types

    def close(self) -> None:
        self._first.close()


class Connection:
    """Statements of one store, by one lock. Values reach SQL as parameters only. Raises StoreUnavailable.

    `place` is a folder, which this process then owns, or a server.
    """

    def __init__(self, place: Path | Server) -> None:
        self._lock = threading.Lock()
        self._engine = Engine(place) if isinstance(place, Path) else None
        if isinstance(place, Server):
            self._client = _client(place)
        else:
            self._client = clickhouse_connect.get_client(dsn=f"chdb://{self.engine.folder}")

    @property
    def engine(self) -> Engine:
        """The engine in this process; only where the place is a folder."""
        assert self._engine is not None
        return self._engine

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        with self._lock, _unwell():
            self._client.command(sql, parameters=dict(parameters or {}))

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        with self._lock, _unwell():
            result = self._client.query(sql, parameters=dict(parameters or {}))
        names: Sequence[str] = result.column_names
        return [dict(zip(names, row, strict=True)) for row in result.result_rows]

    def arrow(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """A result as columns; ClickHouse strings come as bytes."""
        with self._lock, _unwell():
            return self._client.query_arrow(sql, parameters=dict(parameters or {}), use_strings=False)

    def insert(self, table: str, data: pa.Table) -> None:
        with self._lock, _unwell():
            self._client.insert_arrow(table, data)

    def close(self) -> None:
        with self._lock:
            self._client.close()
            if self._engine is not None:
                self._engine.close()


def _client(server: Server) -> Any:  # noqa: ANN401 - the client ships no types
    address = urlsplit(server.url)
    secure = address.scheme == "https"
    try:
        return clickhouse_connect.get_client(
            host=address.hostname or "",
            port=address.port or (8443 if secure else 8123),
            secure=secure,
            ca_cert=str(server.ca_file) if server.ca_file else None,
            username=server.user,
            password=server.token,
            autogenerate_session_id=False,
            compress=False,  # embeddings hardly compress
        )
    except clickhouse_connect.driver.exceptions.Error as error:
        raise StoreUnavailable(
            f"a store answers at its address to a user it knows; {server.url} did not, as {server.user!r}: start it, "
            f"or look at address, token and certificate ({str(error)[:300]})"
        ) from error


@contextmanager
def _unwell() -> Iterator[None]:
    """Turns the client's failures into StoreUnavailable."""
    try:
        yield
    except clickhouse_connect.driver.exceptions.Error as error:
        raise StoreUnavailable(f"the store did not answer: {error}") from error
