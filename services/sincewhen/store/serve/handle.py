"""One chdb connection. A step may run in any thread, one at a time.

What a failed query has already written is left in the connection and would come before the next answer: so after each
failure one answer is thrown away.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from sincewhen.store.connect import Engine
from sincewhen.store.serve.refusal import Refused

RESULT_BYTES_MAX = 128 * 1024**2
QUERY_MEMORY_BYTES_MAX = 1024**3
# implicit_select is clickhouse-local's: a server takes `1` for a syntax error
_AT_FIRST = {
    "implicit_select": "0",
    "max_memory_usage": str(QUERY_MEMORY_BYTES_MAX),
}


@dataclass(frozen=True, slots=True)
class Written:
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Result:
    """`view` is the engine's memory, which `owner` holds."""

    view: memoryview
    owner: object
    rows: int
    rows_read: int
    bytes_read: int
    rows_written: int = 0
    bytes_written: int = 0


class Handle:
    def __init__(self, engine: Engine) -> None:
        self._chdb = engine.handle()
        self.set(_AT_FIRST)

    def set(self, settings: Mapping[str, str]) -> None:
        if settings:
            self.query("SET " + ", ".join(f"{name} = {quoted(value)}" for name, value in settings.items()))

    def query(self, sql: str, output: str = "TabSeparated", params: Mapping[str, str] | None = None) -> Result:
        """The whole answer. Raises Refused."""
        with self._failing():
            result = self._chdb.query(sql, output, params=dict(params or {}))
            memory = result.get_memview()
            view = memory.view() if memory is not None else memoryview(b"")
        return Result(
            view,
            (result, memory),
            result.rows_read(),
            result.storage_rows_read(),
            result.storage_bytes_read(),
            result.rows_written(),
            result.bytes_written(),
        )

    def rows(self, sql: str, params: Mapping[str, str] | None = None) -> tuple[list[tuple[str, str]], list[list[Any]]]:
        """Columns (name, type) and rows; no columns where there is no result."""
        view = self.query(sql, "JSONCompact", params).view
        answer = json.loads(bytes(view)) if view else {"meta": [], "data": []}
        return [(column["name"], column["type"]) for column in answer["meta"]], answer["data"]

    def stream(self, sql: str, output: str, params: Mapping[str, str]) -> Iterator[Result]:
        """One block a time. Close it where it is left early. Raises Refused, also from a later block."""
        with self._failing():
            blocks = self._chdb.send_query(sql, output, params=dict(params))
        try:
            while True:
                with self._failing():
                    block = blocks.fetch()
                if block is None:
                    return
                rows = block.rows_read()
                yield Result(memoryview(block.bytes()), None, rows, rows, block.bytes_read())
        finally:
            blocks.close()

    def insert(self, sql: str, data_format: str) -> "Insert":
        """An INSERT whose data come in pieces. Raises Refused."""
        with self._failing():
            return Insert(self, self._chdb.send_insert(sql, data_format))

    def classify(self, sql: str) -> tuple[str, int]:
        """READ_ONLY, MUTATING, MUTATING_GLOBAL, CONTROL or UNKNOWN (does not parse), and the number of statements."""
        found = self._chdb._conn.classify_query(sql)  # noqa: SLF001 - chdb's wrapper leaves it out
        return found["query_class"].name, found["statement_count"]

    def close(self) -> None:
        self._chdb.close()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            self._chdb.query("SELECT 1", "Null")
            raise Refused.by_engine(error) from error


class Insert:
    """Use as a context: what is not finished is cancelled."""

    def __init__(self, handle: Handle, inserter: Any) -> None:  # noqa: ANN401 - chdb ships no types
        self._handle, self._inserter = handle, inserter

    def append(self, data: bytes) -> None:
        with self._handle._failing():  # noqa: SLF001 - one thing in two classes
            self._inserter.append(data)

    def finish(self) -> Written:
        with self._handle._failing():  # noqa: SLF001 - as above
            done = self._inserter.finish()
        return Written(done.rows_written, done.bytes_written)

    def cancel(self) -> None:
        self._inserter.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()


def quoted(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(text: str) -> str:
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"
