"""Fixtures of several folders: what takes seconds to start is started once, by the first test that asks."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sincewhen_edge.spool import Spool
from sincewhen_testing.kafka import Kafka, running_kafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with running_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def station() -> str:
    """Of this test alone, at a broker that others use too."""
    return f"p/a/l/{uuid.uuid4().hex}"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool.db", 10**8)
    yield made
    made.close()
