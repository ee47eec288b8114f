"""The distributed product at a broker with TLS, SCRAM and access rules."""

from pathlib import Path

import msgspec
import numpy as np

from sincewhen_schemas.encode import encode_frames
from sincewhen_testing.kafka import ADMIN, Kafka
from sincewhen_testing.spooled import until
from sincewhen_testing.stack import StackUnderTest
from sincewhen_testing.station import START_NS, frames_of

STATION, FRAMES = "p/a/l/cam", 32


def record(start: int) -> bytes:
    at_ns = START_NS + np.arange(start, start + FRAMES) * 10**9
    return encode_frames(frames_of(STATION, start, at_ns, factors={"brightness": np.ones(FRAMES, np.float32)}))


def refused(stack: StackUnderTest, name: str) -> bool:
    return f"does not let kafka.user {ADMIN!r} in" in (stack.folder / f"{name}.log").read_text()


def test_all_of_it_works_over_tls_and_a_wrong_password_is_told_and_loses_nothing(tmp_path: Path) -> None:
    secure = Kafka(tmp_path / "kafka")
    with StackUnderTest(tmp_path / "stack", processors=1, secure=secure) as stack:
        stack.send([(STATION, record(0))])
        until(lambda: stack.frames() == FRAMES)
        names = ("processor-0", "correlator", "writer")
        for name in names:
            stack.end(name)
        stack.write_config(msgspec.structs.replace(stack.settings, password="wrong"))  # noqa: S106 - as wrong as any
        for name in names:
            stack.begin(name)
        stack.send([(STATION, record(FRAMES))])
        until(lambda: all(refused(stack, name) for name in names))
        for name in names:
            stack.end(name)
        assert stack.frames() == FRAMES
        stack.write_config(stack.settings)
        for name in names:
            stack.begin(name)
        until(lambda: stack.frames() == 2 * FRAMES)
