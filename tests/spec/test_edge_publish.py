"""The spool's way to the server: what is an acknowledgement, what is not, and what the server never takes."""

import gc
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sincewhen_edge import EdgeAgent
from sincewhen_edge.publish.kafka import KafkaWay
from sincewhen_edge.settings import Settings, SpoolSettings
from sincewhen_edge.spool import Spool, SpoolError, Waiting
from sincewhen_schemas.kafka import KafkaSettings
from sincewhen_testing.fake_server import PROBLEM_JSON, Answer, FakeServer, acknowledged, fake_server

STATION = "p/a/l/s"
PROBLEM = b'{"status": 400, "detail": "no"}'


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as fake:
        yield fake


@pytest.fixture
def agent(tmp_path: Path, server: FakeServer) -> Iterator[EdgeAgent]:
    spool = SpoolSettings(path=str(tmp_path / "s.db"))
    made = EdgeAgent(Settings(station_id=STATION, agent_id="pc", server=server.url, spool=spool))
    yield made
    made.close()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    "answer",
    [
        (200, "text/html", b"<html>Please log in</html>"),
        (200, "application/json", b'{"status": "ok"}'),
        (200, "application/json", b""),
        (200, "application/json", b'{"accepted": 1, "server_time_ns": 1, "refused": [{"index": 7, "reason": "x"}]}'),
        (404, "text/html", b"<html>"),
        (400, "text/html", b"<html>The plain HTTP request was sent to HTTPS port</html>"),
    ],
)
def test_an_answer_of_another_service_is_no_acknowledgement_and_is_told_and_tried_again(
    agent: EdgeAgent, server: FakeServer, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer = lambda _: answer
    agent.observe(unit_id="u")
    until(lambda: len(server.frames()) >= 2)
    assert agent.spool.depth().records == 1
    assert agent.spool.refused() == []
    assert f"{server.url} answered {answer[0]}" in agent.publisher.problem
    if answer[0] == 200:
        assert "but not as a SinceWhen server" in agent.publisher.problem
    assert caplog.text.count("sending_failed") == 1
    server.answer = acknowledged
    assert agent.publisher.drain(20)
    assert agent.publisher.problem == ""


def test_refused_records_leave_the_spool_with_their_reason_and_the_others_are_acknowledged(
    agent: EdgeAgent, server: FakeServer
) -> None:
    server.answer = lambda _: (503, "text/plain", b"later")
    for number in range(3):
        agent.observe(unit_id=f"u{number}", captured_at_ns=(10**18,) * (number + 1), wait=True)
        agent.flush()
    assert agent.spool.depth().records == 3
    refused = ((1, "unknown_station", "'p/a/l/s' is not in plant.toml"),)
    server.answer = lambda content: acknowledged(content, refused)
    assert agent.publisher.drain(20)
    ((_, reason),) = agent.spool.refused()
    assert reason == "unknown_station: 'p/a/l/s' is not in plant.toml"
    assert agent.publisher.refused == 1
    until(lambda: agent.counts.get("refused_by_server") == 2)


def test_a_server_that_refuses_by_status_is_asked_record_by_record(agent: EdgeAgent, server: FakeServer) -> None:
    def choosy(content: bytes) -> Answer:
        return (400, PROBLEM_JSON, PROBLEM) if b"bad" in content else acknowledged(content)

    server.answer = lambda _: (503, "text/plain", b"later")
    for lot in ("good", "bad", "fine"):
        agent.observe(lot=lot)
        agent.flush()
    server.answer = choosy
    assert agent.publisher.drain(20)
    ((value, reason),) = agent.spool.refused()
    assert b"bad" in value
    assert "answered 400" in reason


def test_a_spool_or_a_clock_that_fails_does_not_end_the_sending(
    agent: EdgeAgent, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwell(*_: object) -> list[object]:
        raise SpoolError("the disk is away")

    def broken(*_: object) -> list[object]:
        raise AssertionError("our bug")

    for fault in (unwell, broken):
        with monkeypatch.context() as failing:
            failing.setattr(Spool, "oldest", fault)
            until(lambda: agent.publisher.problem)
        agent.observe(unit_id="u")
        agent.flush()
        assert agent.publisher.drain(20)
        until(lambda: agent.publisher.problem == "")
    assert len(server.frames()) == 2


def test_whatever_sqlite_says_is_a_spool_error_and_the_bytes_stay_right(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s.db", 10**6)
    spool.put(STATION, b"x" * 100, 1)
    (waiting,) = spool.oldest(1, 1)
    with pytest.raises(SpoolError, match="see to its disk"), spool._transaction():  # noqa: SLF001 - a disk that fails
        spool.acknowledge([waiting.id])
    assert spool.depth().bytes == 100
    spool.close()
    for ask in (spool.depth, spool.refused, lambda: spool.progress("x"), lambda: spool.oldest(1, 1)):
        with pytest.raises(SpoolError) as refusal:
            ask()
        assert isinstance(refusal.value.__cause__, sqlite3.Error)


def test_a_broker_that_takes_connections_and_serves_nobody_costs_no_file_handles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sincewhen_edge.publish.kafka._BOOTSTRAP_MS", 300)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        way = KafkaWay(KafkaSettings(servers=f"127.0.0.1:{silent.getsockname()[1]}", security="plaintext"), "pc")
        records = [Waiting(1, b"value", STATION)]
        gc.disable()
        try:
            handles = []
            for _ in range(3):
                answer = way.send(records, threading.Event())
                handles.append(sum(1 for _ in Path("/dev/fd").iterdir()))
        finally:
            gc.enable()
        assert "takes the connection and does not answer" in answer.problem
        assert (list(answer.taken), len(set(handles))) == ([], 1)
        way.close()
