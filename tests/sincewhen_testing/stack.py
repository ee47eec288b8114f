"""The distributed product on this machine, and what tests ask it."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from sincewhen.log.kafka import KafkaStates, new_consumer, new_producer
from sincewhen.log.kafka_bodies import KafkaBodies
from sincewhen.log.rights import CORRELATORS, PROCESSORS, WRITERS
from sincewhen.processor.app import BARRIER_S
from sincewhen.processor.kept import KeptProfiles
from sincewhen.stack.broker import Broker, Ports
from sincewhen.stack.ports import free_port
from sincewhen.stack.stack import Stack
from sincewhen.store import read
from sincewhen.store.connect import Connection, Server
from sincewhen_schemas.messages import Incident
from sincewhen_testing import needs
from sincewhen_testing.kafka import SERVICE, Kafka
from sincewhen_testing.server import Api

_SETTLE_S = 120.0
_TOPICS = ("frames", "scores", "findings", "detections", "incidents")
READ = {
    PROCESSORS: ("frames",),
    CORRELATORS: ("findings",),
    WRITERS: ("scores", "findings", "detections", "incidents"),
}


class StackUnderTest(Stack, Api):
    """mutant: what the processors lack (mutants.py). secure: a broker that all reach by TLS, as SERVICE."""

    def __init__(
        self, folder: Path, processors: int = 2, options: str = "", mutant: str = "", secure: Kafka | None = None
    ) -> None:
        needs.kafka()
        self._mutant = mutant
        broker = secure or Broker(folder / "broker", Ports(free_port(), free_port()))
        kafka = secure.settings(SERVICE) if secure else None
        super().__init__(folder, broker, processors=processors, options=options, kafka=kafka)
        if mutant:
            self.environment = {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}

    def __enter__(self) -> Self:
        super().__enter__()
        self.producer: KafkaProducer = new_producer(self.settings)
        self.profiles = KeptProfiles(KafkaBodies(self.settings, self.producer, "profiles"))
        self._asked = {group: new_consumer(self.settings, group_id=group) for group in READ}
        return self

    def stop(self) -> None:
        if hasattr(self, "producer"):
            for client in (self.producer, *self._asked.values()):
                client.close()
        super().stop()

    def program(self, name: str) -> list[str]:
        mutated = self._mutant and name.startswith("processor-")
        return ["sincewhen_testing.mutants", self._mutant] if mutated else super().program(name)

    @property
    def way(self) -> list[str]:
        return ["--kafka", str(self.config)]

    def applied(self) -> None:
        self.settled()

    def send(self, records: Iterable[tuple[str, bytes]]) -> None:
        """Records of stations, each to the partition of its key, acknowledged."""
        for future in [self.producer.send("frames", value, key.encode()) for key, value in records]:
            future.get(60)

    def frames(self) -> int:
        """That the store has."""
        return int(self.connection().rows("SELECT count() AS n FROM frames FINAL")[0]["n"])

    def incidents(self) -> dict[str, Incident]:
        return {item.incident_id: item for item in read.incidents(self.connection())}

    def connection(self) -> Connection:
        token = (self.folder / "store" / "token").read_text().strip()
        return Connection(Server(self.store_url, token=token))

    def settled(self) -> None:
        """Wait until all is applied and stored: a worker that has just come back has read nothing again yet."""
        self.barrier(_SETTLE_S)
        self.caught_up()

    def caught_up(self) -> None:
        """Wait until every group has read all that its topics have, and nothing more comes."""
        quiet, seen = 0, -1
        deadline = time.monotonic() + _SETTLE_S
        while quiet < 5:
            assert time.monotonic() < deadline, f"the stack did not settle: {self._lag()} behind, {self.ended()} ended"
            lag = self._lag()
            total = sum(self.ends(*_TOPICS).values())
            quiet, seen = (quiet + 1 if lag == 0 and total == seen else 0), total
            time.sleep(0.3)

    def forget(self) -> None:
        """Delete from `frames` what is read, a barrier later: as its retention does in a week."""
        ends = self.ends("frames")
        self.barrier()
        admin = KafkaAdminClient(**self.settings.client_options())
        admin.delete_records({place: end for place, end in ends.items() if end})
        admin.close()

    def barrier(self, within_s: float = BARRIER_S + 5) -> None:
        """Wait until processors have stored all that `frames` has now; in vain where none is ever stored."""
        ends = self.ends("frames")
        states = KafkaStates(self.settings, self.producer, "frames", "state")
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            known = states.load([place.partition for place in ends])
            if all(known[place.partition].next_offset >= end for place, end in ends.items()):
                return
            time.sleep(0.2)

    def reached(self, wanted: dict[TopicPartition, int]) -> bool:
        """Whether the processors have read up to these offsets of `frames`."""
        return all(self._read(PROCESSORS, place) >= end for place, end in wanted.items())

    def read_up_to(self, wanted: dict[TopicPartition, int]) -> None:
        deadline = time.monotonic() + _SETTLE_S
        while not self.reached(wanted):
            assert time.monotonic() < deadline, f"{self.ended()} ended"
            time.sleep(0.1)

    def ends(self, *topics: str) -> dict[TopicPartition, int]:
        """The offset behind the newest record of every partition."""
        asked = self._asked[PROCESSORS]
        places = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in sorted(asked.partitions_for_topic(topic) or ())
        ]
        found: dict[TopicPartition, int] = asked.end_offsets(places)
        return found

    def _lag(self) -> int:
        """Records that some group has not read, or not settled."""
        ends = self.ends(*_TOPICS)
        return sum(
            end - self._read(group, place)
            for group, topics in READ.items()
            for place, end in ends.items()
            if place.topic in topics
        )

    def _read(self, group: str, place: TopicPartition) -> int:
        return int(self._asked[group].committed(place) or 0)
