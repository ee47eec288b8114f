"""What each topic is to be: its card (schemas/topics), the broker's settings that follow, and what differs at a broker.

Rules: what loses nothing is changed; what would lose records, or move keys to other partitions, is told and left.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import yaml

DAY_MS = 24 * 60 * 60 * 1000
_COMPACT_SEGMENT_BYTES, _COMPACT_MS = 64 * 1024 * 1024, 10 * 60 * 1000
_FLOORS = {"max.message.bytes", "min.insync.replicas"}  # the broker's may be higher


class TopicCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    holds: str
    value: str
    key: str
    partitions: int
    cleanup: Literal["delete", "compact"]
    retention_days: int | None
    message_bytes_max: int  # of one batch of records
    timestamp: Literal["create", "append"]  # whose clock: the sender's, or the broker's when it appends
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]
    order: str

    def settings(self, replicas: int) -> dict[str, str]:
        """What the broker is told, by its names for it."""
        told: dict[str, object] = {
            "cleanup.policy": self.cleanup,
            "max.message.bytes": self.message_bytes_max,
            "message.timestamp.type": "LogAppendTime" if self.timestamp == "append" else "CreateTime",
            "min.insync.replicas": max(1, replicas - 1),  # one broker may be away, and nothing is lost with another
        }
        if self.cleanup == "compact":  # read to its end at a start, so it is kept short
            told |= {"segment.bytes": _COMPACT_SEGMENT_BYTES, "segment.ms": _COMPACT_MS}
            told["max.compaction.lag.ms"] = _COMPACT_MS
        if self.retention_days is not None:
            told["retention.ms"] = self.retention_days * DAY_MS
        return {name: str(value) for name, value in told.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """A topic at the broker."""

    partitions: int
    replicas: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done about one topic, and what is left as it is: a line each, with the way out."""

    create: bool
    change: Mapping[str, str]
    differences: tuple[str, ...] = ()


def cards() -> list[TopicCard]:
    """From the checkout or the installed distribution, by name."""
    here = Path(__file__).resolve().parents[1] / "topics"
    folder = here if here.exists() else Path(__file__).resolve().parents[3] / "schemas" / "topics"
    return [msgspec.convert(yaml.safe_load(path.read_text()), TopicCard) for path in sorted(folder.glob("*.yaml"))]


def planned(card: TopicCard, replicas: int, found: Found | None, *, shorten: bool) -> Plan:
    """`shorten`: records that are older than the card keeps may be deleted."""
    wanted = card.settings(replicas)
    if found is None:
        return Plan(create=True, change=wanted)
    change: dict[str, str] = {}
    differences = [*_partitions(card, found), *_replicas(card, replicas, found)]
    for name, value in wanted.items():
        has = found.settings.get(name, "")
        if has == value or (name in _FLOORS and has.isdigit() and int(has) > int(value)):
            continue
        way_out = _loses(name, has, value)
        if way_out and not (shorten and name == "retention.ms"):
            differences.append(_line(card, name, has, value, way_out))
        else:
            change[name] = value
    return Plan(create=False, change=change, differences=tuple(differences))


def _loses(name: str, has: str, value: str) -> str:
    """The way out where the change would lose records."""
    if name == "cleanup.policy":
        return "either way records go: keep what it holds elsewhere, delete the topic and apply again, or mend the card"
    if name == "retention.ms" and _ms(value) < _ms(has):
        return "--shorten-retention deletes what is older, or mend the card"
    return ""


def _ms(value: str) -> float:
    return math.inf if value in {"-1", ""} else float(value)


def _partitions(card: TopicCard, found: Found) -> list[str]:
    if found.partitions == card.partitions:
        return []
    way_out = "their number is for ever, for keys would move: mend the card, or delete the topic and apply again"
    return [_line(card, "partitions", found.partitions, card.partitions, way_out)]


def _replicas(card: TopicCard, replicas: int, found: Found) -> list[str]:
    if found.replicas >= replicas:
        return []
    way_out = "add them with kafka-reassign-partitions, or name fewer --replicas"
    return [_line(card, "replicas", found.replicas, replicas, way_out)]


def _line(card: TopicCard, what: str, has: object, wanted: object, way_out: str) -> str:
    return f"{card.name}: {what} is {wanted} on the card, {has} at the broker: {way_out}"
