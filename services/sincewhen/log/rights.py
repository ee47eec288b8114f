"""What each process may do at the broker: what the topics' cards and its consumer group ask for, and no more."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from sincewhen.log.cards import TopicCard

AGENT = "edge agent"
SERVICES = ("processor", "correlator", "writer", "console", "gateway")
PROCESSORS, CORRELATORS, WRITERS = (f"sincewhen-{name}" for name in SERVICES[:3])  # consumer groups
_GROUPS = (
    ("processor", PROCESSORS, "READ"),
    ("correlator", CORRELATORS, "READ"),
    ("writer", WRITERS, "READ"),
    ("console", PROCESSORS, "DESCRIBE"),  # how far they are: who is behind does not know who is silent
)


class Right(NamedTuple):
    kind: str  # topic, group; of rules that somebody else made also cluster, ...
    name: str
    operation: str  # READ, WRITE, DESCRIBE, ...
    pattern: Literal["literal", "prefixed"] = "literal"

    def __str__(self) -> str:
        name = f"{self.name}..." if self.pattern == "prefixed" else self.name
        return f"{self._operation} {self.kind} {name}"

    @property
    def acls_options(self) -> str:
        """As kafka-acls wants it named."""
        resource = "--cluster" if self.kind == "cluster" else f"--{self.kind.replace('_', '-')} '{self.name}'"
        return f"--operation {self._operation} {resource} --resource-pattern-type {self.pattern}"

    @property
    def _operation(self) -> str:
        """As Kafka writes it."""
        return "".join(part.capitalize() for part in self.operation.split("_"))


def rights_of(who: str, all_cards: Sequence[TopicCard]) -> set[Right]:
    """All that AGENT, or one of SERVICES, needs."""
    writes = {Right("topic", card.name, "WRITE") for card in all_cards if who in card.written_by}
    reads = {Right("topic", card.name, "READ") for card in all_cards if who in card.read_by}
    return writes | reads | {Right("group", group, operation) for name, group, operation in _GROUPS if name == who}
