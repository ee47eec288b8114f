"""Records of `frames` at wanted offsets, read in order, to be joined with what the processor says of them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kafka import KafkaConsumer, TopicPartition

from sincewhen.log.kafka import asking, new_consumer, record_of
from sincewhen.log.log import LogRecord
from sincewhen_schemas.kafka import FRAMES_TOPIC, KafkaSettings

_POLL_MS, _POLL_RECORDS = 200, 500
AHEAD_MAX = 256  # records of a partition that are held before anybody wants them; then it is paused
log = logging.getLogger("sincewhen")


@dataclass(slots=True)
class FramesAt:
    kafka: KafkaSettings
    _consumer: KafkaConsumer | None = None
    _ahead: dict[int, dict[int, LogRecord]] = field(default_factory=dict)  # by partition and offset

    def get(self, wanted: Mapping[int, Sequence[int]]) -> dict[tuple[int, int], LogRecord]:
        """Records by partition and offset; wanted: ascending offsets by partition. One that expired is left out.

        Raises LogUnavailable.
        """
        with asking(self.kafka, FRAMES_TOPIC, "Read"):
            self._consumer = self._consumer or new_consumer(self.kafka)
            self._place(self._consumer, wanted)
            while any(
                not self._passed(self._consumer, partition, offsets[-1]) for partition, offsets in wanted.items()
            ):
                for items in self._consumer.poll(_POLL_MS, _POLL_RECORDS).values():
                    for record in map(record_of, items):
                        self._ahead[record.partition][record.offset] = record
                self._pause(self._consumer, wanted)
        found = {}
        for partition, offsets in wanted.items():
            for offset in offsets:
                if offset in self._ahead[partition]:
                    found[partition, offset] = self._ahead[partition][offset]
                else:
                    log.error("frames_expired partition=%s offset=%s", partition, offset)
            kept = self._ahead[partition]
            self._ahead[partition] = {offset: record for offset, record in kept.items() if offset > offsets[-1]}
        return found

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()

    def _place(self, consumer: KafkaConsumer, wanted: Mapping[int, Sequence[int]]) -> None:
        """At the first wanted record of each partition, where it is not held."""
        mine = consumer.assignment()
        news = [TopicPartition(FRAMES_TOPIC, p) for p in wanted if TopicPartition(FRAMES_TOPIC, p) not in mine]
        if news:
            consumer.assign([*mine, *news])
        for partition, offsets in wanted.items():
            place, held = TopicPartition(FRAMES_TOPIC, partition), self._ahead.setdefault(partition, {})
            if offsets[0] not in held and (place in news or consumer.position(place) != offsets[0]):
                begin = consumer.beginning_offsets([place])[place]
                consumer.seek(place, max(begin, offsets[0]))
                held.clear()
            consumer.resume(place)

    def _passed(self, consumer: KafkaConsumer, partition: int, offset: int) -> bool:
        return bool(consumer.position(TopicPartition(FRAMES_TOPIC, partition)) > offset)

    def _pause(self, consumer: KafkaConsumer, wanted: Mapping[int, Sequence[int]]) -> None:
        for partition, held in self._ahead.items():
            last = wanted[partition][-1] if partition in wanted else -1
            if sum(offset > last for offset in held) > AHEAD_MAX:
                consumer.pause(TopicPartition(FRAMES_TOPIC, partition))
