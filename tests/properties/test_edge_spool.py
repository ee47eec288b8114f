"""The spool against a small model, and against kill -9."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sincewhen_edge.spool import Progress, Spool, SpoolError, SpoolFull

BYTES_MAX = 400


class SpoolModel(RuleBasedStateMachine):
    """A list of what waits, a list of what was refused, a number a source; the spool answers the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "s.db"
        self.spool = Spool(self.path, BYTES_MAX)
        self.waiting: list[bytes] = []
        self.refused: list[bytes] = []
        self.done: dict[str, Progress] = {}

    @rule(value=st.binary(min_size=1, max_size=120), source=st.sampled_from(["", "a", "b"]))
    def put(self, value: bytes, source: str) -> None:
        position = self.done[source].position + 1 if source in self.done else 1
        progress = Progress(source, position, f"digest {position}") if source else None
        if sum(map(len, self.waiting)) + len(value) > BYTES_MAX:
            with pytest.raises(SpoolFull, match="at most"):
                self.spool.put("p/a/l/s", value, 1, progress)
            return
        self.spool.put("p/a/l/s", value, 1, progress)
        self.waiting.append(value)
        if progress:
            self.done[source] = progress

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def acknowledge_some(self, data: st.DataObject) -> None:
        taken = self.spool.oldest(data.draw(st.integers(1, 4)), data.draw(st.integers(1, 300)))
        assert taken
        self.spool.acknowledge([record.id for record in taken])
        assert [record.value for record in taken] == self.waiting[: len(taken)]
        self.waiting = self.waiting[len(taken) :]

    @precondition(lambda self: self.waiting)
    @rule()
    def refuse_oldest(self) -> None:
        (oldest,) = self.spool.oldest(1, 1)
        self.spool.acknowledge([], {oldest.id: "no"})
        self.refused.append(self.waiting.pop(0))

    @precondition(lambda self: len(self.waiting) > 1)
    @rule()
    def refuse_second_of_two(self) -> None:
        first, second = self.spool.oldest(2, BYTES_MAX)
        self.spool.acknowledge([first.id], {second.id: "no"})
        self.refused.append(self.waiting[1])
        self.waiting = self.waiting[2:]

    @rule()
    def reopen(self) -> None:
        self.spool.close()
        self.spool = Spool(self.path, BYTES_MAX)

    @invariant()
    def answers_like_the_model(self) -> None:
        depth = self.spool.depth()
        assert (depth.records, depth.bytes) == (len(self.waiting), sum(map(len, self.waiting)))
        assert [record.value for record in self.spool.oldest(1000, 10**6)] == self.waiting
        assert [value for value, _ in self.spool.refused()] == self.refused
        assert {source: self.spool.progress(source) for source in self.done} == self.done

    def teardown(self) -> None:
        self.spool.close()
        self.folder.cleanup()


TestSpoolModel = SpoolModel.TestCase
TestSpoolModel.settings = settings(max_examples=40, stateful_step_count=30, deadline=None, derandomize=True)

WRITER = """
import sys
from pathlib import Path
from sincewhen_edge.spool import Progress, Spool
spool = Spool(Path(sys.argv[1]), 10**9)
number = spool.progress("w").position
while True:
    number += 1
    spool.put("p/a/l/s", number.to_bytes(8, "big") * 200, number, Progress("w", number))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_what_put_returned_for_is_there_after_kill_9_once_and_in_order(tmp_path: Path) -> None:
    path, told = tmp_path / "s.db", 0
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout
        for line in writer.stdout:
            told = int(line)
            if told % 7 == 6:
                os.kill(writer.pid, signal.SIGKILL)
                break
        writer.wait()
        writer.stdout.close()
    spool = Spool(path, 10**9)
    found = [int.from_bytes(record.value[:8], "big") for record in spool.oldest(10**6, 10**9)]
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= told
    assert spool.progress("w").position == len(found)
    spool.close()


def test_a_second_process_is_told_that_the_spool_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout
        writer.stdout.readline()
        began = time.monotonic()
        with pytest.raises(SpoolError, match=r"one process's own.*end the other agent"):
            Spool(path, 10**6)
        assert time.monotonic() - began < 30
    finally:
        writer.kill()
        writer.communicate()
