"""The distributed product says what the embedded one says, of the same records."""

from pathlib import Path

from sincewhen.correlator.bins import PENDING_MAX
from sincewhen_testing.recorded_line import GOLDEN, RecordedLine, said
from sincewhen_testing.stack import StackUnderTest

SEED, PART = 91, 20
TOGETHER = PENDING_MAX // 2 // PART  # parts: no station is further ahead of the others than bins are kept


def test_the_same_records_make_the_same_incidents(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    line = RecordedLine(SEED)
    parts = list(line.parts(GOLDEN, line.end, PART))
    expected = line.embedded(tmp_path / "embedded", [line.activations(), *parts])
    assert expected
    with StackUnderTest(tmp_path / "stack") as stack:
        for profile in line.profiles:
            stack.profiles.keep(profile)
        stack.send(line.activations())
        stack.caught_up()  # who was not heard of yet is not waited for
        for number, part in enumerate(parts):
            stack.send(part)
            if number % TOGETHER == TOGETHER - 1:
                stack.caught_up()
        stack.settled()
        assert stack.frames() == line.frames
        assert said(stack.incidents().values()) == expected
