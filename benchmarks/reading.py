"""`python -m benchmarks.reading KIND SERVERS RECORDS`: a process that reads `frames` and does less than a processor.

bare: kafka-python's consumer. noop: a Faust worker that does nothing with a record. project: one that decodes it and
projects its embeddings. Prints wall and CPU seconds from the first tenth of the records to nine tenths.
"""

import json
import os
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import faust
import numpy as np

from benchmarks.many import DIMS
from sincewhen.ingest.decode import decode
from sincewhen.log.kafka import new_consumer
from sincewhen_schemas.frames import Frames
from sincewhen_schemas.kafka import FRAMES_TOPIC, KafkaSettings

_KEPT = 64  # coordinates


@dataclass(slots=True)
class Clock:
    records: int
    seen: int = 0
    began: tuple[float, float] = field(default=(0.0, 0.0))

    def count(self) -> None:
        """One record more; ends the process behind nine tenths of them."""
        self.seen += 1
        if self.seen == self.records // 10:
            self.began = time.perf_counter(), time.process_time()
        if self.seen == 9 * self.records // 10:
            wall, cpu = time.perf_counter() - self.began[0], time.process_time() - self.began[1]
            print(json.dumps({"wall": wall, "cpu": cpu}), file=sys.__stdout__, flush=True)  # Faust takes sys.stdout
            os._exit(0)


def bare(kafka: KafkaSettings, clock: Clock) -> None:
    consumer = new_consumer(kafka)
    consumer.subscribe([FRAMES_TOPIC])
    while True:
        for items in consumer.poll(500).values():
            for _ in items:
                clock.count()


def worker(kafka: KafkaSettings, clock: Clock, *, project: bool) -> None:
    app = faust.App(
        f"bench-{uuid.uuid4()}",
        broker=[f"kafka://{server}" for server in kafka.servers.split(",")],
        web_enabled=False, stream_wait_empty=False, broker_max_poll_records=32, topic_disable_leader=True,
        value_serializer="raw", consumer_auto_offset_reset="earliest",
    )  # fmt: skip
    topic = app.topic(FRAMES_TOPIC, value_type=bytes, value_serializer="raw", key_serializer="raw")
    into = np.random.default_rng(1).standard_normal((DIMS, _KEPT)).astype(np.float32)

    @app.agent(topic)
    async def take(stream: Any) -> None:  # noqa: ANN401 - Faust's type of it lacks noack
        async for event in stream.noack().events():
            message = event.message
            if project:
                frames = decode(message.key.decode(), message.value, 2**62, lambda _: True)
                if isinstance(frames, Frames):
                    frames.layers["head"].astype(np.float32) @ into
            clock.count()
            await stream.ack(event)

    faust.Worker(app, loglevel="warning").execute_from_commandline()


def main(kind: str, servers: str, records: int) -> None:
    kafka, clock = KafkaSettings(servers=servers, security="plaintext"), Clock(records)
    if kind == "bare":
        bare(kafka, clock)
    else:
        worker(kafka, clock, project=kind == "project")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
