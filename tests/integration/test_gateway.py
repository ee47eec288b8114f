"""The gateway before a real broker: who may write what, what an agent is told, and what Kafka has."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from sincewhen.log.cards import cards
from sincewhen.log.kafka_admin import Cluster
from sincewhen.log.rights import rights_of
from sincewhen_edge.publish.http import HttpWay
from sincewhen_edge.publish.publisher import Publisher
from sincewhen_edge.spool import Spool
from sincewhen_schemas.encode import encode_frames, encode_upload
from sincewhen_testing.kafka import SERVICE, Kafka
from sincewhen_testing.server import Server
from sincewhen_testing.spooled import UNTIL_S, put, until
from sincewhen_testing.station import activation, frames_of


class Gateway(Server):
    command, ready = "gateway", "/healthz"

    def __init__(self, folder: Path, kafka: Kafka, *options: str, user: str = "") -> None:
        super().__init__(folder, *options)
        folder.mkdir(exist_ok=True)
        config = folder / "sincewhen.toml"
        told = kafka.settings(user)
        (folder / "password").write_text(told.password)
        secured = f'user = "{user}"\nca_file = "{told.ca_file}"\npassword_file = "{folder / "password"}"\n'
        head = f'[kafka]\nservers = "{told.servers}"\nsecurity = "{told.security}"\n'
        config.write_text(head + (secured if user else ""))
        self.agents = folder / "agents.toml"
        self.line = [sys.executable, "-m", "sincewhen.cli", "gateway", "--agents", str(self.agents)]
        self.rest = ["--config", str(config), "--port", str(self.port), *options]

    def arguments(self) -> list[str]:
        return [*self.line, *self.rest]

    def agent(self, *stations: str, name: str = "pc") -> str:
        """The token of a new agent."""
        own = [part for station in stations for part in ("--station", station)]
        made = subprocess.run([*self.line, "--add-agent", name, *own], check=True, capture_output=True, text=True)
        return made.stdout.strip()

    def upload(self, token: str, *records: bytes) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.post(f"{self.url}/v1/frames", content=encode_upload(records), headers=headers, timeout=60)


@pytest.fixture
def gateway(tmp_path: Path, kafka: Kafka) -> Iterator[Gateway]:
    kafka.has_frames()
    with Gateway(tmp_path / "gateway", kafka) as gateway:
        yield gateway


def record(station: str, seq: int = 0) -> bytes:
    at_ns = np.arange(4) * 10**9 + 1_760_000_000_000_000_000
    return encode_frames(frames_of(station, seq, at_ns, factors={"brightness": np.ones(4, np.float32)}))


def test_what_an_agent_sends_of_its_stations_is_in_kafka_before_it_is_told_so(
    gateway: Gateway, kafka: Kafka, station: str
) -> None:
    token, sent = gateway.agent(station), [record(station), record(station, 4)]
    answer = gateway.upload(token, *sent)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 2)
    assert kafka.frames_of(station) == sent


def test_nobody_writes_another_ones_station(gateway: Gateway, kafka: Kafka, station: str) -> None:
    token, foreign = gateway.agent(station), f"{station}-other"
    answer = gateway.upload(token, record(station), record(foreign))
    assert answer.status_code == 403
    assert foreign in answer.json()["detail"]
    assert "correct its station_id" in answer.json()["detail"]
    assert kafka.frames_of(station) == kafka.frames_of(foreign) == []


@pytest.mark.parametrize("token", ["", "nobody's"])
def test_without_an_agents_token_nothing_is_looked_at(gateway: Gateway, kafka: Kafka, station: str, token: str) -> None:
    answer = gateway.upload(token, record(station))
    assert (answer.status_code, "--add-agent" in answer.json()["detail"]) == (401, True)
    assert kafka.frames_of(station) == []


def test_who_is_deleted_is_refused_and_who_is_made_is_known_without_a_new_start(gateway: Gateway, station: str) -> None:
    first, second = gateway.agent(station, name="first"), gateway.agent(station, name="second")
    assert gateway.upload(first, record(station)).status_code == 200
    table = gateway.agents.read_text()
    gateway.agents.write_text(table[table.index('["second"]') :])
    assert gateway.upload(first, record(station)).status_code == 401
    assert gateway.upload(second, record(station)).status_code == 200


def test_an_agents_token_gives_no_control_and_tokens_are_kept_as_hashes(gateway: Gateway, station: str) -> None:
    token = gateway.agent(station)
    answer = gateway.upload(token, activation("0" * 64, station))
    assert answer.status_code == 401
    assert token not in gateway.agents.read_text()
    assert gateway.agents.stat().st_mode & 0o777 == 0o600


def test_while_the_broker_is_away_the_agent_keeps_its_records_and_sends_them_after(
    gateway: Gateway, kafka: Kafka, station: str, spool: Spool
) -> None:
    way = HttpWay(gateway.url, gateway.agent(station))
    publisher = Publisher(spool, lambda: way)
    kafka.pause()
    sent = put(spool, station, range(5))
    publisher.start()
    try:
        until(lambda: "503" in publisher.problem)
        assert spool.depth().records == 5
        kafka.resume()
        until(lambda: spool.depth().records == 0)
    finally:
        kafka.resume()
        publisher.stop(20)
    assert list(dict.fromkeys(kafka.frames_of(station))) == sent


def test_a_right_that_is_taken_away_is_told_to_the_agent_who_keeps_its_records(
    tmp_path: Path, kafka: Kafka, station: str, spool: Spool
) -> None:
    kafka.has_frames()
    rights = rights_of("gateway", cards())
    with Cluster(kafka.settings()) as cluster:
        cluster.allow(SERVICE, rights)
        with Gateway(tmp_path / "gateway", kafka, user=SERVICE) as gateway:
            way = HttpWay(gateway.url, gateway.agent(station))
            publisher = Publisher(spool, lambda: way)
            publisher.start()
            try:
                sent = put(spool, station, range(3))
                assert publisher.drain(UNTIL_S)
                kafka.forbid(SERVICE, rights)
                sent += put(spool, station, range(3, 6))
                until(lambda: f"User:{SERVICE} may not Write topic frames" in publisher.problem)
                assert spool.depth().records == 3
                cluster.allow(SERVICE, rights)
                assert publisher.drain(UNTIL_S)
            finally:
                publisher.stop(20)
        kafka.forbid(SERVICE, rights)
    assert kafka.frames_of(station) == sent


def test_beyond_this_machine_it_listens_with_tls_only(
    tmp_path: Path, kafka: Kafka, station: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka.has_frames()
    plain = Gateway(tmp_path / "plain", kafka, "--host", "0.0.0.0")  # noqa: S104 - refused
    refused = subprocess.run(plain.arguments(), capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    assert "--tls-cert" in refused.stderr
    pem = kafka.authority.broker("gateway")
    options = ("--host", "0.0.0.0", "--tls-cert", str(pem), "--tls-key", str(pem))  # noqa: S104 - with TLS
    gateway = Gateway(tmp_path / "gateway", kafka, *options)
    gateway.url, gateway.trusted = f"https://127.0.0.1:{gateway.port}", str(kafka.authority.ca)
    monkeypatch.setenv("SSL_CERT_FILE", gateway.trusted)
    with gateway:
        assert gateway.upload(gateway.agent(station), record(station)).status_code == 200
    assert kafka.frames_of(station) == [record(station)]
