"""What the chaos test holds on to: without the barrier, or without the start from the snapshot, frames are lost."""

import time
from pathlib import Path

import pytest

from sincewhen_testing.mutants import NAMES
from sincewhen_testing.recorded_line import GOLDEN, RecordedLine
from sincewhen_testing.stack import StackUnderTest

SEED, PART, BEFORE, AFTER = 95, 4, 200, 120
WITHIN_S = 60.0


@pytest.mark.parametrize("mutant", ["", *NAMES])
def test_a_killed_worker_goes_on_from_its_snapshot_or_loses_frames(tmp_path: Path, mutant: str) -> None:
    print(f"seed {SEED}")
    line = RecordedLine(SEED)
    with StackUnderTest(tmp_path, processors=1, mutant=mutant) as stack:
        for profile in line.profiles:
            stack.profiles.keep(profile)
        stack.send(line.activations())
        for part in line.parts(GOLDEN, GOLDEN + BEFORE, PART):
            stack.send(part)
        stack.forget()
        after = line.parts(GOLDEN + BEFORE, GOLDEN + BEFORE + AFTER, PART)
        stack.send(next(after))
        stack.barrier()  # the next one is a while away
        for part in after:
            stack.send(part)
        stack.read_up_to(stack.ends("frames"))
        stack.kill("processor-0")
        stack.begin("processor-0")
        stack.send(next(line.parts(line.onset, line.end, PART)))
        wanted, deadline = {BEFORE + AFTER + PART}, time.monotonic() + WITHIN_S
        while (counted := {item["frames"] for item in stack.get("/api/v1/stations").json()}) != wanted:
            if time.monotonic() > deadline:
                break
            time.sleep(0.2)
        assert (counted == wanted) == (mutant == "")
