"""kill -9 of agent and server in mid-stream: every frame is in the store once, incidents are those of a calm run."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sincewhen.store.connect import Connection
from sincewhen_edge.spool import Spool
from sincewhen_testing.edge import activate, run_edge, start_edge, write_archive
from sincewhen_testing.server import Server

STATION = "p/a/l/cam"
GOLDEN, ONSET, END, FRAMES, SIDE = 1200, 1600, 2000, 2400, 32
KILLS, RATE = 10, 60
COMPARED = ("since", "since_low", "since_high", "until", "shape", "lots", "units_suspect", "status", "opened_at")


def pictures(seed: int, first: int, last: int) -> Iterator[tuple[Image.Image, dict[str, Any]]]:
    rng = np.random.default_rng([seed, first])
    for row in range(first, last):
        pixels = rng.normal(110, 30, (SIDE // 2, SIDE // 2, 3)).repeat(2, axis=0).repeat(2, axis=1)
        if ONSET <= row < END:
            pixels = 110 + (pixels - 110) * 0.8
        picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        yield picture, {"lot": f"L{row // 80:02d}", "unit_id": f"U{row:05d}"}


def save_model(path: Path) -> None:
    """A small fixed network that gives scores and an embedding, as a plant's own TorchScript file would."""

    class Net(torch.nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv2d(3, 12, 3, stride=2)
            self.head = torch.nn.Linear(12, 2)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            embedding = torch.relu(self.first(x)).mean(dim=(2, 3))
            return self.head(embedding), embedding

    torch.manual_seed(4)
    torch.jit.trace(Net().eval(), torch.rand(2, 3, SIDE, SIDE)).save(str(path))


def learned(server: Server, folder: Path, archive: Path, start: int) -> list[str]:
    """Send the golden part, activate its profile; the command for the rest."""
    command = ["images", str(archive), "--station", STATION, "--model", str(archive / "net.pt"), "--side", str(SIDE)]
    run_edge(server, folder, *command, "--index", str(archive / "golden.csv"), "--fast")
    activate(server, STATION, start, start + GOLDEN)
    return [*command, "--index", str(archive / "rest.csv")]


def frames(server: Server) -> int:
    """Applied so far; a server that has just come back replays from its last barrier."""
    return sum(station["frames"] for station in server.get("/api/v1/stations").json())


def incidents(server: Server) -> list[dict[str, Any]]:
    server.applied()
    found = server.get("/api/v1/incidents").json()
    scopes = {item["id"]: server.get(f"/api/v1/incidents/{item['id']}/scope").json() for item in found}
    return [{key: item[key] for key in COMPARED} | {"units": scopes[item["id"]]["units"]} for item in found]


@pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated")
def test_ten_kills_of_agent_and_server_lose_nothing_double_nothing_and_change_no_incident(tmp_path: Path) -> None:
    seed = 61
    rng = np.random.default_rng(seed)
    archive, start = tmp_path / "archive", int(time.time()) - FRAMES
    write_archive(archive, "golden", pictures(seed, 0, GOLDEN), start)
    write_archive(archive, "rest", pictures(seed, GOLDEN, FRAMES), start + GOLDEN)
    save_model(archive / "net.pt")
    with Server(tmp_path / "calm") as server:
        rest = learned(server, tmp_path / "calm-edge", archive, start)
        run_edge(server, tmp_path / "calm-edge", *rest, "--fast")
        calm = incidents(server)
    killed_at: list[str] = []
    with Server(tmp_path / "killed") as server:
        rest = learned(server, tmp_path / "edge", archive, start)
        agent = start_edge(server, tmp_path / "edge", *rest, "--rate", str(RATE))
        for number in range(KILLS):
            wanted = min(frames(server) + int(rng.integers(20, 100)), FRAMES - 50)
            while frames(server) < wanted:
                time.sleep(0.05)
            killed_at.append(f"{'agent' if number % 2 else 'server'} at {wanted}")
            if number % 2:
                agent.kill()
                agent.communicate()
                agent = start_edge(server, tmp_path / "edge", *rest, "--rate", str(RATE))
            else:
                server.kill()
                server.start()
        print(f"seed {seed}: killed {killed_at}")
        _, said = agent.communicate(timeout=300)
        assert agent.returncode == 0, said.decode()
        assert incidents(server) == calm
        assert frames(server) == FRAMES
        assert server.get("/api/v1/dead-letters").json() == []
    assert calm, "the story makes an incident"
    spool = Spool(tmp_path / "edge/spool.db", 10**9)
    assert spool.depth().records == 0
    assert spool.refused() == []
    spool.close()
    store = Connection(tmp_path / "killed/store")
    counted = (
        "SELECT count() AS n, uniqExact(unit_id) AS units, min(unit_id) AS low, max(unit_id) AS high FROM frames FINAL"
    )
    (row,) = store.rows(counted)
    store.close()
    assert row == {"n": FRAMES, "units": FRAMES, "low": "U00000", "high": f"U{FRAMES - 1:05d}"}
