"""The distributed product at a broker with TLS, SCRAM and access rules, as a user who may do what it needs."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from sincewhen.log.kafka_admin import Cluster
from sincewhen.log.rights import CORRELATORS, Right
from sincewhen_schemas.encode import encode_frames
from sincewhen_testing.kafka import SERVICE, Kafka
from sincewhen_testing.spooled import until
from sincewhen_testing.stack import StackUnderTest
from sincewhen_testing.station import START_NS, frames_of

STATION, FRAMES = "p/a/l/cam", 32
RIGHTS = {
    "processor-0": Right("topic", "scores", "WRITE"),
    "correlator": Right("group", CORRELATORS, "READ"),
    "writer": Right("topic", "detections", "READ"),
    "console": Right("topic", "incidents", "READ"),
}


class Secured(StackUnderTest):
    """Its processes are told apart by what they log from `mark` on; what is sent and stored is counted."""

    def __init__(self, folder: Path) -> None:
        self.kafka_broker = Kafka(folder / "kafka")
        super().__init__(folder / "stack", processors=1, secure=self.kafka_broker)
        self.sent = 0
        self._marks: dict[str, int] = {}

    def send_more(self) -> None:
        at_ns = START_NS + np.arange(self.sent, self.sent + FRAMES) * 10**9
        frames = frames_of(STATION, self.sent, at_ns, factors={"brightness": np.ones(FRAMES, np.float32)})
        self.send([(STATION, encode_frames(frames))])
        self.sent += FRAMES

    def has_all(self) -> bool:
        return self.frames() == self.sent

    def mark(self) -> None:
        self._marks = {name: len(self.log(name)) for name in RIGHTS}

    def tells(self, problem: str, *names: str) -> bool:
        return all(f"waiting problem={problem}" in self.log(name) for name in names or RIGHTS)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()[self._marks.get(name, 0) :]

    def watched_until(self, holds: Callable[[], bool]) -> None:
        """What has ended is begun again meanwhile, as whoever watches over processes does."""

        def watched() -> bool:
            for name in self.ended():
                self.begin(name)
            return holds()

        until(watched)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with Secured(tmp_path_factory.mktemp("secured")) as stack:
        stack.send_more()
        until(stack.has_all)
        yield stack


@pytest.fixture(autouse=True)
def marked(stack: Secured) -> None:
    stack.mark()


def test_a_right_that_is_taken_away_is_told_by_who_needs_it_and_loses_nothing(stack: Secured) -> None:
    with Cluster(stack.settings) as cluster:
        stack.kafka_broker.forbid(SERVICE, RIGHTS.values())
        stack.send_more()
        stack.watched_until(
            lambda: all(f"User:{SERVICE} may not {right}" in stack.log(name) for name, right in RIGHTS.items())
        )
        assert not stack.has_all()
        cluster.allow(SERVICE, RIGHTS.values())
    stack.watched_until(stack.has_all)


def test_a_certificate_that_has_expired_is_told_by_all_and_loses_nothing(stack: Secured) -> None:
    broker = stack.kafka_broker
    broker.restart(broker.authority.broker(uuid.uuid4().hex, days=(-3, -1)))
    stack.send_more()
    until(lambda: stack.tells(f"the certificate of {broker.secure_servers} has expired: renew it"))
    assert not stack.has_all()
    broker.restart()
    stack.watched_until(stack.has_all)


def test_a_wrong_password_is_told_and_corrected_in_its_file_it_is_taken(stack: Secured) -> None:
    names = ("processor-0", "correlator", "writer")
    for name in names:
        stack.end(name)
    stack.write_config(msgspec.structs.replace(stack.kafka, password="wrong"))  # noqa: S106 - as wrong as any
    for name in names:
        stack.begin(name)
    stack.send_more()
    until(lambda: stack.tells(f"the broker does not let kafka.user {SERVICE!r} in", *names))
    assert not stack.has_all()
    stack.write_config(stack.kafka)
    until(stack.has_all)
