"""`sincewhen-edge folder` as it runs on a line PC: files arrive, it is stopped and started, each file is sent once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from sincewhen_testing.fake_server import FakeServer, fake_server

SIDE, START = 32, 1_700_000_000
_WAIT_S = 120.0


def save_model(path: Path) -> None:
    class Net(torch.nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=(2, 3))

    torch.jit.trace(Net().eval(), torch.rand(2, 3, SIDE, SIDE)).save(str(path))


def drop(folder: Path, numbers: range) -> None:
    """Files with a time of their own each, later numbers earlier, as copied from another PC."""
    for number in numbers:
        path = folder / f"part{number:03d}.png"
        Image.new("RGB", (SIDE, SIDE), (number, 90, 90)).save(path)
        os.utime(path, (START - number, START - number))


def start(folder: Path, server: FakeServer) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "sincewhen_edge", "folder", str(folder / "in"), "--station", "p/a/l/s"]
    command += ["--model", str(folder / "net.pt"), "--side", str(SIDE), "--context", "lot=L1"]
    command += ["--spool", str(folder / "s.db"), "--server", server.url, "--view", "top"]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a runner in the background ignores it, and so would this
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def numbers(server: FakeServer) -> list[int]:
    return [int(START - at // 10**9) for frames in server.frames() for at in frames.captured_at_ns]


def until(server: FakeServer, files: int) -> None:
    deadline = time.monotonic() + _WAIT_S
    while len(numbers(server)) < files:
        assert time.monotonic() < deadline, f"{numbers(server)} of {files}"
        time.sleep(0.05)


@pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated")
def test_each_file_is_sent_once_over_sigint_and_restart_and_what_could_not_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    save_model(tmp_path / "net.pt")
    with fake_server() as server:
        drop(tmp_path / "in", range(4))
        first = start(tmp_path, server)
        until(server, 4)
        drop(tmp_path / "in", range(4, 8))
        until(server, 8)
        drop(tmp_path / "in", range(8, 12))  # may or may not be seen before the end
        first.send_signal(signal.SIGINT)
        _, said = first.communicate(timeout=_WAIT_S)
        assert first.returncode == 0, said
        (tmp_path / "in" / "torn.png").write_bytes(b"no image")
        (tmp_path / "in" / "old.png").write_bytes((tmp_path / "in" / "part000.png").read_bytes())
        os.utime(tmp_path / "in" / "old.png", (1, 1))
        drop(tmp_path / "in", range(12, 16))
        second = start(tmp_path, server)
        until(server, 17)
        second.send_signal(signal.SIGINT)
        _, said = second.communicate(timeout=_WAIT_S)
        assert second.returncode == 1, said
        assert "torn.png: cannot identify image file" in said
        assert "old.png: captured_at is 2000-01-01 or later" in said
        found = numbers(server)
        lots = {lot for frames in server.frames() for lot in frames.context["lot"]}
    assert sorted(number for number in found if 0 <= number < 100) == list(range(16)), "each file once"
    assert len(found) == 17, "the torn file is a frame without a picture"
    assert lots == {"L1"}
