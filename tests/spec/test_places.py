"""Where commands write: - is standard output, and what is said to people then goes to standard error."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from sincewhen.cli.__main__ import main

STORY = {"name": "lens haze", "true_since": "2026-01-05T06:00:00+00:00", "found": False}
RESULT = {"ok": False, "seed": 1, "elapsed_s": 2.0, "false_incidents": 0, "stories": [STORY]}


@contextmanager
def served(*_: object) -> Iterator[tuple[str, str]]:
    yield "http://127.0.0.1:1", "token"


@pytest.mark.parametrize("place", ["-", "made/demo.json"])
def test_the_result_of_the_demonstration_goes_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sincewhen.cli.demo._server", served)
    monkeypatch.setattr("sincewhen.cli.demo._play", lambda *_: RESULT)
    result = CliRunner().invoke(main, ["demo", "--headless", "--folder", "demo", "--json", place])
    assert result.exit_code == 1, "the story was not found"
    written = result.stdout if place == "-" else (tmp_path / place).read_text()
    assert json.loads(written) == RESULT
    assert "lens haze: began" in (result.stderr if place == "-" else result.stdout)
    assert not (tmp_path / "-").exists()


def test_a_place_that_can_not_be_written_is_told_before_the_demonstration(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = ["demo", "--headless", "--folder", str(tmp_path / "demo"), "--json", str(tmp_path / "file" / "demo.json")]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 2
    assert "it names a file in a folder that is there" in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    "line",
    [
        ("sincewhen.cli", "profile", "export", "0" * 16, "--out", "-"),
        ("sincewhen.cli", "backtest", "stream.npz", "--golden", "600", "--arl0", "1000", "--profile-out", "-"),
        ("sincewhen_edge", "reference", "build", ".", "--station", "p/a/l/s", "--out", "-"),
    ],
)
def test_bytes_for_a_terminal_are_refused_before_the_work(tmp_path: Path, line: tuple[str, ...]) -> None:
    (tmp_path / "stream.npz").touch()
    ours, terminal = pty.openpty()
    command = [sys.executable, "-m", *line]
    done = subprocess.run(command, cwd=tmp_path, stdout=terminal, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(terminal)
    os.close(ours)
    assert done.returncode == 2
    said = " ".join(done.stderr.decode().replace("│", " ").split())
    assert "which no terminal shows; got -, a terminal: redirect it, or name a file" in said
