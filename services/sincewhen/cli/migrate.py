"""`sincewhen migrate`: bring a store's tables up to this release, without serving."""

from pathlib import Path

import click

from sincewhen.plant import PlantError, load_plant
from sincewhen.store.connect import Connection, StoreUnavailable
from sincewhen.store.migrate import MigrationError
from sincewhen.store.migrate import migrate as apply_ddl


@click.command()
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), default=Path("sincewhen-data"), show_default=True
)
@click.option("--plant", type=click.Path(dir_okay=False, path_type=Path), help="plant.toml: how long rows are kept.")
def migrate(data: Path, plant: Path | None) -> None:
    """Apply the numbered DDL that the store of --data lacks, and its retention. The server must not run."""
    try:
        retention = load_plant(plant).retention
        connection = Connection(data / "store")
        applied = apply_ddl(connection, retention)
        connection.close()
    except PlantError as error:
        raise click.UsageError(str(error)) from error
    except (MigrationError, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"applied: {', '.join(applied)}" if applied else "nothing to apply: the store is of this release")
