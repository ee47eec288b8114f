"""The console's backend over Kafka and ClickHouse: what other processes told last, and a way into `frames`.

What is known of views, groups and incidents is what their compacted topics say, followed by a thread. Silence is judged
only while the processors have read all of `frames`: who is not caught up does not know who is silent.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from sincewhen.backend.board import Board
from sincewhen.ingest.decode import decode
from sincewhen.log.kafka import asking, new_consumer
from sincewhen.log.log import LogUnavailable
from sincewhen.log.rights import PROCESSORS
from sincewhen.plant import Plant
from sincewhen_schemas.invalid import InvalidFrame
from sincewhen_schemas.kafka import FRAMES_TOPIC, KafkaSettings
from sincewhen_schemas.messages import GroupStatus, Heard, Incident, StationStatus

STATIONS, GROUPS, INCIDENTS = "stations", "groups", "incidents"
ANSWER_S = 20.0  # an agent waits for 30; what Kafka takes later comes twice, and is counted once
_POLL_MS, _UNWELL_S, _LAG_EVERY_S = 200, 1.0, 2.0
_HEARD, _GROUP = msgspec.json.Decoder(Heard), msgspec.json.Decoder(GroupStatus)
_INCIDENT = msgspec.json.Decoder(Incident)
log = logging.getLogger("sincewhen")


@dataclass(slots=True)
class KafkaKnown:
    """Follows from `start` to `stop`; whole once everything that was there at the start is read."""

    kafka: KafkaSettings
    plant: Plant
    now_ns: Callable[[], int] = time.time_ns
    whole: threading.Event = field(default_factory=threading.Event)
    _board: Board = field(init=False)
    _told: dict[str, Incident] = field(default_factory=dict)  # the newest word on each
    _groups: dict[str, GroupStatus] = field(default_factory=dict)
    _caught_up: bool = False
    _lag_at: float = 0.0  # monotonic seconds
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._board = Board(self.plant, self.now_ns)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="known", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    @property
    def incidents(self) -> Mapping[str, Incident]:
        return {key: item for key, item in dict(self._told).items() if not item.merged_into}

    def incident(self, incident_id: str) -> Incident | None:
        known = self._told.get(incident_id)
        return self._told.get(known.merged_into) if known is not None and known.merged_into else known

    def stations(self) -> list[StationStatus]:
        return self._board.stations(caught_up=self._caught_up)

    def groups(self) -> list[GroupStatus]:
        return [status for _, status in sorted(dict(self._groups).items()) if status.members]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with asking(self.kafka, STATIONS, "Read"):
                    self._follow()
            except LogUnavailable as error:
                self._caught_up = False
                log.warning("waiting problem=%s", error)
                self._stop.wait(_UNWELL_S)

    def _follow(self) -> None:
        consumer, processors = new_consumer(self.kafka), new_consumer(self.kafka, group_id=PROCESSORS)
        try:
            places = [place for topic in (STATIONS, GROUPS, INCIDENTS) for place in _places(consumer, topic)]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends = consumer.end_offsets(places)
            while not self._stop.is_set():
                for place, items in consumer.poll(_POLL_MS).items():
                    for item in items:
                        self._take(place.topic, item.value)
                if not self.whole.is_set() and all(consumer.position(place) >= end for place, end in ends.items()):
                    self.whole.set()
                self._look_at_lag(processors)
        finally:
            consumer.close()
            processors.close()

    def _take(self, topic: str, value: bytes | None) -> None:
        if not value:
            return
        if topic == STATIONS:
            self._board.take(_HEARD.decode(value))
        elif topic == GROUPS:
            status = _GROUP.decode(value)
            self._groups[status.group_id] = status
        else:
            incident = _INCIDENT.decode(value)
            known = self._told.get(incident.incident_id)
            if known is None or known.version <= incident.version:
                self._told[incident.incident_id] = incident

    def _look_at_lag(self, processors: KafkaConsumer) -> None:
        if time.monotonic() - self._lag_at < _LAG_EVERY_S:
            return
        self._lag_at = time.monotonic()
        ends = processors.end_offsets(_places(processors, FRAMES_TOPIC))
        self._caught_up = self.whole.is_set() and all(
            end == 0 or (processors.committed(place) or 0) >= end for place, end in ends.items()
        )


@dataclass(slots=True)
class KafkaIntake:
    """Records go to the partition of their station; what breaks the contract is for the processor to set aside."""

    kafka: KafkaSettings
    plant: Plant
    producer: KafkaProducer
    now_ns: Callable[[], int] = time.time_ns
    alive: bool = True
    backlog: int = 0  # that of the processors is for Prometheus: Kafka takes what comes

    def append(self, records: Sequence[tuple[str, bytes]]) -> None:
        with asking(self.kafka, FRAMES_TOPIC, "Write"):
            until = time.monotonic() + ANSWER_S
            for future in [self.producer.send(FRAMES_TOPIC, value, key.encode()) for key, value in records]:
                future.get(max(0.0, until - time.monotonic()))

    def refusal(self, key: str, value: bytes) -> InvalidFrame | None:
        try:
            decode(key, value, self.now_ns(), self.plant.knows)
        except InvalidFrame as refusal:
            return refusal
        return None


def _places(consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic) or ())]
