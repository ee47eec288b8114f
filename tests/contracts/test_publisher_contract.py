"""What every way of an agent's records to a server promises: HTTP to a server of our own, and a real Kafka broker."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import pytest

from sincewhen_edge.publish import publisher as publishing
from sincewhen_edge.publish.http import HttpWay
from sincewhen_edge.publish.kafka import KafkaWay
from sincewhen_edge.publish.publisher import Publisher, Way
from sincewhen_edge.spool import Spool
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_heartbeat
from sincewhen_schemas.kafka import KafkaSettings
from sincewhen_testing.fake_server import PROBLEM_JSON, Answer, FakeServer, acknowledged, fake_server
from sincewhen_testing.kafka import Kafka
from sincewhen_testing.spooled import UNTIL_S, first_copies, put, until

ANSWER_S = 6.0


class Place(Protocol):
    """A server of a test."""

    def open(self) -> Way: ...
    def away(self) -> None: ...
    def back(self) -> None: ...
    def got(self, station: str) -> list[bytes]: ...


@dataclass
class HttpPlace:
    server: FakeServer

    def open(self) -> Way:
        return HttpWay(self.server.url)

    def away(self) -> None:
        self.server.answer = lambda _: (503, "text/plain", b"later")

    def back(self) -> None:
        self.server.answer = _takes_no_giants

    def got(self, station: str) -> list[bytes]:
        uploads = [content for path, _, content in self.server.taken if path == "/v1/frames"]
        records = [value for content in uploads for value in pb.RecordUpload.FromString(content).records]
        return [value for value in records if pb.StationRecord.FromString(value).station_id == station]


@dataclass
class KafkaPlace:
    broker: Kafka

    def open(self) -> Way:
        return KafkaWay(KafkaSettings(servers=self.broker.servers, security="plaintext"), "pc", ANSWER_S)

    def away(self) -> None:
        self.broker.pause()

    def back(self) -> None:
        self.broker.resume()

    def got(self, station: str) -> list[bytes]:
        return self.broker.frames_of(station)


def _takes_no_giants(content: bytes) -> Answer:
    if max(map(len, pb.RecordUpload.FromString(content).records)) > 4 * 1024**2:
        return 413, PROBLEM_JSON, b'{"status": 413, "detail": "too large"}'
    return acknowledged(content)


@pytest.fixture(params=["http", "kafka"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "http":
        with fake_server() as server:
            server.answer = _takes_no_giants
            yield HttpPlace(server)
    else:
        broker = request.getfixturevalue("kafka")
        broker.has_frames()
        yield KafkaPlace(broker)
        broker.resume()


@pytest.fixture
def started(place: Place, spool: Spool) -> Iterator[Callable[..., Publisher]]:
    """Starts publishers, and ends them."""
    made: list[Publisher] = []

    def start(**fields: object) -> Publisher:
        made.append(Publisher(spool, place.open, **fields))  # type: ignore[arg-type]  # its fields
        made[-1].start()
        return made[-1]

    yield start
    for publisher in made:
        publisher.stop(20)


def test_records_arrive_oldest_first_and_leave_the_spool(
    place: Place, spool: Spool, station: str, started: Callable[..., Publisher]
) -> None:
    sent = put(spool, station, range(100))
    publisher = started()
    assert publisher.drain(UNTIL_S)
    assert (publisher.problem, publisher.refused) == ("", 0)
    assert place.got(station) == sent
    assert publisher.clock_offset_ns is not None
    assert abs(publisher.clock_offset_ns) < 2 * 10**9


def test_through_an_outage_the_spool_keeps_the_records_and_order_holds_when_it_is_over(
    place: Place, spool: Spool, station: str, started: Callable[..., Publisher]
) -> None:
    publisher = started()
    sent = put(spool, station, range(3))
    assert publisher.drain(UNTIL_S)
    place.away()
    sent += put(spool, station, range(3, 70))
    until(lambda: publisher.problem)
    assert spool.depth().records == 67
    time.sleep(1)
    place.back()
    assert publisher.drain(UNTIL_S)
    assert publisher.problem == ""
    assert first_copies(place.got(station)) == sent


def test_a_record_that_is_never_taken_is_set_aside_with_the_reason_and_holds_up_no_other(
    place: Place, spool: Spool, station: str, started: Callable[..., Publisher]
) -> None:
    sent = put(spool, station, range(3))
    giant = put(spool, station, range(3, 4), 5 * 1024**2)
    sent += put(spool, station, range(4, 6))
    publisher = started()
    assert publisher.drain(UNTIL_S)
    assert [(value, bool(reason)) for value, reason in spool.refused()] == [(giant[0], True)]
    assert publisher.refused == 1
    assert publisher.counts.by_reason() == {"refused_by_server": 1}
    assert first_copies([value for value in place.got(station) if value not in giant]) == sent


def test_stopping_takes_no_longer_than_it_may_even_while_the_server_is_away(
    place: Place, spool: Spool, station: str, started: Callable[..., Publisher]
) -> None:
    publisher = started()
    put(spool, station, range(1))
    assert publisher.drain(UNTIL_S)
    place.away()
    sent = put(spool, station, range(1, 4))
    time.sleep(0.5)
    since = time.monotonic()
    publisher.stop(4)
    assert time.monotonic() - since < 4.5
    assert spool.depth().records == len(sent)
    place.back()


def test_heartbeats_are_sent_and_not_kept(
    place: Place, spool: Spool, station: str, started: Callable[..., Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "HEARTBEAT_S", 0.2)
    beats = itertools.count()

    def beat(records: int, size: int, oldest_ns: int | None) -> bytes:
        assert (records, size, oldest_ns) == (0, 0, None)
        return encode_heartbeat(station, pb.Heartbeat(agent_id="pc", boot_id="b", captured=next(beats)))

    started(heartbeat=beat)
    until(lambda: len(place.got(station)) >= 3)
    assert spool.depth().records == 0
    numbers = [pb.StationRecord.FromString(value).heartbeat.captured for value in place.got(station)]
    assert numbers == sorted(numbers)


def test_no_more_bytes_a_second_are_sent_than_are_allowed(
    place: Place, spool: Spool, station: str, started: Callable[..., Publisher]
) -> None:
    started().stop(10)  # whatever is done once is done
    sent = put(spool, station, range(200), 10_000)
    since = time.monotonic()
    publisher = started(bytes_per_s=1_000_000)
    assert publisher.drain(UNTIL_S)
    assert time.monotonic() - since > 2.0 - 0.4  # 2 MB; the last upload needs no room behind it
    assert place.got(station) == sent


def test_what_goes_wrong_inside_is_told_and_sending_goes_on(
    place: Place, spool: Spool, station: str, started: Callable[..., Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = started()
    broken = threading.Event()

    def beat(*_: object) -> bytes:
        broken.set()
        raise AssertionError("our bug")

    monkeypatch.setattr(publisher, "heartbeat", beat)
    monkeypatch.setattr(publisher, "_beat_at", 0.0)
    until(broken.is_set)
    until(lambda: "our bug" in publisher.problem)
    sent = put(spool, station, range(5))
    assert publisher.drain(UNTIL_S)
    assert first_copies(place.got(station)) == sent
