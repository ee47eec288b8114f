"""Where a store listens: on the loopback interface; elsewhere with TLS only, because tokens travel with every query."""

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from sincewhen.access.listening import AddressError, check_address
from sincewhen.store.connect import Engine
from sincewhen.store.serve.app import LOOPBACK, StoreApp
from sincewhen.store.serve.users import Users

PORT = 8123
_GRACE_S = 5
_ANY = {"0.0.0.0", "::"}  # noqa: S104 - named to ask for the names by which clients know such a server


@dataclass(frozen=True, slots=True)
class Address:
    """`names`: what clients call the server, beside `host`."""

    port: int = PORT
    host: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None


class _Server(uvicorn.Server):
    """Ends what clients wait for first."""

    def __init__(self, app: StoreApp, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._store = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ending = asyncio.create_task(self._store.end_queries())
        await super().shutdown(sockets)
        ending.cancel()


def make_server(engine: Engine, users: Users, address: Address) -> uvicorn.Server:
    """Raises AddressError. The engine must outlive the server."""
    check_address(address.host, address.tls_cert, address.tls_key)
    if address.host in _ANY and not address.names:
        raise AddressError(f"{address.host} is no name that clients use: say what they call it, --name store.plant")
    own = {f"[{address.host}]" if ":" in address.host else address.host, *address.names} - _ANY
    app = StoreApp(engine, users, LOOPBACK | {name.lower() for name in own})
    config = uvicorn.Config(
        app,
        host=address.host,
        port=address.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=str(address.tls_cert) if address.tls_cert else None,
        ssl_keyfile=str(address.tls_key) if address.tls_key else None,
    )
    return _Server(app, config)
