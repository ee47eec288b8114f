"""Through the real server: a new profile measures within the basis of its model version's others, or a pooled one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from sincewhen_testing.server import Server
from sincewhen_testing.station import START_NS, STEP_NS, Recorded, batch
from sincewhen_testing.streams import direction, mixing

SEED, LATENT, DIMS, GOLDEN, CHANGE, LONG = 17, 24, 96, 1500, 300, 700
STATIONS = tuple(f"ulm/body/line1/cam{number}" for number in range(1, 5))
FIRST, TWIN, STRANGER, MISFIT = STATIONS
TOLD = (
    "layer 'head' can't be compared with {} until those are built again: "
    "its common basis is of 3 stations, theirs is another"
)


@dataclass
class Plant:
    server: Server
    data: dict[str, Recorded]
    built: list[dict[str, Any]]  # first, twin, stranger, the first again, misfit


def recorded() -> dict[str, Recorded]:
    """The first two see one scene, and the same change in it one after the other; the third sees another scene.

    What the fourth sees varies in more ways than fit into one basis with the others'.
    """
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    mix, strange, many = (mixing(rng, latent, DIMS) for latent in (LATENT, LATENT, 2 * LATENT))
    way = direction(rng, LATENT)
    found = {}
    for number, (station, seen) in enumerate(zip(STATIONS, (mix, mix, strange, many), strict=True)):
        onset = GOLDEN + 100 + number * LONG
        latent = rng.standard_normal((onset + LONG - 100, len(seen)))
        if station in {FIRST, TWIN}:
            latent[onset : onset + CHANGE] += 3 * way
        x = (latent @ seen + 0.1 * rng.standard_normal((len(latent), DIMS))).astype(np.float16)
        lots = np.array([f"L{row // 100:02d}" for row in range(len(x))], object)
        found[station] = (x, rng.standard_normal(len(x)).astype(np.float32), lots)
    return found


def send(plant: Plant, station: str, start: int, stop: int) -> None:
    for first in range(start, stop, 250):
        plant.server.send(batch(plant.data[station], first, min(first + 250, stop), station))


def build(plant: Plant, station: str) -> dict[str, Any]:
    window = {"station": station, "view": "top", "from": iso(0), "to": iso(GOLDEN - 1)}
    answer = plant.server.post("/api/v1/profiles", window)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def iso(row: int) -> str:
    return f"{np.datetime64(START_NS + row * STEP_NS, 'ns').astype('datetime64[us]')}Z"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with Server(tmp_path_factory.mktemp("d")) as server:
        plant = Plant(server, recorded(), [])
        for station in STATIONS:
            send(plant, station, 0, GOLDEN)
        server.applied()
        for station in (FIRST, TWIN):
            plant.built.append(build(plant, station))
            server.post(f"/api/v1/profiles/{plant.built[-1]['sha']}/activate", {"reason": "A/A passed", "by": "eve"})
        server.applied()
        plant.built += [build(plant, STRANGER), build(plant, FIRST), build(plant, MISFIT)]
        for station in (FIRST, TWIN):
            send(plant, station, GOLDEN, len(plant.data[station][0]))
        server.applied()
        yield plant


def apart(made: dict[str, Any]) -> list[str]:
    return [warning for warning in made["warnings"] if "can't be compared" in warning]


def test_a_second_station_of_the_model_version_measures_within_the_first_one_s_basis(plant: Plant) -> None:
    first, twin, *_ = plant.built
    assert first["common_bases"].keys() == {"head"}
    assert twin["common_bases"] == first["common_bases"]
    assert apart(first) == apart(twin) == []
    assert plant.server.get(f"/api/v1/profiles/{twin['sha']}").json()["common_bases"] == first["common_bases"]


def test_a_station_whose_pictures_it_does_not_explain_gets_a_pooled_one_and_says_who_is_to_be_built_again(
    plant: Plant,
) -> None:
    first, _, stranger, *_ = plant.built
    assert stranger["common_bases"] != first["common_bases"]
    assert apart(stranger) == [TOLD.format(f"{FIRST} top, {TWIN} top")]


def test_who_is_built_again_measures_within_the_pooled_one(plant: Plant) -> None:
    _, _, stranger, again, _ = plant.built
    assert again["common_bases"] == stranger["common_bases"]
    assert apart(again) == [TOLD.format(f"{TWIN} top")]


def test_a_station_that_no_common_basis_explains_has_its_own_and_says_why(plant: Plant) -> None:
    *others, misfit = plant.built
    assert misfit["common_bases"]["head"] not in {other["common_bases"]["head"] for other in others}
    (warning,) = apart(misfit)
    assert warning.startswith(f"layer 'head' can't be compared with {FIRST} top, {TWIN} top, {STRANGER} top: a common ")
    assert "explains at least 95% of what a layer's own axes do; got" in warning


def test_an_incident_is_told_to_look_like_the_one_at_the_other_station(plant: Plant) -> None:
    second, first = plant.server.get("/api/v1/incidents").json()
    assert (first["station_id"], first["looks_like"]) == (FIRST, None)
    assert second["station_id"] == TWIN
    assert second["looks_like"] == {"id": first["id"], "since": first["since"], "station_id": FIRST}
    page = plant.server.get(f"/incidents/{second['id']}").text
    assert f">incident {first['id']}</a> at {FIRST} of {first['since'][:10]}" in page
