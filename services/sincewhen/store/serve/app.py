"""ClickHouse's HTTP interface over the engine of this process.

Queries run in threads, so that /ping always answers. A query whose client goes away is stopped. What has failed before
its first block has a status of its own; what fails later ends with the block that clients know (`__exception__`).
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sincewhen.access.tokens import TokensError
from sincewhen.store.connect import Engine
from sincewhen.store.serve.ask import Ask, ask_of
from sincewhen.store.serve.coding import Decoder, Encoder
from sincewhen.store.serve.refusal import REQUIRED_PASSWORD, TOO_LARGE, TOO_MANY_QUERIES, Refused
from sincewhen.store.serve.run import Answer, Run, Shared
from sincewhen.store.serve.statement import Statement, parse
from sincewhen.store.serve.users import Users

QUERIES_AT_ONCE, QUERIES_WAITING = 8, 32
STATEMENT_BYTES_MAX = 256 * 1024  # as the engine's max_query_size
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_TYPES = {"TabSeparated": "text/tab-separated-values", "CSV": "text/csv", "JSON": "application/json"}
_KILL_EVERY_S, _CLIENT_CLOSED = 0.2, 499
_T = TypeVar("_T")


class StoreApp:
    """ASGI. `names`: by which clients may address the server; a foreign Host is refused (DNS rebinding).

    The engine must outlive it.
    """

    def __init__(self, engine: Engine, users: Users, names: frozenset[str] = LOOPBACK) -> None:
        self._service, self._names = _Service(Shared(engine), users), names
        routes = [
            Route("/ping", _ok, methods=["GET", "POST"]),
            Route("/replicas_status", _ok, methods=["GET"]),
            Route("/", self._service.answer, methods=["GET", "POST"]),
        ]
        self._app = Starlette(routes=routes, lifespan=self._lifespan)

    async def end_queries(self) -> None:
        """Stop what runs, until nothing does: before the server waits for its clients."""
        while runs := tuple(self._service.runs):
            for run in runs:
                await to_thread.run_sync(run.kill)
            await anyio.sleep(_KILL_EVERY_S)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        yield
        self._service.shared.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
            bare = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
            if bare not in self._names:
                known = ", ".join(sorted(self._names))
                refused = PlainTextResponse(f"this server answers as {known} only: add --name\n", 421)
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _ok(_request: Request) -> Response:
    return PlainTextResponse("Ok.\n")


class _Ending(StreamingResponse):
    """Has an end, also where the client is gone before the first byte."""

    end: Callable[[], Awaitable[None]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.end()


@dataclass(slots=True)
class _Service:
    shared: Shared
    users: Users
    runs: set[Run] = field(default_factory=set)
    _turns: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(QUERIES_AT_ONCE))
    _threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(2 * QUERIES_AT_ONCE))

    async def answer(self, request: Request) -> Response:
        started_ns = time.perf_counter_ns()
        headers = {
            "X-ClickHouse-Server-Display-Name": self.shared.display_name,
            "X-ClickHouse-Timezone": self.shared.timezone,
        }
        try:
            if request.method == "GET" and "query" not in request.query_params:
                return await _ok(request)
            user = self.users.admit(request.headers, request.query_params)
            ask = ask_of(user, request.method, request.query_params.multi_items(), request.headers)
            headers["X-ClickHouse-Query-Id"] = ask.query_id.encode("ascii", "replace").decode()
            return await self._begun(request, ask, headers, started_ns)
        except Refused as refused:
            return self._refusal(refused, headers)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_CLOSED)
        except TokensError as error:
            return PlainTextResponse(f"{error}\n", 500, headers)

    async def _begun(self, request: Request, ask: Ask, headers: dict[str, str], started_ns: int) -> Response:
        """The response of a query that has begun well; it ends with its response. Raises Refused."""
        pieces = _pieces(request)
        text, statement = await _statement(ask, pieces)  # a turn is taken once it is there, however slowly it comes
        if self._turns.statistics().tasks_waiting >= QUERIES_WAITING:
            raise Refused(TOO_MANY_QUERIES, f"Too many simultaneous queries. Maximum: {QUERIES_AT_ONCE}; try again")
        await self._turns.acquire()
        run: Run | None = None
        handed_on = False
        try:
            run = await to_thread.run_sync(Run, self.shared, ask)
            self.runs.add(run)
            if statement.data_at is None:
                answer = await self._watched(request, lambda: run.query(statement))
            else:
                answer = await self._insert(run, statement, text[statement.data_at :], pieces)
            response = self._response(run, ask, answer, headers, started_ns)
            handed_on = True
            return response
        finally:
            if not handed_on:
                await self._end(run)

    def _response(self, run: Run, ask: Ask, answer: Answer, headers: dict[str, str], started_ns: int) -> Response:
        tag = secrets.token_hex(8)
        headers["X-ClickHouse-Summary"] = answer.summary_header(time.perf_counter_ns() - started_ns)
        headers["X-ClickHouse-Exception-Tag"] = tag
        if answer.format is not None:
            headers["X-ClickHouse-Format"] = answer.format
        if ask.coding:
            headers["Content-Encoding"] = ask.coding
        kind = _TYPES.get(answer.format or "", "text/plain")
        response = _Ending(self._body(run, ask.coding, tag), headers=headers, media_type=kind)
        response.end = lambda: self._end(run)
        return response

    async def _insert(self, run: Run, statement: Statement, first: bytes, pieces: AsyncIterator[bytes]) -> Answer:
        await self._in_thread(lambda: run.begin_insert(statement))
        if first:
            await self._in_thread(lambda: run.append(first))
        async for piece in pieces:
            await self._in_thread(lambda piece=piece: run.append(piece))  # type: ignore[misc]  # bound now
        return await self._in_thread(run.finish_insert)

    async def _watched(self, request: Request, step: Callable[[], _T]) -> _T:
        """Given up where the client goes away: the caller then ends the run. Raises Refused, ClientDisconnect."""
        done: list[_T | Refused] = []
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                while (await request.receive())["type"] != "http.disconnect":
                    pass  # the body has been read
                group.cancel_scope.cancel()

            group.start_soon(watch)
            try:
                done.append(await self._in_thread(step))
            except Refused as refused:
                done.append(refused)
            group.cancel_scope.cancel()
        if not done:
            raise ClientDisconnect
        if isinstance(done[0], Refused):
            raise done[0]
        return done[0]

    async def _body(self, run: Run, coding: str, tag: str) -> AsyncIterator[bytes]:
        encoder = Encoder(coding)
        try:
            while (piece := await self._in_thread(run.next_piece)) is not None:
                if packed := encoder.pack(piece):
                    yield packed
        except Refused as refused:
            text = refused.text(self.shared.version).rstrip("\n")
            block = f"\r\n__exception__\r\n{tag}\r\n{text}\n{len(text.encode())} {tag}\r\n__exception__\r\n"
            yield encoder.pack(block.encode())
        await self._end(run)  # before the client knows the end: its next request may be of the same session
        yield encoder.end()

    async def _end(self, run: Run | None) -> None:
        if run is not None:
            if run not in self.runs:
                return
            self.runs.remove(run)
            try:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(run.end)
            except asyncio.CancelledError:  # by the server, which waits no longer
                run.end()
        self._turns.release()

    async def _in_thread(self, step: Callable[[], _T]) -> _T:
        return await to_thread.run_sync(step, abandon_on_cancel=True, limiter=self._threads)

    def _refusal(self, refused: Refused, headers: dict[str, str]) -> Response:
        headers["X-ClickHouse-Exception-Code"] = str(refused.code)
        if refused.code == REQUIRED_PASSWORD:
            headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
        return PlainTextResponse(refused.text(self.shared.version), refused.status, headers)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body, unpacked. Raises Refused."""
    decoder = Decoder(request.headers.get("content-encoding", "").strip().lower())
    async for data in request.stream():
        for piece in decoder.pieces(data):
            yield piece
    decoder.end()


async def _statement(ask: Ask, pieces: AsyncIterator[bytes]) -> tuple[bytes, Statement]:
    """As much of query and body as the statement takes, and the statement. Raises Refused."""
    text = bytearray(ask.query + b"\n" if ask.query else b"")
    statement = parse(bytes(text))
    if statement.data_at is None:
        async for piece in pieces:
            text += piece
            if len(text) > STATEMENT_BYTES_MAX:
                break
        statement = await to_thread.run_sync(parse, bytes(text))
    if statement.data_at is None and len(text) > STATEMENT_BYTES_MAX:
        raise Refused(TOO_LARGE, f"a statement has at most {STATEMENT_BYTES_MAX} bytes: send long data after FORMAT")
    return bytes(text), statement
