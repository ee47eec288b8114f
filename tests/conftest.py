"""Fixtures of several folders: what takes seconds to start is started once, by the first test that asks."""

from collections.abc import Iterator

import pytest

from sincewhen_testing.kafka import Kafka, running_kafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with running_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker
