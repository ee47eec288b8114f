"""The log on Apache Kafka: a partition of a topic, and its snapshots in a compacted topic that is partitioned alike.

What `append` and `barrier` returned for is on all in-sync replicas (acks=all). Snapshots: `snapshots.py`.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from sincewhen.log.log import LogRecord, LogUnavailable, Snapshot
from sincewhen.log.snapshots import POSITION, Snapshots

ACK_S_MAX = 120.0
_POLL_MS = 500
Settings: TypeAlias = Mapping[str, Any]  # of kafka-python: servers, security


def new_producer(settings: Settings) -> KafkaProducer:
    """In order, and never stuck for ever: an idempotent one is after an outage longer than its delivery timeout."""
    return KafkaProducer(
        **settings,
        acks="all",
        enable_idempotence=False,
        max_in_flight_requests_per_connection=1,
        delivery_timeout_ms=int(ACK_S_MAX * 1000),
        linger_ms=5,
        batch_size=256 * 1024,
        max_request_size=8 * 1024 * 1024,
    )


def new_consumer(settings: Settings, **more: Any) -> KafkaConsumer:  # noqa: ANN401 - kafka-python's
    """Of no group, unless `more` names one; commits only when told."""
    wanted = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "fetch_max_bytes": 16 * 1024 * 1024}
    return KafkaConsumer(**settings, **wanted, **more)


def topic_id(settings: Settings, topic: str) -> str:
    """The incarnation of a topic. Raises LogUnavailable where there is none."""
    admin = KafkaAdminClient(**settings)
    try:
        (told,) = admin.describe_topics([topic])
        return str(uuid.UUID(str(told["topic_id"])))
    except (KafkaError, ValueError, KeyError) as error:
        raise LogUnavailable(
            f"topic {topic!r} was not described ({error}): make it with `sincewhen topics apply`"
        ) from error
    finally:
        admin.close()


def record_of(item: Any) -> LogRecord:  # noqa: ANN401 - kafka-python's ConsumerRecord
    key = (item.key or b"").decode("utf-8", "replace")
    return LogRecord(item.offset, key, item.value or b"", item.timestamp * 1_000_000, item.partition)


def acknowledged(sent: Sequence[Any], *, within_s: float = ACK_S_MAX) -> list[int]:
    """Offsets of what a producer sent, once all have been acknowledged. Raises LogUnavailable."""
    try:
        return [future.get(timeout=within_s).offset for future in sent]
    except KafkaError as error:
        raise LogUnavailable(f"Kafka did not take a record ({error}): it is tried again") from error


def whole(settings: Settings, topic: str, partitions: Sequence[int]) -> dict[int, list[LogRecord]]:
    """What compacted partitions hold: of each key the newest record, in order. Raises LogUnavailable."""
    places = [TopicPartition(topic, partition) for partition in partitions]
    newest: dict[int, dict[str, LogRecord]] = {partition: {} for partition in partitions}
    try:
        consumer = new_consumer(settings)
        try:
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends = consumer.end_offsets(places)
            while any(consumer.position(place) < end for place, end in ends.items()):
                for place, items in consumer.poll(_POLL_MS).items():
                    for record in map(record_of, items):
                        newest[place.partition].pop(record.key, None)
                        newest[place.partition][record.key] = record
        finally:
            consumer.close()
    except KafkaError as error:
        raise LogUnavailable(f"{topic} was not read ({error}): it is tried again") from error
    return {partition: [record for record in found.values() if record.value] for partition, found in newest.items()}


@dataclass(slots=True)
class KafkaStates:
    """Snapshots of the partitions of `topic`, in the compacted topic `states`."""

    settings: Settings
    producer: KafkaProducer
    topic: str
    states: str
    _snapshots: Snapshots = field(default_factory=Snapshots)

    def load(self, partitions: Sequence[int]) -> dict[int, Snapshot]:
        """Raises LogUnavailable."""
        self._snapshots.topic_id = topic_id(self.settings, self.topic)
        found = whole(self.settings, self.states, partitions)
        return {
            partition: self._snapshots.read(partition, {record.key: record.value for record in found[partition]})
            for partition in partitions
        }

    def barrier(self, partition: int, next_offset: int, dirty: Mapping[str, bytes]) -> None:
        """Raises LogUnavailable."""
        self._write(partition, self._snapshots.states(next_offset, dirty))
        self._write(partition, {POSITION: self._snapshots.position(partition, next_offset, dirty)})

    def _write(self, partition: int, records: Mapping[str, bytes]) -> None:
        try:
            sent = [
                self.producer.send(self.states, value, key.encode(), partition=partition)
                for key, value in records.items()
            ]
        except KafkaError as error:
            raise LogUnavailable(f"{self.states} took no state ({error}): it is tried again") from error
        acknowledged(sent)


@dataclass(slots=True)
class KafkaLog:
    """One partition of `topic`."""

    settings: Settings
    producer: KafkaProducer
    topic: str
    partition: int
    kept: KafkaStates
    _reader: KafkaConsumer | None = None

    def append(self, records: Sequence[tuple[str, bytes]], _now_ns: int, /) -> int:
        try:
            sent = [
                self.producer.send(self.topic, value, key.encode(), partition=self.partition) for key, value in records
            ]
        except KafkaError as error:
            raise LogUnavailable(f"{self.topic} took no record ({error}): it is tried again") from error
        return min(acknowledged(sent))

    def read(self, offset: int, limit: int, /) -> list[LogRecord]:
        here = TopicPartition(self.topic, self.partition)
        try:
            if self._reader is None:
                self._reader = new_consumer(self.settings)
                self._reader.assign([here])
            self._reader.seek(here, offset)
            if offset >= self._reader.end_offsets([here])[here]:
                return []
            found: list[LogRecord] = []
            while not found:
                found = [record_of(item) for item in self._reader.poll(_POLL_MS, limit).get(here, [])]
        except KafkaError as error:
            raise LogUnavailable(f"{self.topic} was not read ({error}): it is tried again") from error
        return found

    def barrier(self, next_offset: int, dirty: Mapping[str, bytes], /) -> None:
        self.kept.barrier(self.partition, next_offset, dirty)

    def snapshot(self) -> Snapshot:
        return self.kept.load([self.partition])[self.partition]

    def end(self) -> int:
        here = TopicPartition(self.topic, self.partition)
        try:
            consumer = new_consumer(self.settings)
            try:
                return int(consumer.end_offsets([here])[here])
            finally:
                consumer.close()
        except KafkaError as error:
            raise LogUnavailable(f"{self.topic} has no end now ({error}): it is tried again") from error
