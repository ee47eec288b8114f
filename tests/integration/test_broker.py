"""The broker that tests and the stack start: what it acknowledged outlives it; it says what it lacks."""

from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from sincewhen.stack.broker import Broker, BrokerUnavailable, Ports
from sincewhen_testing.kafka import Kafka

SENT_S = 20.0


def sent(kafka: Kafka, topic: str, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.servers, enable_idempotence=False)
    producer.send(topic, value).get(SENT_S)
    producer.close()


def test_what_a_broker_acknowledged_outlives_kill_9_and_it_goes_on_in_its_folder(kafka: Kafka) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka.servers)
    admin.create_topics({"kept": {"num_partitions": 1, "replication_factor": 1}})
    admin.close()
    sent(kafka, "kept", b"before")
    kafka.kill()
    kafka.start()
    sent(kafka, "kept", b"behind")
    consumer = KafkaConsumer(bootstrap_servers=kafka.servers, group_id=None, consumer_timeout_ms=5000)
    consumer.assign([TopicPartition("kept", 0)])
    consumer.seek_to_beginning()
    assert [next(consumer).value for _ in range(2)] == [b"before", b"behind"]
    consumer.close()


def test_without_the_jars_it_says_where_they_would_be_and_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SINCEWHEN_KAFKA_JARS", str(tmp_path / "none"))
    with pytest.raises(BrokerUnavailable, match=r"none: apt-get install .*, then deploy/kafka/fetch"):
        Broker(tmp_path / "broker", Ports(1, 2)).start()
    assert not (tmp_path / "broker").exists()
