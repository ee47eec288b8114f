"""What every log promises."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from sincewhen.log.kafka import KafkaLog, KafkaStates, new_producer
from sincewhen.log.kafka_admin import Cluster
from sincewhen.log.log import Log
from sincewhen.log.memory import MemoryLog
from sincewhen.log.sqlite import SqliteLog
from sincewhen_testing.kafka import Kafka

LOGS = ["memory", "sqlite", "kafka"]


def kafka_log(kafka: Kafka) -> KafkaLog:
    settings, topic = kafka.settings(), f"log-{uuid4().hex}"
    with Cluster(settings) as cluster:
        cluster.create(topic, 1, 1, {"message.timestamp.type": "LogAppendTime"})
        cluster.create(f"{topic}-states", 1, 1, {"cleanup.policy": "compact"})
    producer = new_producer(settings)
    return KafkaLog(settings, producer, topic, 0, KafkaStates(settings, producer, topic, f"{topic}-states"))


@pytest.fixture(params=LOGS)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    if request.param == "kafka":
        made = kafka_log(request.getfixturevalue("kafka"))
        yield made
        made.close()
        made.producer.close()
    else:
        yield MemoryLog() if request.param == "memory" else SqliteLog(tmp_path / "log.db")


def test_records_come_back_in_the_order_in_which_they_were_appended(log: Log) -> None:
    first = log.end()
    assert log.append([("a", b"1"), ("b", b"2")], 10) == first
    assert log.append([("a", b"3")], 20) == first + 2
    found = log.read(first, 10)
    assert [(r.offset - first, r.key, r.value) for r in found] == [(0, "a", b"1"), (1, "b", b"2"), (2, "a", b"3")]
    assert found[0].appended_at_ns == found[1].appended_at_ns <= found[2].appended_at_ns
    assert [r.offset for r in log.read(first + 1, 1)] == [first + 1]
    assert log.read(first + 3, 10) == []
    assert log.end() == first + 3


def test_a_new_log_starts_at_its_first_offset(log: Log) -> None:
    assert log.snapshot().next_offset == log.end()
    assert log.snapshot().states == {}


def test_a_barrier_keeps_the_states_that_did_not_change(log: Log) -> None:
    first = log.snapshot().next_offset
    log.barrier(first + 5, {"a": b"x", "b": b"y"})
    log.barrier(first + 7, {"a": b"z"})
    assert log.snapshot().next_offset == first + 7
    assert log.snapshot().states == {"a": b"z", "b": b"y"}


def test_what_sqlite_acknowledged_is_there_after_it_is_opened_again(tmp_path: Path) -> None:
    first = SqliteLog(tmp_path / "log.db")
    first.append([("a", b"1")], 10)
    first.barrier(2, {"a": b"x"})
    again = SqliteLog(tmp_path / "log.db")  # the first was never closed, as after kill -9
    assert again.read(1, 9)[0].value == b"1"
    assert again.snapshot().states == {"a": b"x"}
    first.close()
    again.close()


def test_trim_never_deletes_what_is_not_applied_and_offsets_are_not_reused(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.append([("a", b"1"), ("a", b"2")], 10)
    log.barrier(2, {})
    assert log.trim(100) == 1
    assert [r.offset for r in log.read(1, 9)] == [2]
    log.barrier(3, {})
    assert log.trim(100) == 1
    assert log.append([("a", b"3")], 20) == 3
    log.close()
