"""Bodies in a compacted topic, keyed by their sha, with what each is of as a header.

Where each is stands in memory, the bodies do not: they are read when somebody asks.
"""

import threading

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from sincewhen.log.kafka import ACK_S_MAX, asking, new_consumer
from sincewhen_schemas.kafka import KafkaSettings

_ABOUT = "about"
_POLL_MS = 500


class KafkaBodies:
    """Thread-safe."""

    def __init__(self, kafka: KafkaSettings, producer: KafkaProducer, topic: str) -> None:
        self._kafka, self._producer, self._topic = kafka, producer, topic
        self._lock = threading.Lock()
        self._places: dict[str, tuple[TopicPartition, int, bytes]] = {}  # of each sha: where, what it is of
        self._reader: KafkaConsumer | None = None  # of the index
        self._fetcher: KafkaConsumer | None = None  # of one body

    def put(self, sha: str, about: bytes, value: bytes, /) -> None:
        with asking(self._kafka, self._topic, "Write"):
            self._producer.send(self._topic, value, sha.encode(), headers=[(_ABOUT, about)]).get(ACK_S_MAX)

    def get(self, sha: str, /) -> bytes:
        with self._lock, asking(self._kafka, self._topic, "Read"):
            if sha not in self._places:
                self._look()
            place, offset, _ = self._places[sha]
            self._fetcher = self._fetcher or new_consumer(self._kafka)
            self._fetcher.assign([place])
            self._fetcher.seek(place, offset)
            while True:
                for item in self._fetcher.poll(_POLL_MS, 1).get(place, []):
                    if item.key.decode() == sha:
                        return bytes(item.value)
                    self._look()  # put again since, and compacted
                    place, offset, _ = self._places[sha]
                    self._fetcher.assign([place])
                    self._fetcher.seek(place, offset)

    def listed(self) -> dict[str, bytes]:
        with self._lock, asking(self._kafka, self._topic, "Read"):
            self._look()
            return {sha: about for sha, (_, _, about) in sorted(self._places.items())}

    def close(self) -> None:
        for consumer in (self._reader, self._fetcher):
            if consumer is not None:
                consumer.close()

    def _look(self) -> None:
        """Read on to the end."""
        if self._reader is None:
            self._reader = new_consumer(self._kafka)
            partitions = self._reader.partitions_for_topic(self._topic) or {0}
            self._reader.assign([TopicPartition(self._topic, partition) for partition in sorted(partitions)])
            self._reader.seek_to_beginning(*self._reader.assignment())
        ends = self._reader.end_offsets(list(self._reader.assignment()))
        while any(self._reader.position(place) < end for place, end in ends.items()):
            for place, items in self._reader.poll(_POLL_MS).items():
                for item in items:
                    self._places[item.key.decode()] = place, item.offset, dict(item.headers).get(_ABOUT, b"")
