"""Messages on their way to Kafka.

Invariants
- What is put for one partition is sent in its order.
- `put` never waits for an acknowledgement; `settle` waits for all. Where one was not taken, `settle` says so, now and
  at every later call: what was sent is in doubt, and the process starts again from its snapshot.
"""

from functools import lru_cache

from kafka import KafkaProducer
from kafka.partitioner.default import murmur2

from sincewhen.log.kafka import ACK_S_MAX, asking
from sincewhen.log.log import LogUnavailable
from sincewhen_schemas.kafka import KafkaSettings
from sincewhen_schemas.kafka_problem import problem_of


@lru_cache(maxsize=4096)
def partition_of(key: str, partitions: int) -> int:
    """As every Kafka client's default partitioner does."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions


class KafkaOutlet:
    def __init__(self, kafka: KafkaSettings, producer: KafkaProducer) -> None:
        self._kafka, self._producer = kafka, producer
        self._partitions: dict[str, int] = {}  # of each topic
        self._failure: tuple[str, BaseException] | None = None

    def put(
        self,
        topic: str,
        key: str,
        value: bytes,
        *,
        partition: int | None = None,
        beside: str = "",
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        """Send a record by its key, to `partition`, or to where the key `beside` goes. Raises LogUnavailable."""

        def failed(error: BaseException) -> None:
            self._failure = self._failure or (topic, error)

        with asking(self._kafka, topic, "Write"):
            if topic not in self._partitions:
                self._partitions[topic] = len(self._producer.partitions_for(topic))
            place = partition_of(beside or key, self._partitions[topic]) if partition is None else partition
            self._producer.send(topic, value, key.encode(), headers=headers, partition=place).add_errback(failed)

    def settle(self) -> None:
        """Wait until all that was put is acknowledged. Raises LogUnavailable."""
        with asking(self._kafka, "", "Write"):
            self._producer.flush(ACK_S_MAX)
        if self._failure is not None:
            topic, error = self._failure
            raise LogUnavailable(problem_of(error, self._kafka, topic, "Write")) from error
