"""What every log promises."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sincewhen.log.log import Log
from sincewhen.log.memory import MemoryLog
from sincewhen.log.sqlite import SqliteLog

Make = Callable[[Path], Log]
LOGS = [pytest.param(lambda _path: MemoryLog(), id="memory"), pytest.param(SqliteLog, id="sqlite")]


@pytest.fixture(params=LOGS)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    make: Make = request.param
    return make(tmp_path / "log.db")


def test_records_come_back_in_the_order_in_which_they_were_appended(log: Log) -> None:
    assert log.append([("a", b"1"), ("b", b"2")], 10) == 1
    assert log.append([("a", b"3")], 20) == 3
    assert [(r.offset, r.key, r.value, r.appended_at_ns) for r in log.read(1, 10)] == [
        (1, "a", b"1", 10),
        (2, "b", b"2", 10),
        (3, "a", b"3", 20),
    ]
    assert [r.offset for r in log.read(2, 1)] == [2]
    assert log.read(4, 10) == []
    assert log.end() == 4


def test_a_new_log_starts_at_its_first_offset(log: Log) -> None:
    assert log.snapshot().next_offset == log.end() == 1
    assert log.snapshot().states == {}


def test_a_barrier_keeps_the_states_that_did_not_change(log: Log) -> None:
    log.barrier(5, {"a": b"x", "b": b"y"})
    log.barrier(7, {"a": b"z"})
    assert log.snapshot().next_offset == 7
    assert log.snapshot().states == {"a": b"z", "b": b"y"}


def test_what_sqlite_acknowledged_is_there_after_it_is_opened_again(tmp_path: Path) -> None:
    first = SqliteLog(tmp_path / "log.db")
    first.append([("a", b"1")], 10)
    first.barrier(2, {"a": b"x"})
    again = SqliteLog(tmp_path / "log.db")  # the first was never closed, as after kill -9
    assert again.read(1, 9)[0].value == b"1"
    assert again.snapshot().states == {"a": b"x"}
    first.close()
    again.close()


def test_trim_never_deletes_what_is_not_applied_and_offsets_are_not_reused(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.append([("a", b"1"), ("a", b"2")], 10)
    log.barrier(2, {})
    assert log.trim(100) == 1
    assert [r.offset for r in log.read(1, 9)] == [2]
    log.barrier(3, {})
    assert log.trim(100) == 1
    assert log.append([("a", b"3")], 20) == 3
    log.close()
