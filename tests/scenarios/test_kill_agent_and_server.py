"""kill -9 of agent and server in mid-stream: every frame is in the store once, incidents are those of a calm run."""

import time
from pathlib import Path

import numpy as np
import pytest

from sincewhen.store.connect import Connection
from sincewhen_edge.spool import Spool
from sincewhen_testing.camera import FRAMES, Camera
from sincewhen_testing.edge import run_edge, start_edge
from sincewhen_testing.server import Server

KILLS, RATE = 10, 60


def frames(server: Server) -> int:
    """Applied so far; a server that has just come back replays from its last barrier."""
    return sum(station["frames"] for station in server.get("/api/v1/stations").json())


@pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated")
def test_ten_kills_of_agent_and_server_lose_nothing_double_nothing_and_change_no_incident(tmp_path: Path) -> None:
    seed = 61
    rng = np.random.default_rng(seed)
    camera = Camera(tmp_path / "archive", seed)
    with Server(tmp_path / "calm") as server:
        rest = camera.learned(server, tmp_path / "calm-edge")
        run_edge(server, tmp_path / "calm-edge", *rest, "--fast")
        calm = camera.incidents(server)
    killed_at: list[str] = []
    with Server(tmp_path / "killed") as server:
        rest = camera.learned(server, tmp_path / "edge")
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
        assert camera.incidents(server) == calm
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
