"""Three stations of a line through the real server: a common cause is one incident, the same after kill -9."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sincewhen.correlator.mean import MEAN_BINS
from sincewhen.correlator.reference import SERIES_BINS
from sincewhen.embedded.runner import Runner
from sincewhen.plant import Plant
from sincewhen.store import read
from sincewhen_schemas.encode import encode_frames
from sincewhen_testing.line import names
from sincewhen_testing.server import Server
from sincewhen_testing.station import frames_of

LINE, STATIONS = "ulm/body/line1", names(3)
START_NS, STEP_NS = 1_760_000_000_000_000_000, 10 * 10**9
GOLDEN = 600
ONSET = GOLDEN + MEAN_BINS + SERIES_BINS + 100
END, PART = ONSET + 120, 200


def recorded(seed: int) -> np.ndarray:
    """Brightness (frames, stations): from ONSET on all are brighter by one standard deviation."""
    print(f"seed {seed}")
    x = np.random.default_rng(seed).standard_normal((END, len(STATIONS)))
    x[ONSET:] += 1.0
    return x


def part(x: np.ndarray, start: int, stop: int) -> list[bytes]:
    """The same stretch of every station; unit ids count rows."""
    rows = np.arange(start, min(stop, END))
    return [
        encode_frames(
            frames_of(
                station,
                start,
                START_NS + rows * STEP_NS,
                factors={"brightness": x[rows, i].astype(np.float32)},
                context={"unit_id": np.array([f"{station[-5:]}-{row}" for row in rows], object)},
            )
        )
        for i, station in enumerate(STATIONS)
    ]


def learn(server: Server, x: np.ndarray) -> None:
    for start in range(0, GOLDEN, PART):
        server.send(*part(x, start, start + PART))
    server.applied()
    server.learn()


def incidents(server: Server) -> list[dict[str, Any]]:
    server.applied()
    found: list[dict[str, Any]] = server.get("/api/v1/incidents").json()
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A server that was killed twice on the way, and what it says in the end."""
    folder, x = tmp_path_factory.mktemp("killed"), recorded(91)
    with Server(folder) as server:
        learn(server, x)
        for start in range(GOLDEN, END, 20):
            server.send(*part(x, start, start + 20))
            if start in {GOLDEN + 1000, ONSET + 40}:
                server.kill()
                server.start()
        found = incidents(server)
        (incident,) = found
        scope = server.get(f"/api/v1/incidents/{incident['id']}/scope").json()
        assert scope["stations"] == STATIONS
        assert {row["value"][:5] for row in scope["units"]} == {station[-5:] for station in STATIONS}
        for place in (LINE, *STATIONS):
            assert server.get(f"/api/v1/since?station={place}").json()["id"] == incident["id"]
        assert server.get("/api/v1/since?station=ulm/body/line9").status_code == 404
        (group,) = server.get("/api/v1/groups").json()
        assert (group["group_id"], group["state"], group["late_sums"]) == (LINE, "out of control", 0)
        assert 'sincewhen_late_sums{site="ulm"} 0.0' in server.get("/metrics").text
        assert "3 stations of line1 changed" in server.get(f"/incidents/{incident['id']}").text
        assert LINE in server.get("/").text
    return folder, found


def test_a_common_cause_is_one_incident_of_the_line(told: tuple[Path, list[dict[str, Any]]]) -> None:
    (incident,) = told[1]
    assert (incident["station_id"], incident["stations"]) == (LINE, STATIONS)


def test_a_server_that_was_killed_says_what_one_that_was_not_says(
    tmp_path: Path, told: tuple[Path, list[dict[str, Any]]]
) -> None:
    x = recorded(91)
    with Server(tmp_path) as server:
        learn(server, x)
        for start in range(GOLDEN, END, 20):
            server.send(*part(x, start, start + 20))
        assert incidents(server) == told[1]


def test_what_the_store_does_not_know_after_a_kill_is_written_at_the_next_start(
    told: tuple[Path, list[dict[str, Any]]],
) -> None:
    runner = Runner(told[0], Plant())
    known = {incident.incident_id: incident for incident in read.incidents(runner.connection)}
    runner.connection.command("TRUNCATE TABLE incidents")
    runner.stop()
    again = Runner(told[0], Plant())
    now = {incident.incident_id: incident for incident in read.incidents(again.connection)}
    again.stop()
    (whole,) = [incident for incident in known.values() if not incident.merged_into]
    assert now == {whole.incident_id: now[whole.incident_id]}
    assert now[whole.incident_id].detection_ids == whole.detection_ids
