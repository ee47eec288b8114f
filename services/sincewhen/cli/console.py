"""`sincewhen console`: the pages and the API, beside processes that share Kafka and ClickHouse."""

from pathlib import Path

import click
import uvicorn

from sincewhen.backend.backend import Backend
from sincewhen.backend.kafka import ANSWER_S, KafkaIntake, KafkaKnown
from sincewhen.cli.served import begin
from sincewhen.cli.settings import FILE, connection_of
from sincewhen.console.access import admin_token
from sincewhen.console.app import make_app
from sincewhen.log.kafka import new_producer
from sincewhen.log.kafka_bodies import KafkaBodies
from sincewhen.processor.kept import KeptProfiles
from sincewhen.store.connect import StoreUnavailable


@click.command()
@click.option("--config", type=FILE, required=True, help="TOML of all processes: [kafka], [store], plant, ...")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("sincewhen-data"),
    show_default=True,
    help="Where its token is.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=8099, show_default=True)
def console(config: Path, data: Path, port: int) -> None:
    """Serve pages and API on 127.0.0.1 until SIGTERM or Ctrl-C."""
    settings, plant = begin(config, "console")
    producer = new_producer(settings.kafka, ANSWER_S)
    known = KafkaKnown(settings.kafka, plant)
    try:
        store = connection_of(settings.store)
    except StoreUnavailable as error:
        raise click.ClickException(str(error)) from error
    backend = Backend(
        plant=plant,
        known=known,
        intake=KafkaIntake(settings.kafka, plant, producer),
        store=store,
        profiles=KeptProfiles(KafkaBodies(settings.kafka, producer, "profiles")),
        references=KafkaBodies(settings.kafka, producer, "references"),
        now_ns=known.now_ns,
    )
    known.start()
    known.whole.wait()
    click.echo(f"The console serves http://127.0.0.1:{port} (token for changes: {data / 'token'})", err=True)
    try:
        uvicorn.Server(
            uvicorn.Config(make_app(backend, admin_token(data)), host="127.0.0.1", port=port, log_level="warning")
        ).run()
    finally:
        known.stop()
        producer.close()
        store.close()
