"""The log on Apache Kafka: a partition of a topic, and its snapshots in a compacted topic that is partitioned alike.

What `append` and `barrier` returned for is on all in-sync replicas (acks=all). Snapshots: `snapshots.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from sincewhen.log.kafka_admin import Cluster, KafkaUnavailable
from sincewhen.log.log import LogRecord, LogUnavailable, Snapshot
from sincewhen.log.snapshots import POSITION, STUMBLES, Snapshots
from sincewhen_schemas.kafka import KafkaSettings
from sincewhen_schemas.kafka_problem import problem_of

ACK_S_MAX = 120.0
_RECORD_BYTES_MAX = 8 * 1024 * 1024
_POLL_MS = 500
_RECONNECT_MS_MAX = 5_000  # a client's own 30 s are half of what `send` waits for a broker that is back


@contextmanager
def asking(kafka: KafkaSettings, topic: str, operation: str) -> Iterator[None]:
    """Turns the client's failures into LogUnavailable."""
    try:
        yield
    except KafkaError as error:
        raise LogUnavailable(problem_of(error, kafka, topic, operation)) from error
    except KafkaUnavailable as error:
        raise LogUnavailable(str(error)) from error


def new_producer(kafka: KafkaSettings, block_s: float = 60.0) -> KafkaProducer:
    """In order, and never stuck for ever: an idempotent one is after an outage longer than its delivery timeout.

    block_s: how long `send` may wait for a broker that it knows nothing of yet.
    """
    return KafkaProducer(
        **kafka.client_options(),
        acks="all",
        enable_idempotence=False,
        max_in_flight_requests_per_connection=1,
        delivery_timeout_ms=int(ACK_S_MAX * 1000),
        max_block_ms=int(block_s * 1000),
        reconnect_backoff_max_ms=_RECONNECT_MS_MAX,
        linger_ms=5,
        batch_size=256 * 1024,
        max_request_size=_RECORD_BYTES_MAX,
    )


def new_consumer(kafka: KafkaSettings, **more: Any) -> KafkaConsumer:  # noqa: ANN401 - kafka-python's
    """Of no group, unless `more` names one; commits only when told."""
    return KafkaConsumer(
        **kafka.client_options(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_RECORD_BYTES_MAX,
        reconnect_backoff_max_ms=_RECONNECT_MS_MAX,
        **more,
    )


def record_of(item: Any) -> LogRecord:  # noqa: ANN401 - kafka-python's ConsumerRecord
    key = (item.key or b"").decode("utf-8", "replace")
    return LogRecord(item.offset, key, item.value or b"", item.timestamp * 1_000_000, item.partition)


def records(kafka: KafkaSettings, topic: str, partitions: Sequence[int]) -> Iterator[LogRecord]:
    """What partitions hold now, in the order of each. Raises LogUnavailable."""
    places = [TopicPartition(topic, partition) for partition in partitions]
    if not places:
        return
    with asking(kafka, topic, "Read"):
        consumer = new_consumer(kafka)
        try:
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends = consumer.end_offsets(places)
            while any(consumer.position(place) < end for place, end in ends.items()):
                for items in consumer.poll(_POLL_MS).values():
                    yield from map(record_of, items)
        finally:
            consumer.close()


def begin_offsets(kafka: KafkaSettings, topic: str, partitions: Sequence[int]) -> dict[int, int]:
    """What lies before has expired. Asked with a client of its own: within a rebalance a consumer can't be asked."""
    if not partitions:
        return {}
    with asking(kafka, topic, "Read"):
        consumer = new_consumer(kafka)
        try:
            found = consumer.beginning_offsets([TopicPartition(topic, partition) for partition in partitions])
        finally:
            consumer.close()
    return {place.partition: offset for place, offset in found.items()}


@dataclass(slots=True)
class KafkaStates:
    """Snapshots of the partitions of `topic`, in the compacted topic `states`."""

    kafka: KafkaSettings
    producer: KafkaProducer
    topic: str
    states: str
    _snapshots: Snapshots = field(default_factory=Snapshots)

    @property
    def topic_id(self) -> str:
        """The incarnation of the topic, as of the newest `load`."""
        return self._snapshots.topic_id

    def load(self, partitions: Sequence[int]) -> dict[int, Snapshot]:
        """Raises LogUnavailable."""
        with asking(self.kafka, self.topic, "Describe"), Cluster(self.kafka) as cluster:
            self._snapshots.topic_id = cluster.topic_id(self.topic)
        newest: dict[int, dict[str, bytes]] = {partition: {} for partition in partitions}
        for record in records(self.kafka, self.states, partitions):
            newest[record.partition][record.key] = record.value
        kept = {partition: {key: raw for key, raw in found.items() if raw} for partition, found in newest.items()}
        return {partition: self._snapshots.read(partition, found) for partition, found in kept.items()}

    def barrier(self, partition: int, next_offset: int, dirty: Mapping[str, bytes]) -> None:
        """Raises LogUnavailable."""
        self._write(partition, self._snapshots.states(next_offset, dirty))
        self._write(partition, {POSITION: self._snapshots.position(partition, next_offset, dirty)})

    def stumble(self, partition: int, offset: int) -> None:
        """Raises LogUnavailable."""
        self._write(partition, {STUMBLES: self._snapshots.stumble(partition, offset)})

    def _write(self, partition: int, records: Mapping[str, bytes]) -> None:
        with asking(self.kafka, self.states, "Write"):
            sent = [
                self.producer.send(self.states, value, key.encode(), partition=partition)
                for key, value in records.items()
            ]
            for future in sent:
                future.get(ACK_S_MAX)


@dataclass(slots=True)
class KafkaLog:
    """One partition of `topic`."""

    kafka: KafkaSettings
    producer: KafkaProducer
    topic: str
    partition: int
    kept: KafkaStates
    _reader: KafkaConsumer | None = None

    def append(self, records: Sequence[tuple[str, bytes]], _now_ns: int, /) -> int:
        with asking(self.kafka, self.topic, "Write"):
            sent = [
                self.producer.send(self.topic, value, key.encode(), partition=self.partition) for key, value in records
            ]
            return int(min(future.get(ACK_S_MAX).offset for future in sent))

    def read(self, offset: int, limit: int, /) -> list[LogRecord]:
        here = TopicPartition(self.topic, self.partition)
        with asking(self.kafka, self.topic, "Read"):
            if self._reader is None:
                self._reader = new_consumer(self.kafka)
                self._reader.assign([here])
            self._reader.seek(here, offset)
            found: list[LogRecord] = []
            while not found and self._reader.end_offsets([here])[here] > offset:
                found = [record_of(item) for item in self._reader.poll(_POLL_MS, limit).get(here, [])]
        return found

    def barrier(self, next_offset: int, dirty: Mapping[str, bytes], /) -> None:
        self.kept.barrier(self.partition, next_offset, dirty)

    def snapshot(self) -> Snapshot:
        return self.kept.load([self.partition])[self.partition]

    def end(self) -> int:
        here = TopicPartition(self.topic, self.partition)
        with asking(self.kafka, self.topic, "Read"):
            consumer = new_consumer(self.kafka)
            try:
                return int(consumer.end_offsets([here])[here])
            finally:
                consumer.close()

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
