"""Three stations with reference sets through the real server: weak haze on all is the line's, and named."""

from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np

from sincewhen.correlator.mean import MEAN_BINS
from sincewhen.correlator.reference import SERIES_BINS
from sincewhen_schemas.encode import encode_frames
from sincewhen_schemas.reference import encode_reference
from sincewhen_testing.line import names
from sincewhen_testing.references import pinned
from sincewhen_testing.server import Server
from sincewhen_testing.station import frames_of
from sincewhen_testing.streams import direction, mixing

LINE, STATIONS, CAUSES = "ulm/body/line1", names(3), ("haze", "dirt", "glare", "zoom")
START_NS, STEP_NS = 1_760_000_000_000_000_000, 10 * 10**9
LATENT, DIMS, GOLDEN = 12, 24, 1000
ONSET = GOLDEN + MEAN_BINS + SERIES_BINS + 100
END, PART = ONSET + 60, 100


def part(station: str, x: np.ndarray, start: int, stop: int) -> bytes:
    at_ns = START_NS + np.arange(start, stop) * STEP_NS
    return encode_frames(frames_of(station, start, at_ns, layers={"head": x[start:stop].astype(np.float16)}))


def told(server: Server, encoded: bytes) -> None:
    headers = {"Authorization": f"Bearer {server.token}"}
    answer = httpx.post(f"{server.url}/api/v1/references", content=encoded, headers=headers, timeout=60)
    assert answer.status_code == 201, answer.text


def test_weak_haze_on_all_stations_is_the_lines_and_is_named(tmp_path: Path) -> None:
    seed = 93
    print(f"seed {seed}")
    rng, frames = np.random.default_rng(seed), {}
    with Server(tmp_path) as server:
        for station in STATIONS:
            mix, ways = mixing(rng, LATENT, DIMS), {cause: direction(rng, LATENT) for cause in CAUSES}
            latent = rng.standard_normal((END, LATENT))
            latent[ONSET:] += 1.2 * ways["haze"]
            frames[station] = latent @ mix
            reference = pinned(rng.standard_normal((32, LATENT)) @ mix, {name: way @ mix for name, way in ways.items()})
            told(server, encode_reference(replace(reference, station_id=station)))
            server.send(*(part(station, frames[station], row, row + PART) for row in range(0, GOLDEN, PART)))
        server.applied()
        server.learn()
        for start in range(GOLDEN, END, 20):
            server.send(*(part(station, x, start, min(start + 20, END)) for station, x in frames.items()))
        server.applied()
        (incident,) = server.get("/api/v1/incidents").json()
        assert (incident["station_id"], incident["cause"], incident["stations"]) == (LINE, "haze", STATIONS)
        assert "cause:head:haze" in incident["streams"]
        (group,) = server.get("/api/v1/groups").json()
        assert {stream for stream in group["streams"] if "cause" in stream} == {f"cause:head:{name}" for name in CAUSES}
        page = server.get(f"/incidents/{incident['id']}").text
        assert "how much it looks like haze" in page
        for place in ("/", f"/stations/{STATIONS[0]}"):
            assert "cause:" not in server.get(place).text
