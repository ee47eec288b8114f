"""Who may write. Until access is set up: loopback only; reads and ingest need no token, every other write does."""

import hmac
import os
import secrets
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from sincewhen.console.problem import problem

_OPEN_WRITES = {"/v1/frames"}
_READS = {"GET", "HEAD"}
_HOSTS = {"127.0.0.1", "localhost", "[::1]"}


def admin_token(folder: Path) -> str:
    """The token of this data folder; made at the first start, readable by its owner only."""
    path = folder / "token"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    return path.read_text().strip()


class Access:
    """Checked before anything else of the request is looked at. A foreign Host is refused (DNS rebinding)."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "").rpartition(":")
        if (host[0] or host[2]) not in _HOSTS:
            await problem(421, "this server answers on 127.0.0.1 only: use that address")(scope, receive, send)
            return
        if scope["method"] not in _READS:
            given = headers.get("authorization", "").removeprefix("Bearer ")
            scope["sincewhen_trusted"] = hmac.compare_digest(given.encode(), self._token.encode())
            if not scope["sincewhen_trusted"] and scope["path"] not in _OPEN_WRITES:
                answer = problem(
                    401,
                    "this write needs the admin token: send Authorization: Bearer <content of DIR/token>",
                    {"WWW-Authenticate": "Bearer"},
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
