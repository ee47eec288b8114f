"""`sincewhen correlator`: findings become incidents, and open incidents become alerts."""

import signal
from pathlib import Path

import click

from sincewhen.cli.served import begin
from sincewhen.cli.settings import FILE
from sincewhen.correlator.app import FINDINGS, CorrelatorProcess, InDoubt
from sincewhen.correlator.pager import Pager
from sincewhen.log.kafka import KafkaStates, new_producer
from sincewhen.log.kafka_outlet import KafkaOutlet


@click.command()
@click.option("--config", type=FILE, required=True, help="TOML of all processes: [kafka], plant, [alertmanager], ...")
def correlator(config: Path) -> None:
    """Take sites, as many as its share of the group, until SIGTERM or Ctrl-C."""
    settings, plant = begin(config, "correlator")
    producer = new_producer(settings.kafka)
    one = CorrelatorProcess(
        settings.kafka,
        plant,
        KafkaStates(settings.kafka, producer, FINDINGS, "correlations"),
        KafkaOutlet(settings.kafka, producer),
        Pager(settings.alertmanager.url, settings.console),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: one.stop())
    try:
        one.run()
    except InDoubt as error:
        raise click.ClickException(f"{error}: started again it goes on from its snapshot") from error
    finally:
        producer.close()
