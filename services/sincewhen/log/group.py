"""A member of a Kafka consumer group whose partitions have snapshots (`partitions.py`), by kafka-python."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from sincewhen.log.kafka import asking, begin_offsets, new_consumer, record_of
from sincewhen.log.log import LogRecord
from sincewhen.log.partitions import Holder, Partitions
from sincewhen_schemas.kafka import KafkaSettings

POLL_MS, POLL_RECORDS = 200, 500
_SESSION_MS = 10_000
log = logging.getLogger("sincewhen")
H = TypeVar("H", bound=Holder)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python ships no types
    def __init__(self, revoked: Callable[[], object], assigned: Callable[[list[int]], None]) -> None:
        self._revoked, self._assigned = revoked, assigned

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        if revoked:
            self._revoked()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._assigned(sorted(place.partition for place in assigned))


@dataclass(frozen=True, slots=True)
class Hooks:
    """revoked: before partitions are given back, the place for a barrier. assigned: once others have been read."""

    revoked: Callable[[], object]
    assigned: Callable[[], None]


@dataclass(slots=True)
class Member(Generic[H]):
    kafka: KafkaSettings
    group: str
    topic: str
    partitions: Partitions[H]
    hooks: Hooks
    _consumer: KafkaConsumer = field(init=False)

    def __post_init__(self) -> None:
        self._consumer = new_consumer(
            self.kafka, group_id=self.group, session_timeout_ms=_SESSION_MS, heartbeat_interval_ms=_SESSION_MS // 3
        )
        self._consumer.subscribe([self.topic], listener=_Listener(self.hooks.revoked, self._assigned))

    def poll(self) -> list[tuple[H, LogRecord]]:
        """Records that are to be applied now, each with who is to apply it. Raises LogUnavailable."""
        with asking(self.kafka, self.topic, "Read"):
            found: list[Any] = [item for items in self._consumer.poll(POLL_MS, POLL_RECORDS).values() for item in items]
        records = map(record_of, found)
        return [(holder, record) for record in records if (holder := self.partitions.take(record)) is not None]

    def applied(self, offsets: Mapping[int, int]) -> None:
        """Show how far the group is: nothing starts from there. offsets: the next one of each partition."""
        self._consumer.commit_async(
            {
                TopicPartition(self.topic, partition): OffsetAndMetadata(offset, "", -1)
                for partition, offset in offsets.items()
            }
        )

    def close(self) -> None:
        self._consumer.close(autocommit=False)

    def _assigned(self, partitions: list[int]) -> None:
        places = [TopicPartition(self.topic, partition) for partition in partitions]
        starts = self.partitions.assign(partitions)
        begins = begin_offsets(self.kafka, self.topic, partitions)
        for place in places:
            start, begin = starts[place.partition], begins[place.partition]
            if begin > start:
                log.error("records_expired topic=%s partition=%s from=%s to=%s", *place, start, begin - 1)
                self.partitions.begin(place.partition, begin)
            self._consumer.seek(place, max(start, begin))
        self.hooks.assigned()
