"""The writer: its own consumer group, which commits after the store has the rows. Written twice they are the same rows.

While the store is down it waits, stays in its group, and everything else goes on.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer

from sincewhen.log.kafka import asking, new_consumer, record_of
from sincewhen.log.log import LogUnavailable
from sincewhen.log.rights import WRITERS
from sincewhen.plant import Plant
from sincewhen.store.connect import Connection, StoreUnavailable
from sincewhen.store.write import write_incidents, write_outputs
from sincewhen.writer.frames_at import FramesAt
from sincewhen.writer.rows import TOPICS, Rows
from sincewhen_schemas.kafka import KafkaSettings

_POLL_MS, _POLL_RECORDS = 200, 500
_UNWELL_S = 1.0
log = logging.getLogger("sincewhen")


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python ships no types
    def __init__(self, moved: Callable[[], None]) -> None:
        self._moved = moved

    def on_partitions_revoked(self, _revoked: Iterable[Any]) -> None:
        self._moved()

    def on_partitions_assigned(self, _assigned: Iterable[Any]) -> None:
        self._moved()


@dataclass(slots=True)
class WriterProcess:
    """connect: opens the store; raises StoreUnavailable while it is down."""

    kafka: KafkaSettings
    plant: Plant
    connect: Callable[[], Connection]
    problem: str = ""  # why the newest rows are not written, "" when they are
    _frames: FramesAt = field(init=False)
    _connection: Connection | None = None
    _generation: int = 0  # one more whenever partitions move
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._frames = FramesAt(self.kafka)

    def stop(self) -> None:
        """End; what is not written is not committed."""
        self._stop.set()

    def run(self) -> None:
        """Until `stop`."""
        consumer = new_consumer(self.kafka, group_id=WRITERS, session_timeout_ms=10_000)
        consumer.subscribe(list(TOPICS), listener=_Listener(self._moved))
        try:
            while not self._stop.is_set():
                try:
                    with asking(self.kafka, ", ".join(TOPICS), "Read"):
                        self._step(consumer)
                except LogUnavailable as error:
                    self._wait(str(error))
        finally:
            consumer.close(autocommit=False)
            self._frames.close()
            if self._connection is not None:
                self._connection.close()

    def _moved(self) -> None:
        self._generation += 1

    def _step(self, consumer: KafkaConsumer) -> None:
        found = consumer.poll(_POLL_MS, _POLL_RECORDS)
        if not found:
            return
        rows, generation = Rows(), self._generation
        for place, items in found.items():
            for item in items:
                rows.add(place.topic, record_of(item))
        while not (self._joined(rows) and self._written(rows)):
            consumer.pause(*consumer.assignment())
            consumer.poll(0)  # stays in its group
            if self._stop.wait(_UNWELL_S) or self._generation != generation:
                return  # not committed: whoever has the partitions now reads them again
        consumer.resume(*consumer.paused())
        if self._generation == generation:
            consumer.commit()

    def _joined(self, rows: Rows) -> bool:
        try:
            rows.join(self._frames.get(rows.wanted()), self.plant.knows)
        except LogUnavailable as error:
            self._wait(str(error))
            return False
        return True

    def _written(self, rows: Rows) -> bool:
        try:
            self._connection = self._connection or self.connect()
            write_outputs(self._connection, rows.outputs)
            write_incidents(self._connection, rows.incidents)
        except StoreUnavailable as error:
            self._wait(str(error))
            return False
        if self.problem:
            log.warning("store_recovered")
        self.problem = ""
        return True

    def _wait(self, problem: str) -> None:
        if not self.problem:
            log.warning("waiting problem=%s", problem)
        self.problem = problem
        self._stop.wait(_UNWELL_S)
