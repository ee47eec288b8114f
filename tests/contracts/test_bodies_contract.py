"""What every keeper of bodies promises."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from sincewhen.log.bodies import Bodies, MemoryBodies, SqliteBodies
from sincewhen.log.kafka import new_producer
from sincewhen.log.kafka_admin import Cluster
from sincewhen.log.kafka_bodies import KafkaBodies
from sincewhen_testing.kafka import Kafka


@pytest.fixture(params=["memory", "sqlite", "kafka"])
def bodies(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bodies]:
    if request.param == "kafka":
        kafka: Kafka = request.getfixturevalue("kafka")
        settings, topic = kafka.settings(), f"bodies-{uuid4().hex}"
        with Cluster(settings) as cluster:
            cluster.create(topic, 3, 1, {"cleanup.policy": "compact"})
        producer = new_producer(settings)
        made = KafkaBodies(settings, producer, topic)
        yield made
        made.close()
        producer.close()
    else:
        yield MemoryBodies() if request.param == "memory" else SqliteBodies(tmp_path / "bodies.db", "profiles")


def test_a_body_is_found_under_its_address_with_what_it_is_of(bodies: Bodies) -> None:
    bodies.put("b", b"of b", b"2")
    bodies.put("a", b"of a", b"1")
    assert (bodies.get("a"), bodies.get("b")) == (b"1", b"2")
    assert list(bodies.listed().items()) == [("a", b"of a"), ("b", b"of b")]


def test_what_a_body_is_of_may_change(bodies: Bodies) -> None:
    bodies.put("a", b"older", b"1")
    bodies.put("a", b"newer", b"1")
    assert bodies.listed() == {"a": b"newer"}


def test_an_address_that_nobody_kept_is_told(bodies: Bodies) -> None:
    with pytest.raises(KeyError):
        bodies.get("a")


def test_what_sqlite_kept_is_there_after_it_is_opened_again_and_kinds_do_not_meet(tmp_path: Path) -> None:
    first = SqliteBodies(tmp_path / "bodies.db", "profiles")
    first.put("a", b"", b"1")
    again = SqliteBodies(tmp_path / "bodies.db", "profiles")  # the first was never closed, as after kill -9
    assert again.get("a") == b"1"
    assert SqliteBodies(tmp_path / "bodies.db", "reference_sets").listed() == {}
