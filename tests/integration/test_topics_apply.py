"""`sincewhen topics apply` on a real broker: again changes nothing; what would lose records is told and left."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kafka.admin import KafkaAdminClient

from sincewhen.cli.topics import topics
from sincewhen.log.cards import TopicCard, cards
from sincewhen.log.kafka_admin import Cluster
from sincewhen.log.rights import AGENT, SERVICES, Right, rights_of
from sincewhen_testing.kafka import USERS, Kafka

NAMES = [card.name for card in cards()]
STATE = next(card for card in cards() if card.name == "state")


@pytest.fixture
def cluster(kafka: Kafka) -> Iterator[Cluster]:
    """Without the cards' topics."""
    admin = KafkaAdminClient(bootstrap_servers=kafka.servers)
    there = set(admin.list_topics()) & set(NAMES)
    if there:
        admin.delete_topics(sorted(there))
    admin.close()
    with Cluster(kafka.settings()) as made:
        yield made


@pytest.fixture
def plain(kafka: Kafka, tmp_path: Path) -> Path:
    path = tmp_path / "plain.toml"
    path.write_text(f'[kafka]\nservers = "{kafka.servers}"\nsecurity = "plaintext"\n')
    return path


def applied(file: Path, *options: str, password: str = "") -> Result:
    environment = {"SINCEWHEN_KAFKA_PASSWORD": password}
    return CliRunner().invoke(topics, ["apply", "--kafka", str(file), *options], env=environment)


def topic(name: str, operation: str) -> Right:
    return Right("topic", name, operation)


def differs_not(cluster: Cluster, card: TopicCard) -> bool:
    found = cluster.topic(card.name)
    assert found
    said = {name: found.settings[name] for name in card.settings(1)}
    return found.partitions == card.partitions and said == card.settings(1)


def test_topics_are_made_as_their_cards_say_and_again_changes_nothing(cluster: Cluster, plain: Path) -> None:
    dry = applied(plain, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "frames: would be made, 64 partitions, 1 replicas" in dry.output
    assert cluster.topic("frames") is None
    first = applied(plain)
    assert first.exit_code == 0, first.output
    assert all(differs_not(cluster, card) for card in cards())
    again = applied(plain)
    assert again.exit_code == 0, again.output
    assert again.output.splitlines() == [f"{name}: as its card" for name in NAMES]
    assert STATE.settings(1)["max.compaction.lag.ms"] == STATE.settings(1)["segment.ms"] == "600000"


def test_what_loses_nothing_is_changed_and_what_would_lose_records_is_told_and_left(
    cluster: Cluster, plain: Path
) -> None:
    cluster.create("frames", 3, 1, {"retention.ms": str(10**12), "max.message.bytes": "1000000"})
    cluster.create("state", 64, 1, {"cleanup.policy": "delete", "segment.ms": "5000"})
    cluster.create("detections", 16, 1, {"retention.ms": "1000", "max.message.bytes": "9000000"})
    told = applied(plain)
    assert told.exit_code == 1
    for line in (
        "frames: max.message.bytes set to 4259840, from 1000000",
        "frames: message.timestamp.type set to LogAppendTime, from CreateTime",
        "frames: partitions is 64 on the card, 3 at the broker: their number is for ever",
        "frames: retention.ms is 604800000 on the card, 1000000000000 at the broker: --shorten-retention deletes",
        "state: cleanup.policy is compact on the card, delete at the broker: either way records go",
        "state: segment.ms set to 600000, from 5000",
        "detections: retention.ms set to 2592000000, from 1000",
    ):
        assert line in told.output
    assert "detections: max.message.bytes" not in told.output  # larger ones are no fault
    left = applied(plain, "--shorten-retention")
    assert left.exit_code == 1
    assert "frames: retention.ms set to 604800000" in left.output
    found = cluster.topic("frames")
    assert found
    assert (found.partitions, found.settings["retention.ms"]) == (3, "604800000")


def test_an_agents_user_may_write_frames_and_evidence_read_requests_and_nothing_else(
    cluster: Cluster, plain: Path
) -> None:
    wanted = {topic("frames", "WRITE"), topic("evidence", "WRITE"), topic("evidence-requests", "READ")}
    assert applied(plain, "--agent", "line7", "--dry-run").exit_code == 0
    assert cluster.rights("line7") == set()
    assert "User:line7: allowed to Write topic frames" in applied(plain, "--agent", "line7").output
    assert cluster.rights("line7") == wanted == rights_of(AGENT, cards())
    cluster.allow("line7", [topic("state", "WRITE"), Right("cluster", "kafka-cluster", "CLUSTER_ACTION")])
    told = applied(plain, "--agent", "line7")
    assert told.exit_code == 1
    assert "User:line7 may Write topic state too, which it does not need: kafka-acls --remove" in told.output
    assert "--allow-principal 'User:line7' --operation Write --topic 'state'" in told.output
    assert "--operation ClusterAction --cluster" in told.output


def test_a_services_user_may_do_what_the_cards_say_of_its_process_or_of_all_and_nothing_else(
    cluster: Cluster, plain: Path
) -> None:
    assert applied(plain, "--service", "plant", "--service", "gateway=dmz").exit_code == 0
    assert cluster.rights("dmz") == {topic("frames", "WRITE")}
    assert cluster.rights("plant") == {right for service in SERVICES for right in rights_of(service, cards())}
    assert Right("group", "sincewhen-writer", "READ") in cluster.rights("plant")
    assert applied(plain, "--agent", "dmz", "--service", "gateway=dmz").exit_code == 0  # what it needs as either
    less = applied(plain, "--service", "writer=plant")
    assert less.exit_code == 1
    assert "User:plant may Read group sincewhen-processor too" in less.output
    wrong = applied(plain, "--service", "gatway=dmz")
    assert (wrong.exit_code, "got gatway=dmz: correct the process" in wrong.output) == (2, True)


def test_who_may_not_or_cannot_is_told_what_to_do(kafka: Kafka, tmp_path: Path) -> None:
    secure = tmp_path / "secure.toml"
    head = f'[kafka]\nservers = "{kafka.secure_servers}"\nsecurity = "tls"\nuser = "other"\n'
    secure.write_text(f'{head}ca_file = "{kafka.authority.ca}"\n')
    right = dict(USERS)["other"]
    assert (
        f"User:other may not Describe topic {cards()[0].name}: name an administrator"
        in applied(secure, password=right).output
    )
    wrong = applied(secure, password="wrong")  # noqa: S106 - no secret
    assert (wrong.exit_code, "does not let kafka.user 'other' in" in wrong.output) == (1, True)
    assert "kafka.user goes with a password" in applied(secure).output
    secure.write_text(head)
    assert "name that one's file in kafka.ca_file; got none" in applied(secure, password=right).output
    secure.write_text('[kafka]\nservers = "127.0.0.1:9"\nsecurity = "plaintext"\n')
    assert "nothing listens at 127.0.0.1:9" in applied(secure).output
