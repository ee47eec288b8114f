"""The Faust app: the partitions of `frames` are shared among all processors of one group.

Invariants
- Faust seeks to the group's committed offsets behind every other callback of an assignment, so the place to start from
  the snapshot instead is its consumer: `perform_seek`, which may run twice at once, and while nothing is assigned anew.
- A refusal of the broker (a right that was taken away) ends the process too: it waits for its rights when it is started
  again. aiokafka does not come back from one of its group.
- An exception inside of an agent acknowledges and loses the event, so none leaves the loop: an unwell world is waited
  for, and a fault of ours ends the process, which goes on from its snapshot when it is started again. A record at which
  that happened twice is set aside as a dead letter (internal_error).
- Committed offsets only show how far the group is; nothing starts from them. Where a snapshot is ahead of them they are
  set to it: Faust commits nothing beyond a gap.
"""

import asyncio
import logging
import os
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import faust
from aiokafka.errors import KafkaError
from aiokafka.helpers import create_ssl_context
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP
from yarl import URL

from sincewhen.log.kafka import begin_offsets
from sincewhen.log.kafka_outlet import KafkaOutlet
from sincewhen.log.log import LogRecord, LogUnavailable
from sincewhen.processor.outlet import send_heard, send_outputs
from sincewhen.processor.outputs import Outputs
from sincewhen.processor.worker import Worker
from sincewhen_schemas.kafka import FRAMES_TOPIC, KafkaSettings
from sincewhen_schemas.kafka_problem import problem_of

BARRIER_S = 10.0
_UNWELL_S = 1.0
log = logging.getLogger("sincewhen")
T = TypeVar("T")


@dataclass(slots=True)
class Processor:
    """One process of the group. Everything runs under one lock in the event loop; what waits does so in a thread."""

    kafka: KafkaSettings
    worker: Worker
    outlet: KafkaOutlet
    fatal: Callable[[], None] = lambda: os._exit(1)  # an exception would be swallowed by Faust
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def assigned(self, partitions: list[int]) -> dict[int, int]:
        """The offset at which each partition is read on."""
        async with self._lock:
            return await self._patiently(lambda: self._starts(partitions))

    def _starts(self, partitions: list[int]) -> dict[int, int]:
        starts = self.worker.assign(partitions)
        for partition, begin in begin_offsets(self.kafka, FRAMES_TOPIC, partitions).items():
            if begin > starts[partition]:
                log.error("frames_expired partition=%s from=%s to=%s", partition, starts[partition], begin - 1)
                self.worker.begin(partition, begin)
                starts[partition] = begin
        return starts

    async def take(self, record: LogRecord) -> None:
        """Apply a record and send what it makes; a fault of ours ends the process."""
        async with self._lock:
            try:
                made = self.worker.take(record)
            except Exception:  # noqa: BLE001 - the boundary of the event loop
                log.critical(
                    "record_failed partition=%s offset=%s\n%s", record.partition, record.offset, traceback.format_exc()
                )
                with suppress(LogUnavailable):  # it is counted another time
                    await asyncio.to_thread(self.worker.stumbled, record)
                return self.fatal()
            if made is not None:
                await self._sent(record, made)
        return None

    async def barrier(self) -> None:
        """Store what was applied so far."""
        async with self._lock:
            try:
                await asyncio.to_thread(self._store)
            except LogUnavailable as error:
                log.critical("outputs_in_doubt problem=%s", error)
                self.fatal()

    def refused(self, error: KafkaError) -> None:
        """End the process: its consumer is refused."""
        log.critical("refused problem=%s", problem_of(error, self.kafka, FRAMES_TOPIC, "Read"))
        self.fatal()

    def _store(self) -> None:
        send_heard(self.outlet, self.worker.heard())
        self.outlet.settle()
        self.worker.barrier()

    async def _sent(self, record: LogRecord, made: Outputs) -> None:
        while True:
            try:
                return send_outputs(self.outlet, record, made, self.worker.states.topic_id)
            except LogUnavailable as error:
                log.warning("waiting problem=%s", error)
                await asyncio.sleep(_UNWELL_S)

    async def _patiently(self, ask: Callable[[], T]) -> T:
        """In a thread, again and again until the world is well."""
        while True:
            try:
                return await asyncio.to_thread(ask)
            except (LogUnavailable, KeyError) as error:
                log.warning("waiting problem=%s", error)
                await asyncio.sleep(_UNWELL_S)


def make_app(kafka: KafkaSettings, group: str, processor: Processor, port: int) -> faust.App:
    """Not started yet. port: of Faust's own web server, on loopback."""
    app = faust.App(
        group,
        broker=[URL(f"kafka://{host}:{number}") for host, number in kafka.addresses],
        broker_credentials=_credentials(kafka),
        web_port=port,
        web_bind="127.0.0.1",
        stream_wait_empty=False,
        stream_buffer_maxsize=64,
        broker_session_timeout=10,
        broker_commit_interval=0.5,
        broker_max_poll_records=32,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        value_serializer="raw",
        key_serializer="raw",
    )
    transport = app.transport = _FromSnapshots(app.conf.broker_consumer, app)
    transport.assigned, transport.refused = processor.assigned, processor.refused
    frames = app.topic(FRAMES_TOPIC, value_type=bytes, key_type=bytes, value_serializer="raw", key_serializer="raw")

    @app.agent(frames)
    async def process(stream: Any) -> None:  # noqa: ANN401 - Faust's type of it lacks noack
        async for event in stream.noack().events():
            message = event.message
            key = (message.key or b"").decode("utf-8", "replace")
            at_ns = round(message.timestamp * 1000) * 1_000_000
            await processor.take(LogRecord(message.offset, key, message.value or b"", at_ns, message.partition))
            await stream.ack(event)

    async def barrier(*_: object, **__: object) -> None:
        cast("_Consumer", app.consumer).check()
        await processor.barrier()

    app.timer(BARRIER_S)(barrier)
    app.on_partitions_revoked.connect(barrier, weak=False)
    app.on_before_shutdown.connect(barrier, weak=False)
    return app


class _Consumer(Consumer):
    async def perform_seek(self) -> None:
        await super().perform_seek()
        mine = sorted(tp.partition for tp in self.assignment() if tp.topic == FRAMES_TOPIC)
        transport = cast("_FromSnapshots", self.transport)
        starts = {TP(FRAMES_TOPIC, number): offset for number, offset in (await transport.assigned(mine)).items()}
        for place, offset in starts.items():
            await self.seek(place, offset)
            self._committed_offset[place] = (
                offset or None
            )  # it commits nothing beyond a gap, and a snapshot may be ahead
        told = {place: offset for place, offset in starts.items() if offset}
        if told:
            await self._commit(told)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ANN401, ASYNC109 - Faust's
        try:
            return await super()._getmany(active_partitions, timeout)
        except KafkaError as error:
            self._refused(error)
            return {}

    def check(self) -> None:
        """Look for an error of its group: aiokafka waits until somebody asks, and Faust does not ask."""
        consumer = self._thread._consumer  # noqa: SLF001 - no other way to it
        error = consumer and consumer._coordinator._pending_exception  # noqa: SLF001 - asking would be its thread's
        if error:
            self._refused(error)

    def _refused(self, error: KafkaError) -> None:
        cast("_FromSnapshots", self.transport).refused(error)


class _FromSnapshots(Transport):
    Consumer = _Consumer
    refused: Callable[[KafkaError], None]
    assigned: Callable[[list[int]], Awaitable[dict[int, int]]]


def _credentials(kafka: KafkaSettings) -> Any:  # noqa: ANN401 - Faust's, or None
    context = None
    if kafka.security == "tls":
        context = create_ssl_context(
            cafile=kafka.ca_file or None, certfile=kafka.certificate_file or None, keyfile=kafka.key_file or None
        )
    if kafka.user:
        return faust.SASLCredentials(
            username=kafka.user, password=kafka.password, mechanism=kafka.sasl, ssl_context=context
        )
    return None if context is None else faust.SSLCredentials(context)
