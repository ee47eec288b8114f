"""`sincewhen store`: the store alone, for ClickHouse clients and Grafana, where there is no ClickHouse server."""

import signal
from pathlib import Path

import click

from sincewhen.access.listening import AddressError
from sincewhen.access.tokens import TokensError
from sincewhen.console.access import admin_token
from sincewhen.plant import PlantError, load_plant
from sincewhen.store.connect import Connection, StoreUnavailable
from sincewhen.store.migrate import MigrationError, migrate
from sincewhen.store.serve.server import PORT, Address, make_server
from sincewhen.store.serve.users import ADMIN, Users, add_reader

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)


@click.command()
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), default=Path("sincewhen-data"), show_default=True
)
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
@click.option("--plant", type=click.Path(dir_okay=False, path_type=Path), help="plant.toml: how long rows are kept.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where to listen; beyond this machine with TLS only."
)
@click.option("--name", "names", multiple=True, help="What clients call this server, beside --host. May be repeated.")
@click.option("--tls-cert", type=_FILE)
@click.option("--tls-key", type=_FILE)
@click.option("--add-reader", metavar="NAME", help="Make a read-only user, print its token, and end.")
def store(
    data: Path,
    port: int,
    plant: Path | None,
    host: str,
    names: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    add_reader: str | None,
) -> None:
    """Serve the store of --data over ClickHouse's HTTP interface until SIGTERM or Ctrl-C."""
    if add_reader is not None:
        _add_reader(data, add_reader)
        return
    try:
        users = Users(data, admin_token(data))
        retention = load_plant(plant).retention
        connection = Connection(data / "store")
    except (PlantError, TokensError) as error:
        raise click.UsageError(str(error)) from error
    except StoreUnavailable as error:
        raise click.ClickException(str(error)) from error
    try:
        migrate(connection, retention)
        server = make_server(connection.engine, users, Address(port, host, names, tls_cert, tls_key))
        scheme = "https" if tls_cert else "http"
        click.echo(f"The store is served at {scheme}://{host}:{port} (user {ADMIN}, token: {data / 'token'})", err=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(
                number, lambda *_: None
            )  # uvicorn ends on them, then raises them again: the engine ends first
        server.run()
    except AddressError as error:
        raise click.UsageError(str(error)) from error
    except (MigrationError, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from error
    finally:
        connection.close()


def _add_reader(data: Path, name: str) -> None:
    try:
        click.echo(add_reader(data, name))
    except TokensError as error:
        raise click.UsageError(str(error)) from error
