"""`sincewhen processor`: one of the processes that turn frames into findings."""

import asyncio
from pathlib import Path

import click
import faust

from sincewhen.cli.served import begin
from sincewhen.cli.settings import FILE
from sincewhen.log.kafka import KafkaStates, new_producer
from sincewhen.log.kafka_bodies import KafkaBodies
from sincewhen.log.kafka_outlet import KafkaOutlet
from sincewhen.log.rights import PROCESSORS
from sincewhen.processor.app import Processor, make_app
from sincewhen.processor.kept import KeptProfiles
from sincewhen.processor.pipeline import Pipeline
from sincewhen.processor.worker import Worker
from sincewhen_schemas.kafka import FRAMES_TOPIC


@click.command()
@click.option("--config", type=FILE, required=True, help="TOML of all processes: [kafka], plant, ...")
@click.option("--port", type=click.IntRange(1, 65535), default=6066, show_default=True, help="Of its web server.")
def processor(config: Path, port: int) -> None:
    """Take partitions of the topic frames, as many as its share of the group, until SIGTERM or Ctrl-C."""
    settings, plant = begin(config, "processor")
    producer = new_producer(settings.kafka)
    profiles = KeptProfiles(KafkaBodies(settings.kafka, producer, "profiles"))
    states = KafkaStates(settings.kafka, producer, FRAMES_TOPIC, "state")
    one = Processor(settings.kafka, Worker(Pipeline(profiles.of, plant), states), KafkaOutlet(settings.kafka, producer))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = make_app(settings.kafka, PROCESSORS, one, port)
    faust.Worker(app, loglevel="warning", loop=loop).execute_from_commandline()
