"""The real `sincewhen-edge` in its own process, and archives for it."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from sincewhen_testing.server import Api

_RUN_S = 500.0


def start_edge(server: Api, folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """`folder` keeps the spool, so a second start with the same one goes on."""
    command = [sys.executable, "-m", "sincewhen_edge", *arguments, *server.way]
    command += ["--spool", str(folder / "spool.db"), "--agent-id", "line-pc"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def run_edge(server: Api, folder: Path, *arguments: str) -> str:
    """Run to the end and until the server has applied it; what it said."""
    process = start_edge(server, folder, *arguments)
    _, said = process.communicate(timeout=_RUN_S)
    assert process.returncode == 0, said.decode()
    server.applied()
    return said.decode()


def write_archive(
    folder: Path, name: str, frames: Iterable[tuple[Image.Image, Mapping[str, Any]]], start_s: int
) -> Path:
    """Pictures one second apart from `start_s` (epoch) and their index; context beside each."""
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / f"{name}.csv"
    with index.open("w", newline="") as file:
        lines: Any = None
        for row, (picture, context) in enumerate(frames):
            path = f"{name}-{row:05d}.png"
            picture.save(folder / path, compress_level=1)
            values = {"path": path, "captured_at": iso(start_s + row), **context}
            if lines is None:
                lines = csv.DictWriter(file, list(values))
                lines.writeheader()
            lines.writerow(values)
    return index


def iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()


def activate(server: Api, station: str, from_s: float, to_s: float) -> None:
    """What an engineer does once the golden frames are there."""
    window = {"station": station, "view": "main", "from": iso(from_s), "to": iso(to_s)}
    built = server.post("/api/v1/profiles", window)
    assert built.status_code == 201, built.text
    path = f"/api/v1/profiles/{built.json()['sha']}/activate"
    assert server.post(path, {"reason": "A/A passed"}).status_code == 200
    server.applied()


def row(at: str | None, start_s: float, step_s: float = 1.0) -> float:
    """The frame of a stream that started at start_s, at a time of the API."""
    assert at is not None
    return (datetime.fromisoformat(at).timestamp() - start_s) / step_s
