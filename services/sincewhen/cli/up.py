"""`sincewhen up`: the whole server in one process, on 127.0.0.1."""

import signal
import sys
import threading
from pathlib import Path

import click
import uvicorn

from sincewhen.access.tokens import TokensError
from sincewhen.console.access import admin_token
from sincewhen.console.app import make_app
from sincewhen.embedded.runner import Runner
from sincewhen.plant import PlantError, load_plant
from sincewhen.store.connect import StoreUnavailable
from sincewhen.store.migrate import MigrationError
from sincewhen.store.serve.server import PORT, Address, make_server
from sincewhen.store.serve.users import Users

_WATCH_S, _START_S = 0.5, 0.05


@click.command()
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), default=Path("sincewhen-data"), show_default=True
)
@click.option("--port", type=click.IntRange(1, 65535), default=8099, show_default=True)
@click.option("--plant", type=click.Path(dir_okay=False, path_type=Path), help="plant.toml: stations, shifts, budget.")
@click.option(
    "--clickhouse-http",
    type=click.IntRange(1, 65535),
    is_flag=False,
    flag_value=PORT,
    metavar="[PORT]",
    help=f"Also serve the store over ClickHouse's HTTP interface, at {PORT} unless a port is given.",
)
def up(data: Path, port: int, plant: Path | None, clickhouse_http: int | None) -> None:
    """Serve ingest, pipeline, store and console until SIGTERM or Ctrl-C."""
    try:
        described = load_plant(plant)
    except PlantError as error:
        raise click.UsageError(str(error)) from error
    try:
        users = Users(data, admin_token(data))
    except TokensError as error:
        raise click.UsageError(str(error)) from error
    try:
        runner = Runner(data, described)
    except (StoreUnavailable, MigrationError) as error:
        raise click.ClickException(str(error)) from error
    server = uvicorn.Server(
        uvicorn.Config(make_app(runner.backend(), admin_token(data)), host="127.0.0.1", port=port, log_level="warning")
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn ends on them, then raises them again: the barrier comes first
    runner.start()
    store = None
    watch = threading.Thread(target=_end_with_pipeline, args=(runner, server), daemon=True)
    watch.start()
    click.echo(f"SinceWhen serves http://127.0.0.1:{port} (token for changes: {data / 'token'})", err=True)
    try:
        if clickhouse_http:
            store = _Beside(make_server(runner.connection.engine, users, Address(clickhouse_http)))
            store.started()
        server.run()
    finally:
        fell = not runner.alive
        if store:
            store.stop()
        runner.stop()
    if fell:
        click.echo("The pipeline ended by a fault of ours, see above; start again: it goes on where it was.", err=True)
        sys.exit(1)


class _Beside:
    """A second server of this process, in a thread. It ends before the engine does."""

    def __init__(self, server: uvicorn.Server) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.run, name="store")
        self._thread.start()

    def started(self) -> None:
        """Wait until it serves."""
        while not self._server.started:
            if not self._thread.is_alive():
                raise click.ClickException("the store's port is taken, see above: name another --clickhouse-http PORT")
            self._thread.join(_START_S)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


def _end_with_pipeline(runner: Runner, server: uvicorn.Server) -> None:
    """A server whose pipeline is dead must not look alive."""
    while runner.alive:
        threading.Event().wait(_WATCH_S)
    server.should_exit = True
