"""A real Kafka broker for tests: a plaintext listener for everything, a TLS one for users with access rules."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from kafka.admin import (
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePatternFilter,
    ResourceType,
)

from sincewhen.log.cards import cards
from sincewhen.log.kafka import records
from sincewhen.log.kafka_admin import Cluster
from sincewhen.log.rights import Right
from sincewhen.stack.broker import Broker, Ports, Secure
from sincewhen.stack.ports import free_port
from sincewhen_schemas.kafka import FRAMES_TOPIC, KafkaSettings
from sincewhen_testing import needs
from sincewhen_testing.certificates import Authority

SERVICE = "service"
USERS = (("agent", "agent's secret"), ("other", "other's secret"), (SERVICE, "service's secret"))


class Kafka(Broker):
    """With certificates of its own `authority`."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "authority")
        self.certificate = self.authority.broker("broker")
        secure = Secure(self.certificate, self.authority.ca, USERS)
        super().__init__(folder / "broker", Ports(free_port(), free_port(), free_port()), secure)

    def settings(self, user: str = "", **fields: str) -> KafkaSettings:
        """How a user comes in by TLS; without one, everybody's plaintext listener."""
        if not user:
            return KafkaSettings(servers=self.servers, security="plaintext")
        known = {
            "servers": self.secure_servers,
            "ca_file": str(self.authority.ca),
            "password": dict(USERS).get(user, ""),
        }
        return msgspec.convert({**known, "security": "tls", "user": user, **fields}, KafkaSettings)

    def has_frames(self) -> None:
        """Make the topic frames, as its card says, where it is not there."""
        (card,) = (card for card in cards() if card.name == FRAMES_TOPIC)
        with Cluster(self.settings()) as cluster:
            if cluster.topic(card.name) is None:
                cluster.create(card.name, card.partitions, 1, card.settings(1))

    def frames_of(self, station: str) -> list[bytes]:
        """Every record of a station that the topic frames has, in order."""
        (card,) = (card for card in cards() if card.name == FRAMES_TOPIC)
        found = records(self.settings(), FRAMES_TOPIC, range(card.partitions))
        return [record.value for record in found if record.key == station]

    def forbid(self, user: str, rights: Iterable[Right]) -> None:
        """Take rights away."""
        admin = KafkaAdminClient(**self.settings().client_options())
        admin.delete_acls(
            [
                ACLFilter(
                    f"User:{user}",
                    None,
                    ACLOperation[right.operation],
                    ACLPermissionType.ANY,
                    ResourcePatternFilter(ResourceType[right.kind.upper()], right.name, ACLResourcePatternType.LITERAL),
                )
                for right in rights
            ]
        )
        admin.close()

    def restart(self, certificate: Path | None = None) -> None:
        """With another certificate; None: the right one."""
        self.stop()
        self.secure = Secure(certificate or self.certificate, self.authority.ca, USERS)
        self.start()


@contextmanager
def running_kafka(folder: Path) -> Iterator[Kafka]:
    needs.kafka()
    broker = Kafka(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
