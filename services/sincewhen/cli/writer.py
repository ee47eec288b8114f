"""`sincewhen writer`: what the other processes say becomes rows of the store."""

import signal
from pathlib import Path

import click

from sincewhen.cli.served import begin
from sincewhen.cli.settings import FILE, connection_of
from sincewhen.store.connect import Connection
from sincewhen.store.migrate import migrate
from sincewhen.writer.app import WriterProcess


@click.command()
@click.option("--config", type=FILE, required=True, help="TOML of all processes: [kafka], [store], plant, ...")
def writer(config: Path) -> None:
    """Write until SIGTERM or Ctrl-C; while the store is down, wait."""
    settings, plant = begin(config, "writer")

    def connect() -> Connection:
        connection = connection_of(settings.store)
        migrate(connection, plant.retention)
        return connection

    one = WriterProcess(settings.kafka, plant, connect)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: one.stop())
    one.run()
