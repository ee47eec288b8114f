"""The edge agent and a real Kafka broker: through kills, wrong passwords, certificates and rights nothing is lost.

What HTTP and Kafka promise alike is in contracts/test_publisher_contract.py; a paused broker too.
"""

import csv
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kafka.errors as errors  # noqa: PLR0402 - a name of its own beside the package's
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import (
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from sincewhen.ingest.decode import decode
from sincewhen.log.cards import cards
from sincewhen.log.kafka_admin import Cluster
from sincewhen.log.rights import AGENT, rights_of
from sincewhen_edge.publish import publisher as publishing
from sincewhen_edge.publish.kafka import KafkaWay
from sincewhen_edge.publish.publisher import Publisher
from sincewhen_edge.spool import Spool
from sincewhen_schemas.frames import Frames
from sincewhen_schemas.kafka import KafkaSettings
from sincewhen_testing.edge import iso
from sincewhen_testing.kafka import Kafka
from sincewhen_testing.spooled import UNTIL_S, first_copies, put, until

ANSWER_S = 8.0
ROWS, KILLS, RATE = 6000, 5, 300  # 20 s of a line: it is killed before it ends
START_S = 1_760_000_000
RUN_S = 200.0


@pytest.fixture
def started(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[KafkaSettings], Publisher]]:
    """Starts publishers, and ends them."""
    monkeypatch.setattr(publishing, "PAUSE_S_MAX", 1.0)
    made: list[Publisher] = []

    def start(kafka: KafkaSettings) -> Publisher:
        made.append(Publisher(spool, lambda: KafkaWay(kafka, "pc", ANSWER_S)))
        made[-1].start()
        return made[-1]

    yield start
    for publisher in made:
        publisher.stop(20)


@pytest.fixture
def topics(kafka: Kafka) -> Iterator[Kafka]:
    """Every topic of the cards that an agent or a test of its rights needs; no access rules."""
    everything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    kafka.has_frames()
    with Cluster(kafka.settings()) as cluster:
        for card in cards():
            if card.name in {"evidence", "evidence-requests", "state"} and cluster.topic(card.name) is None:
                cluster.create(card.name, card.partitions, 1, card.settings(1))
    admin = KafkaAdminClient(bootstrap_servers=kafka.servers)
    yield kafka
    admin.delete_acls([ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, everything)])
    admin.close()


def until_told(publisher: Publisher, problem: str) -> None:
    until(lambda: problem in publisher.problem)


def until_more(broker: Kafka, station: str, records: int) -> None:
    until(lambda: len(broker.frames_of(station)) > records)


def test_a_broker_that_is_killed_while_records_are_on_their_way_loses_none_and_keeps_their_order(
    topics: Kafka, spool: Spool, station: str, started: Callable[[KafkaSettings], Publisher]
) -> None:
    sent: list[bytes] = []

    def capture() -> None:
        for first in range(0, 600, 3):
            sent.extend(put(spool, station, range(first, first + 3)))
            time.sleep(0.02)

    publisher = started(topics.settings())
    line = threading.Thread(target=capture)
    line.start()
    until(lambda: len(sent) > 100 and spool.depth().records < len(sent))
    topics.kill()
    until(lambda: publisher.problem)
    topics.start()
    line.join()
    assert publisher.drain(UNTIL_S)
    assert publisher.problem == ""
    assert first_copies(topics.frames_of(station)) == sent


def test_an_agent_that_is_killed_again_and_again_loses_no_row_and_keeps_their_order(
    topics: Kafka, station: str, tmp_path: Path
) -> None:
    seed = int(os.environ.get("SEED", "7"))
    print(f"seed {seed}")
    rows, settings = tmp_path / "rows.csv", tmp_path / "kafka.toml"
    settings.write_text(f'[kafka]\nservers = "{topics.servers}"\nsecurity = "plaintext"\n')
    with rows.open("w", newline="") as file:
        csv.writer(file).writerows([["at", "row"], *([iso(START_S + row), row] for row in range(ROWS))])
    command = [sys.executable, "-m", "sincewhen_edge", "signals", str(rows), "--time", "at", "--station", station]
    command += ["--kafka", str(settings), "--spool", str(tmp_path / "spool.db")]
    environment = {name: value for name, value in os.environ.items() if name != "SINCEWHEN_SERVER"}
    chance = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(KILLS):
        seen = len(topics.frames_of(station))
        process = subprocess.Popen([*command, "--rate", str(RATE)], env=environment, stderr=subprocess.DEVNULL)
        try:
            until_more(topics, station, seen)
            time.sleep(chance.random())
            assert process.poll() is None
        finally:
            process.kill()
            process.wait()
    ran = subprocess.run([*command, "--fast"], env=environment, capture_output=True, timeout=RUN_S, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    values = topics.frames_of(station)
    found: list[float] = []
    for value in first_copies(values):
        frames = decode(station, value, time.time_ns(), lambda _: True)
        if isinstance(frames, Frames):
            found += [float(row) for row in frames.signals["row"]]
    print(f"{len(values)} records, {len(values) - len(set(values))} of them a second time")
    assert found == [float(row) for row in range(ROWS)]


def test_a_user_that_is_not_known_or_may_not_write_is_told_and_sending_goes_on_once_it_may(
    topics: Kafka, spool: Spool, station: str, started: Callable[[KafkaSettings], Publisher]
) -> None:
    user = f"line-{uuid.uuid4().hex}"
    sent = put(spool, station, range(40))
    publisher = started(topics.settings(user, password="right"))  # noqa: S106 - no secret
    until_told(publisher, f"does not let kafka.user '{user}' in with SCRAM-SHA-512: correct user")
    admin = KafkaAdminClient(bootstrap_servers=topics.servers)
    for password, problem in (
        ("other", "does not let kafka.user"),
        ("right", f"User:{user} may not Write topic frames"),
    ):
        credential = UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, password)
        admin.alter_user_scram_credentials([credential])
        until_told(publisher, problem)
    admin.close()
    assert spool.depth().records == len(sent)
    with Cluster(topics.settings()) as cluster:
        cluster.allow(user, rights_of(AGENT, cards()))
    assert publisher.drain(UNTIL_S)
    assert topics.frames_of(station) == sent
    assert publisher.refused == 0


def test_a_broker_whose_certificate_is_not_right_is_told_and_sending_goes_on_once_it_is(
    topics: Kafka, spool: Spool, station: str, started: Callable[[KafkaSettings], Publisher]
) -> None:
    with Cluster(topics.settings()) as cluster:
        cluster.allow("agent", rights_of(AGENT, cards()))
    publisher = started(topics.settings("agent"))
    sent = put(spool, station, range(3))
    assert publisher.drain(UNTIL_S)
    expired = topics.authority.broker(uuid.uuid4().hex, days=(-3, -1))
    elsewhere = topics.authority.broker(uuid.uuid4().hex, names="DNS:elsewhere.example")
    for certificate, problem in ((expired, "has expired: renew it"), (elsewhere, "is not for a name in kafka.servers")):
        topics.restart(certificate)
        sent += put(spool, station, range(len(sent), len(sent) + 3))
        until_told(publisher, problem)
    topics.restart()
    assert publisher.drain(UNTIL_S)
    assert first_copies(topics.frames_of(station)) == sent


def test_a_broker_that_takes_the_connection_and_is_silent_is_told_in_time(
    topics: Kafka, spool: Spool, station: str, started: Callable[[KafkaSettings], Publisher]
) -> None:
    put(spool, station, range(3))
    topics.pause()
    try:
        publisher = started(topics.settings("agent"))
        until_told(publisher, "no answer from")
        since = time.monotonic()
        publisher.stop(10)
        assert time.monotonic() - since < 8
    finally:
        topics.resume()
    assert spool.depth().records == 3


def test_a_topic_that_is_missing_or_takes_less_is_told_and_nothing_is_lost(
    topics: Kafka, spool: Spool, station: str, started: Callable[[KafkaSettings], Publisher]
) -> None:
    admin = KafkaAdminClient(bootstrap_servers=topics.servers)
    admin.delete_topics(["frames"])
    admin.close()
    publisher = started(topics.settings())
    sent = put(spool, station, range(30), 20_000)
    until_told(publisher, "shows no topic frames: make it with sincewhen topics apply")
    with Cluster(topics.settings()) as cluster:
        (card,) = (card for card in cards() if card.name == "frames")
        cluster.create("frames", card.partitions, 1, {**card.settings(1), "max.message.bytes": "100000"})
        assert publisher.drain(UNTIL_S)  # in parts that fit
        giant = put(spool, station, range(30, 31), 200_000)
        sent += put(spool, station, range(31, 35), 20_000)
        assert publisher.drain(UNTIL_S)
        assert [
            value for value, reason in spool.refused() if "its max.message.bytes is below the card's" in reason
        ] == giant
        cluster.change("frames", card.settings(1))
    assert first_copies(topics.frames_of(station)) == sent


def test_an_agents_user_may_write_frames_and_evidence_read_requests_and_do_nothing_else(topics: Kafka) -> None:
    with Cluster(topics.settings()) as cluster:
        cluster.allow("agent", rights_of(AGENT, cards()))
    options = topics.settings("agent").client_options()
    producer = KafkaProducer(**options, enable_idempotence=False, max_block_ms=10_000)
    for topic in ("frames", "evidence"):
        producer.send(topic, b"x", key=b"k").get(10)
    for topic in ("state", "evidence-requests"):
        with pytest.raises(errors.TopicAuthorizationFailedError):
            producer.send(topic, b"x", key=b"k").get(10)
    producer.close()
    read_once(options, "evidence-requests")
    with pytest.raises(errors.TopicAuthorizationFailedError):
        read_once(options, "frames")


def read_once(options: dict[str, Any], topic: str) -> None:
    consumer = KafkaConsumer(**options, group_id=None)
    try:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek_to_beginning()
        consumer.poll(timeout_ms=5000)
    finally:
        consumer.close()
