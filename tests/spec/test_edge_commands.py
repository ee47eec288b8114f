"""`sincewhen-edge images` and `signals` through click, against a server of our own."""

import itertools
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from sincewhen_edge.__main__ import main
from sincewhen_edge.sources.rows import TimeForm
from sincewhen_edge.spool import Progress, Spool, SpoolError
from sincewhen_testing.fake_server import FakeServer, acknowledged, fake_server

STATION, START = "p/a/l/s", 1_700_000_000
traced = pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.delenv("SINCEWHEN_SERVER", raising=False)
    with fake_server() as fake:
        yield fake


def write(path: Path, rows: list[int]) -> None:
    path.write_text("time,load\n" + "".join(f"{START + row},{row}\n" for row in rows))


def sent(server: FakeServer, folder: Path, *more: str) -> Result:
    """`signals` over folder/log.csv with the spool there."""
    command = ["signals", str(folder / "log.csv"), "--time", "time", "--fast", "--spool", str(folder / "s.db")]
    return CliRunner().invoke(main, [*command, "--station", STATION, "--server", server.url, *more])


def loads(server: FakeServer) -> list[int]:
    """The rows that came, in order; whatever was sent twice is there twice."""
    return [int(value) for frames in server.frames() for value in frames.signals["load"]]


def said(result: Result) -> str:
    return " ".join(result.output.split())


def test_rows_before_2000_or_ahead_of_now_are_left_out_and_the_rest_is_sent(tmp_path: Path, server: FakeServer) -> None:
    ahead = int(time.time()) + 7200
    (tmp_path / "log.csv").write_text(f"time,load\n1,1\n{START},2\n{ahead},3\n1e99,4\n1e999990,5\n{START + 1},6\n")
    result = sent(server, tmp_path)
    assert result.exit_code == 1
    assert loads(server) == [2, 6]
    assert "line 2: captured_at is 2000-01-01 or later; got 1 " in said(result)
    assert f"line 4: captured_at is at most 1 h ahead of this PC's clock; got {ahead}" in said(result)
    assert "4 rows or images could not be used; everything else was sent" in said(result)


def test_a_second_station_or_view_sends_the_same_file_from_the_same_spool(tmp_path: Path, server: FakeServer) -> None:
    write(tmp_path / "log.csv", [0, 1, 2])
    for number, more in enumerate(([], ["--station", "p/a/l/t"], ["--view", "side"]), start=1):
        assert sent(server, tmp_path, *more).exit_code == 0
        assert len(loads(server)) == 3 * number
    again = sent(server, tmp_path)
    assert again.exit_code == 0
    assert "3 of 3 rows were sent before and are left out: to send them again, name another --spool" in said(again)
    assert len(loads(server)) == 9


def test_new_rows_at_the_end_are_sent_alone(tmp_path: Path, server: FakeServer) -> None:
    for rows in ([0, 1], [0, 1, 2, 3]):
        write(tmp_path / "log.csv", rows)
        assert sent(server, tmp_path).exit_code == 0
    assert loads(server) == [0, 1, 2, 3]


@pytest.mark.parametrize("rows", [[0, 1, 2, 4], [-1, 0, 2, 4], [0, 2], [0, 2, 5]])
def test_a_file_whose_sent_rows_have_changed_is_refused_with_the_way_out(
    tmp_path: Path, server: FakeServer, rows: list[int]
) -> None:
    write(tmp_path / "log.csv", [0, 2, 4])
    assert sent(server, tmp_path).exit_code == 0
    write(tmp_path / "log.csv", rows)
    result = sent(server, tmp_path)
    assert result.exit_code == 2
    assert "the first 3 rows" in said(result)
    assert "another --spool" in said(result)
    assert loads(server) == [0, 2, 4]
    other = sent(server, tmp_path, "--spool", str(tmp_path / "other.db"))
    assert other.exit_code == 0
    assert loads(server) == [0, 2, 4, *rows]


def test_behind_a_record_that_the_spool_did_not_take_the_source_stops_and_goes_on_there_when_started_again(
    tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "log.csv", list(range(200)))
    put, calls = Spool.put, itertools.count()

    def full_disk(spool: Spool, station_id: str, value: bytes, at_ns: int, progress: Progress | None = None) -> None:
        if next(calls) == 1:
            raise SpoolError("the disk is full")
        put(spool, station_id, value, at_ns, progress)

    with monkeypatch.context() as failing:
        failing.setattr(Spool, "put", full_disk)
        result = sent(server, tmp_path)
    assert result.exit_code == 1
    assert "took not all: see to its disk, start again" in said(result)
    assert 0 < len(loads(server)) < 200
    assert sent(server, tmp_path).exit_code == 0
    assert loads(server) == list(range(200))


def test_an_explicit_server_wins_over_the_environment_and_that_over_the_default(
    tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "log.csv", [0])
    monkeypatch.setenv("SINCEWHEN_SERVER", "http://127.0.0.1:9")
    assert sent(server, tmp_path, "--server", server.url + "/").exit_code == 0
    assert loads(server) == [0]
    monkeypatch.setenv("SINCEWHEN_SERVER", server.url + "/")
    command = ["signals", str(tmp_path / "log.csv"), "--time", "time", "--fast", "--station", STATION]
    result = CliRunner().invoke(main, [*command, "--spool", str(tmp_path / "environment.db")])
    assert result.exit_code == 0
    assert loads(server) == [0, 0]


def test_records_that_the_server_never_takes_are_told_at_the_end(tmp_path: Path, server: FakeServer) -> None:
    write(tmp_path / "log.csv", list(range(40)))
    server.answer = lambda content: acknowledged(content, ((0, "unknown_station", "add it to plant.toml"),))
    result = sent(server, tmp_path)
    assert result.exit_code == 1
    assert "the last because of unknown_station: add it to plant.toml" in said(result)
    assert "send again with another --spool" in said(result)
    server.answer = acknowledged
    assert sent(server, tmp_path).exit_code == 0, "what was refused before is not told again"


def save_model(path: Path, factor: float) -> str:
    class Net(torch.nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=(2, 3)) * factor

    torch.jit.trace(Net().eval(), torch.rand(2, 3, 32, 32)).save(str(path))
    return str(path)


@traced
def test_images_are_sent_again_for_another_model_and_a_row_of_an_impossible_time_costs_no_other(
    tmp_path: Path, server: FakeServer
) -> None:
    for name in ("a", "b", "c"):
        Image.new("RGB", (40, 40), (90, 90, 90)).save(tmp_path / f"{name}.png")
    (tmp_path / "index.csv").write_text(f"path,captured_at\na.png,{START}\nb.png,1999-12-31\nc.png,{START + 1}\n")
    command = ["images", str(tmp_path), "--index", str(tmp_path / "index.csv"), "--station", STATION, "--fast"]
    command += ["--spool", str(tmp_path / "s.db"), "--server", server.url, "--side", "32"]
    for number, model in enumerate((save_model(tmp_path / "m.pt", 1.0), save_model(tmp_path / "n.pt", 2.0)), start=1):
        result = CliRunner().invoke(main, [*command, "--model", model])
        assert result.exit_code == 1, result.output
        assert "line 3: captured_at is 2000-01-01 or later; got 1999-12-31" in said(result)
        assert sum(frames.n for frames in server.frames()) == 2 * number


def test_a_number_that_is_no_time_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="a time is at most"):
        TimeForm(UTC).ns("1e999990")


def test_a_file_with_a_table_kafka_takes_the_place_of_the_server_and_both_are_refused(
    tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SINCEWHEN_KAFKA_PASSWORD", raising=False)
    write(tmp_path / "log.csv", [1])
    settings = tmp_path / "kafka.toml"
    settings.write_text('[kafka]\nservers = "k:9093"\nsecurity = "tls"\nuser = "line1"\n')
    both = sent(server, tmp_path, "--kafka", str(settings))
    assert (both.exit_code, "frames go one way, to a server or to [kafka]" in said(both)) == (2, True)
    without = sent(server, tmp_path, "--kafka", str(settings), "--server", "http://127.0.0.1:8099")
    assert "kafka.user goes with a password; got 'line1' without one" in said(without)
    settings.write_text("[other]\n")
    assert "there is no [kafka] table" in said(sent(server, tmp_path, "--kafka", str(settings)))
