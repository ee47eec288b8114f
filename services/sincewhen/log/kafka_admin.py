"""A Kafka cluster as who manages it sees it: topics, their settings, what users may do. By kafka-python's admin client.

Every failure is KafkaUnavailable, in words that say what to do; nothing is tried again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import kafka.errors as errors  # noqa: PLR0402 - a name of its own beside the package's
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.net.compat import KafkaNetClient

from sincewhen.log.cards import Found
from sincewhen.log.rights import Right
from sincewhen_schemas.kafka import KafkaSettings
from sincewhen_schemas.kafka_problem import not_allowed, not_served, problem_of

_BOOTSTRAP_MS, _REQUEST_MS, _CREATE_MS = 10_000, 30_000, 60_000


class KafkaUnavailable(Exception):  # noqa: N818 - the unwell world, or rights that are missing
    """The cluster does not do what it is asked."""


class Cluster:
    """Use as a context. Raises KafkaUnavailable, also from every method."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        clients: list[KafkaNetClient] = []

        def kept(**given: object) -> KafkaNetClient:
            clients.append(KafkaNetClient(**given))
            return clients[-1]

        limits = {"bootstrap_timeout_ms": _BOOTSTRAP_MS, "request_timeout_ms": _REQUEST_MS}
        try:
            self._admin = KafkaAdminClient(**kafka.client_options(), **limits, kafka_client=kept)
        except errors.KafkaTimeoutError as error:
            for client in clients:  # an admin client that was not made keeps its sockets open, and the reason to itself
                client.close()
            raise KafkaUnavailable(not_served(kafka)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._admin.close()

    def brokers(self) -> int:
        with self._asking("cluster", "Describe"):
            return len(self._admin.describe_cluster()["brokers"])

    def topic(self, name: str) -> Found | None:
        """None where there is none."""
        with self._asking(name, "Describe"):
            (about,) = self._admin.describe_topics([name])
            error = errors.for_code(about["error_code"])
            if error is errors.UnknownTopicOrPartitionError:
                return None
            if error is not errors.NoError:
                raise error
            resource = ConfigResource(ConfigResourceType.TOPIC, name)
            told = self._admin.describe_configs([resource], config_filter="all")["topic"][name]
        partitions = about["partitions"]
        replicas = min(len(partition["replica_nodes"]) for partition in partitions)
        return Found(len(partitions), replicas, {key: str(value["value"]) for key, value in told.items()})

    def topic_id(self, name: str) -> str:
        """The incarnation of a topic: another one where it was deleted and made again."""
        with self._asking(name, "Read"):
            (about,) = self._admin.describe_topics([name])
            error = errors.for_code(about["error_code"])
            if error is not errors.NoError:
                raise error
        return str(about["topic_id"])

    def create(self, name: str, partitions: int, replicas: int, settings: Mapping[str, str]) -> None:
        with self._asking(name, "Create"):
            asked = {"num_partitions": partitions, "replication_factor": replicas, "configs": dict(settings)}
            self._admin.create_topics({name: asked})
            self._admin.wait_for_topics([name], timeout_ms=_CREATE_MS)

    def change(self, name: str, settings: Mapping[str, str]) -> None:
        with self._asking(name, "AlterConfigs"):
            self._admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, dict(settings))])

    def rights(self, user: str) -> set[Right]:
        """What a user may do, as far as rules name that user."""
        anything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        asked = ACLFilter(f"User:{user}", None, ACLOperation.ANY, ACLPermissionType.ALLOW, anything)
        with self._asking("cluster", "Describe"):
            found, error = self._admin.describe_acls(asked)
            if error is not errors.NoError:
                raise error
        return {_right(rule.resource_pattern, rule.operation) for rule in found}

    def allow(self, user: str, rights: Iterable[Right]) -> None:
        with self._asking("cluster", "Alter"):
            made = self._admin.create_acls(
                [
                    ACL(
                        f"User:{user}",
                        "*",
                        ACLOperation[right.operation],
                        ACLPermissionType.ALLOW,
                        ResourcePattern(ResourceType[right.kind.upper()], right.name),
                    )
                    for right in rights
                ]
            )
            if made["failed"]:
                raise made["failed"][0]

    def missing(self, rights: Collection[Right]) -> str:
        """Of these, in words, what this user may not do, by whatever rules; "" where it may do all."""
        topics = sorted({right.name for right in rights if right.kind == "topic"})
        may: dict[tuple[str, str], Collection[str] | None] = {}  # None: nobody knows
        with self._asking("", "Describe"):
            for about in self._admin.describe_topics(topics):
                if errors.for_code(about["error_code"]) is errors.UnknownTopicOrPartitionError:
                    return problem_of(errors.UnknownTopicOrPartitionError(), self._kafka, about["name"])
                refused = errors.for_code(about["error_code"]) is errors.TopicAuthorizationFailedError
                may["topic", about["name"]] = () if refused else about["authorized_operations"]
            for group in {right.name for right in rights if right.kind == "group"}:
                may["group", group] = self._may_with(group)
        asked = [(right, may[right.kind, right.name]) for right in sorted(rights)]
        lacking = [str(right) for right, known in asked if known is not None and right.operation not in known]
        return not_allowed(self._kafka, ", ".join(lacking)) if lacking else ""

    def _may_with(self, group: str) -> Collection[str] | None:
        try:
            may: Collection[str] | None = self._admin.describe_groups([group])[group]["authorized_operations"]
        except errors.GroupAuthorizationFailedError:
            return ()
        except errors.CoordinatorNotAvailableError:  # a broker that is new knows of no group
            return None
        return may

    @contextmanager
    def _asking(self, topic: str, operation: str) -> Iterator[None]:
        try:
            yield
        except errors.SecurityDisabledError as error:
            raise KafkaUnavailable(
                "the broker keeps no access rules, so everybody may do everything; got --agent or --service: set "
                "its authorizer.class.name, or leave them out"
            ) from error
        except errors.KafkaError as error:
            raise KafkaUnavailable(problem_of(error, self._kafka, topic, operation)) from error


def _right(pattern: ResourcePattern, operation: ACLOperation) -> Right:
    prefixed = pattern.pattern_type is ACLResourcePatternType.PREFIXED
    kind, name = pattern.resource_type.name.lower(), pattern.resource_name
    return Right(kind, name, operation.name, "prefixed" if prefixed else "literal")
