"""One request on one connection: prepared, examined, executed, put back as it was."""

import contextlib
import json
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sincewhen.store.connect import Engine
from sincewhen.store.serve.ask import Ask, checked_format
from sincewhen.store.serve.guard import Outward, confine, examine, harmless
from sincewhen.store.serve.handle import RESULT_BYTES_MAX, Handle, Insert, Result, identifier, quoted
from sincewhen.store.serve.native import empty_native, to_native
from sincewhen.store.serve.refusal import NOT_IMPLEMENTED, READONLY, SYNTAX, Refused
from sincewhen.store.serve.sessions import Sessions
from sincewhen.store.serve.statement import Statement

PIECE_BYTES = 1024**2
_BLOCK_BY_BLOCK = {  # nothing before the first row, nothing after the last one
    "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "CSV", "RowBinary", "JSONEachRow", "JSONLines", "NDJSON",
    "JSONStringsEachRow", "JSONCompactEachRow", "JSONCompactStringsEachRow", "LineAsString",
}  # fmt: skip
_STREAMED = {"SELECT", "WITH", "FROM", "("}
_LAST_ROWS = ("TOTALS", "EXTREMES")  # which text formats write after the last block
_KILL_EVERY_S = 0.2


@dataclass(slots=True)
class Shared:
    """What all requests of one server have in common."""

    engine: Engine
    sessions: Sessions = field(init=False)
    outward: Outward = field(init=False)
    version: str = field(init=False)
    timezone: str = field(init=False)
    display_name: str = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.engine)
        handle = Handle(self.engine)
        self.outward = Outward.of(handle)
        (named,) = handle.rows("SELECT version(), timezone(), displayName()")[1]
        self.version, self.timezone, self.display_name = named
        handle.close()

    def close(self) -> None:
        self.sessions.close()


@dataclass(slots=True)
class Answer:
    """`pieces` go on as the query does and raise Refused where it fails later; without a result, `format` is None."""

    pieces: Iterator[bytes | memoryview]
    format: str | None
    summary: Mapping[str, int]

    def summary_header(self, elapsed_ns: int) -> str:
        return json.dumps({**{name: str(value) for name, value in self.summary.items()}, "elapsed_ns": str(elapsed_ns)})


class Run:
    """Steps may be called from any thread; they wait for each other. `end` stops what is still running."""

    def __init__(self, shared: Shared, ask: Ask) -> None:
        self._shared, self._ask = shared, ask
        self._mark = f"sincewhen-http {uuid.uuid4()}"
        self._lock = threading.Lock()
        self._undo: list[str] = []
        self._pieces: Iterator[bytes | memoryview] = iter(())
        self._insert: Insert | None = None
        self._streams = False
        self._ended = False
        self._handle = shared.sessions.take(ask)

    def query(self, statement: Statement) -> Answer:
        """The answer, begun: its first block is there. Raises Refused."""
        with self._lock:
            if statement.refused:
                raise Refused(
                    NOT_IMPLEMENTED, f"{statement.refused} is not served: send INSERT ... FORMAT and the data"
                )
            output = checked_format(statement.format or self._ask.format)
            sql = _text(statement.sql)
            self._streams = (
                not self._ask.whole and statement.kind in _STREAMED and _block_by_block(output, sql, self._ask)
            )
            self._prepare()
            gives = examine(self._handle, statement.kind, sql, changes_nothing=self._ask.changes_nothing)
            if self._ask.user.reads_only:
                sql = harmless(self._handle, sql, self._shared.outward)
            results = self._results(sql, output, gives)
            first = next(results, None)
            summary = _summary(first)
            self._pieces = _pieces(first, results)
            return Answer(self._pieces, output if gives or (first is not None and len(first.view)) else None, summary)

    def begin_insert(self, statement: Statement) -> None:
        """Raises Refused."""
        with self._lock:
            if self._ask.changes_nothing:
                raise Refused(
                    READONLY, "Cannot execute query in readonly mode: INSERT needs POST and a user who may write"
                )
            assert statement.format
            self._prepare()
            if self._ask.params:
                self._handle.set({f"param_{name}": value for name, value in self._ask.params.items()})
            self._insert = self._handle.insert(_text(statement.sql).strip() + "\n", checked_format(statement.format))

    def append(self, data: bytes) -> None:
        """Of an INSERT. Raises Refused."""
        with self._lock:
            assert self._insert
            self._insert.append(data)

    def finish_insert(self) -> Answer:
        """Raises Refused."""
        with self._lock:
            assert self._insert
            written, self._insert = self._insert.finish(), None
            return Answer(iter(()), None, {"written_rows": written.rows, "written_bytes": written.bytes})

    def next_piece(self) -> bytes | memoryview | None:
        """Raises Refused."""
        with self._lock:
            return next(self._pieces, None)

    def end(self) -> None:
        """The connection is as before and free again; a step that still runs is stopped first. Twice is as once."""
        while not self._lock.acquire(timeout=_KILL_EVERY_S):
            self.kill()
        try:
            if self._ended:
                return
            self._ended = True
            if self._insert is not None:
                self._insert.cancel()
            close = getattr(self._pieces, "close", None)
            if close is not None:
                close()
            for statement in reversed(self._undo):
                with contextlib.suppress(Refused):
                    self._handle.query(statement)
            self._shared.sessions.give_back(self._ask, self._handle)
        finally:
            self._lock.release()

    def kill(self) -> None:
        """Stop what the engine does for this request, if it has begun."""
        handle = Handle(self._shared.engine)
        handle.query(f"KILL QUERY WHERE Settings['log_comment'] = {quoted(self._mark)} ASYNC")
        handle.close()

    def _prepare(self) -> None:
        ask, handle = self._ask, self._handle
        if ask.session is not None and (ask.settings or ask.database):
            self._undo = self._before()
        if ask.database:
            handle.query(f"USE {identifier(ask.database)}")
        limit = {"max_result_bytes": "0" if self._streams else str(RESULT_BYTES_MAX)}
        handle.set({**limit, **ask.settings, "log_comment": self._mark})
        if ask.user.reads_only:
            confine(handle, ask.settings)

    def _before(self) -> list[str]:
        """Statements that undo what a request sets for itself in its session."""
        handle, names = self._handle, ", ".join(quoted(name) for name in ["", *self._ask.settings])
        _, known = handle.rows(f"SELECT name, value, changed FROM system.settings WHERE name IN ({names})")  # noqa: S608 - quoted
        statements = [f"SET {name} = {quoted(value) if changed else 'DEFAULT'}" for name, value, changed in known]
        return [*statements, f"USE {identifier(handle.rows('SELECT currentDatabase()')[1][0][0])}"]

    def _results(self, sql: str, output: str, gives: bool) -> Iterator[Result]:  # noqa: FBT001 - what was found out
        handle, params = self._handle, self._ask.params
        if output == "Native" and gives:
            yield from self._native(sql)
        elif self._streams and gives:
            yield from handle.stream(sql, output, params)
        else:
            yield handle.query(sql, output, params)

    def _native(self, sql: str) -> Iterator[Result]:
        """Blocks by the client's version; a block without rows where there are none."""
        handle, params, version = self._handle, self._ask.params, self._ask.protocol_version
        columns = _columns(handle, sql, params)
        blocks = (
            handle.stream(sql, "Buffers", params) if self._streams else iter([handle.query(sql, "Buffers", params)])
        )
        some = False
        for block in blocks:
            if len(block.view):
                some = True
                native = memoryview(to_native(block.view, columns, version))
                yield Result(native, None, block.rows, block.rows_read, block.bytes_read)
        if not some:
            yield Result(memoryview(empty_native(columns, version)), None, 0, 0, 0)


def _columns(handle: Handle, sql: str, params: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """Name and type of each column of the result. What can't stand in DESCRIBE (SHOW ...) is small and is run."""
    try:
        return [(row[0], row[1]) for row in handle.rows(f"DESCRIBE (\n{sql}\n)", params)[1]]
    except Refused:
        return handle.rows(sql, params)[0]


def _pieces(first: Result | None, others: Iterator[Result]) -> Iterator[bytes | memoryview]:
    result = first
    while result is not None:
        for start in range(0, len(result.view), PIECE_BYTES):
            yield result.view[start : start + PIECE_BYTES]
        result = next(others, None)


def _summary(first: Result | None) -> dict[str, int]:
    """As far as the query has come when the answer begins."""
    if first is None:
        return {"read_rows": 0, "read_bytes": 0, "written_rows": 0, "written_bytes": 0, "result_rows": 0}
    return {
        "read_rows": first.rows_read,
        "read_bytes": first.bytes_read,
        "written_rows": first.rows_written,
        "written_bytes": first.bytes_written,
        "result_rows": first.rows,
    }


def _block_by_block(output: str, sql: str, ask: Ask) -> bool:
    """Whether blocks one after the other are the whole answer."""
    text = sql.upper() + " ".join(ask.settings).upper()
    return output == "Native" or (output in _BLOCK_BY_BLOCK and not any(word in text for word in _LAST_ROWS))


def _text(sql: bytes) -> str:
    try:
        return sql.decode()
    except UnicodeDecodeError as error:
        raise Refused(SYNTAX, f"Syntax error: a statement is UTF-8; byte {error.start} is not") from error
