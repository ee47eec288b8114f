"""The ClickHouse engine in this process. One process owns a folder; one lock serves its threads."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import chdb
import clickhouse_connect
import pyarrow as pa

MEMORY_BYTES_MAX = 2 * 1024**3
Row: TypeAlias = dict[str, Any]


class StoreUnavailable(Exception):  # noqa: N818 - the unwell world: wait and try again, nothing is lost
    """The store can't answer now."""


class Connection:
    """Statements of one chDB folder. Values reach SQL as parameters only. Raises StoreUnavailable."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        # the limit is the engine's, which starts with the first connection; the client does not pass it on
        limit = f"max_server_memory_usage={MEMORY_BYTES_MAX}"
        try:
            self._engine = chdb.connect(f"{folder.resolve()}?{limit}")  # type: ignore[no-untyped-call]  # chdb ships no types
        except RuntimeError as error:
            raise StoreUnavailable(
                f"a store is one process's own, on a disk that can be written; {folder} did not open: end another "
                f"process that serves it, or name another --data ({str(error)[:200]})"
            ) from error
        self._client = clickhouse_connect.get_client(dsn=f"chdb://{folder.resolve()}")

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
            self._engine.close()


@contextmanager
def _unwell() -> Iterator[None]:
    """Turns the client's failures into StoreUnavailable."""
    try:
        yield
    except clickhouse_connect.driver.exceptions.Error as error:
        raise StoreUnavailable(f"the store did not answer: {error}") from error
