"""Records at which a processor falls by a fault of ours stop nobody for ever: they become dead letters."""

import time
from pathlib import Path

import numpy as np

from sincewhen_schemas.encode import encode_frames
from sincewhen_testing.mutants import POISON
from sincewhen_testing.stack import StackUnderTest
from sincewhen_testing.station import START_NS, frames_of

WITHIN_S = 180.0


def record(start: int, frames: int) -> bytes:
    """One frame is harmless, more are poison to the mutant."""
    at_ns = START_NS + np.arange(start, start + frames) * 10**9
    return encode_frames(frames_of(POISON, start, at_ns, factors={"brightness": np.ones(frames, np.float32)}))


def test_two_poisoned_records_are_set_aside_and_the_rest_is_counted(tmp_path: Path) -> None:
    with StackUnderTest(tmp_path, processors=1, mutant="poison") as stack:
        stack.send([(POISON, record(start, frames)) for start, frames in ((0, 1), (1, 2), (3, 2), (5, 1))])
        deadline, fell = time.monotonic() + WITHIN_S, 0
        while len(stack.get("/api/v1/dead-letters").json()) < 2:
            assert time.monotonic() < deadline, fell
            if stack.ended():
                fell += 1
                stack.begin("processor-0")
            time.sleep(0.2)
        stack.settled()
        assert fell == 4  # each twice
        letters = stack.get("/api/v1/dead-letters").json()
        assert {letter["reason"] for letter in letters} == {"internal_error"}
        assert len(letters) == 2
        while [item["frames"] for item in stack.get("/api/v1/stations").json()] != [2]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
