"""An engineer's way: reference set, window, profile, its file; and what the commands say on the way."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from click.testing import CliRunner, Result

from sincewhen.backend.references import chosen, keep
from sincewhen.cli.__main__ import main
from sincewhen.embedded.runner import Runner
from sincewhen.plant import Plant
from sincewhen.profiles.profile import decode_profile, profile_sha
from sincewhen_schemas.reference import decode_reference, encode_reference, reference_sha
from sincewhen_testing.references import pinned
from sincewhen_testing.server import Server
from sincewhen_testing.station import END, GOLDEN, ONSET, START_NS, STATION, STEP_NS, Recorded, batch, stream
from sincewhen_testing.streams import direction

LOST = range(ONSET + 100, ONSET + 150)


@dataclass
class Taught:
    """A server that was taught by the commands, and what they said."""

    server: Server
    data: Recorded
    reference: bytes
    before: Result  # `stations` once learning misses nothing
    home: str  # the first page then
    built: Result  # the command that it proposed


def command(server: Server, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, arguments, env={"SINCEWHEN_SERVER": f"{server.url}/", "SINCEWHEN_TOKEN": server.token}
    )


def post(server: Server, encoded: bytes, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
    return httpx.post(f"{server.url}/api/v1/references", content=encoded, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taught]:
    data = stream(58)
    x = data[0].astype(np.float32)
    rng = np.random.default_rng(4)
    moves = {"haze": (x[ONSET:END].mean(axis=0) - x[:GOLDEN].mean(axis=0)) / 3, "dirt": direction(rng, x.shape[1])}
    known = pinned(x[:32], moves)
    newer = replace(known, model_version="2", built_at_ns=known.built_at_ns + 1)
    with Server(tmp_path_factory.mktemp("d")) as server:
        for start in range(0, GOLDEN, 500):
            server.send(batch(data, start, start + 500))
        server.applied()
        for encoded in (encode_reference(known), encode_reference(newer), encode_reference(known)):
            assert post(server, encoded, server.token).status_code == 201
        before = command(server, "stations")
        home = server.get("/").text
        proposed = next(line for line in before.output.splitlines() if "sincewhen profile build" in line)
        built = command(server, *shlex.split(proposed.partition(": sincewhen ")[2]))
        assert built.exit_code == 0, built.output
        command(server, "profile", "activate", json.loads(built.output)["sha"], "--why", "A/A passed", "--by", "eve")
        for start in range(GOLDEN, END, 50):
            if start not in LOST:
                server.send(batch(data, start, start + 50))
        server.applied()
        yield Taught(server, data, encode_reference(known), before, home, built)


def test_a_reference_set_is_kept_once_under_its_sha_and_needs_the_token(plant: Taught) -> None:
    assert post(plant.server, plant.reference, "wrong").status_code == 401
    junk = post(plant.server, b"junk", plant.server.token)
    assert junk.status_code == 422
    assert junk.json()["detail"].startswith("a reference set is a whole .npz file of plain arrays; got")
    newest, first = plant.server.get("/api/v1/references").json()
    assert newest["model_version"] == "2"
    assert first == {
        "sha": reference_sha(plant.reference),
        "station_id": STATION,
        "view": "top",
        "regime": "",
        "model_name": "net",
        "model_version": "1",
        "layers": {"head": 24},
        "images": 32,
        "causes": ["haze", "dirt"],
        "built_at": "2025-06-15T15:06:40.000000Z",
    }


def test_a_profile_knows_the_causes_of_the_newest_set_of_its_model_version(plant: Taught) -> None:
    summary = json.loads(plant.built.output)
    assert summary["reference"] == reference_sha(plant.reference)
    causes = summary["causes"]["head"]
    assert causes["known"] == ["haze", "dirt"]
    assert causes["families"] == [["haze"], ["dirt"]]
    assert causes["decision_limits"].keys() == {"haze", "dirt"}
    (incident,) = plant.server.get("/api/v1/incidents").json()
    assert incident["cause"] == "haze"
    assert "looks like haze" in plant.server.get(f"/incidents/{incident['id']}").text


def test_a_profile_takes_the_newest_set_of_every_regime(tmp_path: Path) -> None:
    """A set of other causes can't be joined: the newest ones say what is known."""
    rng = np.random.default_rng(51)
    clean, move = rng.standard_normal((8, 24)), direction(rng, 24)
    newest = replace(pinned(clean, {"haze": move}), regime="A")
    day = 24 * 3600 * 10**9
    sets = {
        "A": newest,
        "A of before": replace(newest, seed=2, built_at_ns=newest.built_at_ns - day),
        "B": replace(pinned(clean + 1, {"haze": move}), regime="B", built_at_ns=newest.built_at_ns - 2 * day),
        "C": replace(pinned(clean, {"dirt": move}), regime="C", built_at_ns=newest.built_at_ns - 3 * day),
    }
    runner = Runner(tmp_path, Plant())
    shas = {name: keep(runner.backend(), encode_reference(one)).sha for name, one in sets.items()}
    both, name = chosen(runner.backend(), "newest", STATION, "top", "1")
    assert name == f"{shas['A']}+{shas['B']}"
    assert both is not None
    assert (both.regime, both.causes, len(both.images)) == ("", ("haze",), 16)
    np.testing.assert_array_equal(
        both.clean["head"], np.concatenate([sets["A"].clean["head"], sets["B"].clean["head"]])
    )
    np.testing.assert_array_equal(both.faults["head"][:, :, 8:], sets["B"].faults["head"])
    assert both.decision_faults is not None
    assert both.decision_faults.shape == (1, 5, 16)
    alone, name = chosen(runner.backend(), shas["A of before"], STATION, "top", "1")
    assert alone is not None
    assert (name, alone.seed, len(alone.images)) == (shas["A of before"], 2, 8)
    runner.stop()


def test_another_reference_set_is_named_by_its_sha_or_none_at_all(plant: Taught) -> None:
    window = {"station": STATION, "view": "top", "from": "2025-01-01", "to": iso(GOLDEN - 1)}
    newest, _ = plant.server.get("/api/v1/references").json()
    for wanted, status, words in (
        (newest["sha"], 422, "other_model: a reference set is of the profile's model version '1'; got '2'"),
        ("0" * 16, 404, f"there is no reference set '0000000000000000' of {STATION} top"),
    ):
        answer = plant.server.post("/api/v1/profiles", {**window, "reference": wanted})
        assert answer.status_code == status
        assert answer.json()["detail"].startswith(words)
    without = plant.server.post("/api/v1/profiles", {**window, "reference": "none"}).json()
    assert (without["reference"], without["causes"]) == (None, {})


def test_an_exported_profile_is_its_sha_and_serves_backtest(plant: Taught, tmp_path: Path) -> None:
    sha = json.loads(plant.built.output)["sha"]
    out, rows = tmp_path / "p.profile", tmp_path / "rows.npz"
    assert command(plant.server, "profile", "export", sha, "--out", str(out)).exit_code == 0
    assert profile_sha(out.read_bytes()) == sha
    assert decode_profile(out.read_bytes()).station_id == STATION
    np.savez(rows, x=plant.data[0].astype(np.float32))
    told = command(
        plant.server, "backtest", str(rows), "--golden", str(GOLDEN), "--arl0", "10000", "--profile", str(out)
    )
    assert told.exit_code == 0
    assert "looks like haze" in told.output
    unknown = command(plant.server, "profile", "export", "0" * 16, "--out", str(out))
    assert unknown.exit_code == 1
    assert "404: there is no profile '0000000000000000'" in unknown.output
    nowhere = command(plant.server, "profile", "export", sha, "--out", str(tmp_path / "no" / "p"))
    assert nowhere.exit_code == 2
    assert "names a file in a folder that is there" in " ".join(nowhere.output.split())
    assert not (tmp_path / "no").exists()


def test_stations_tells_what_is_known_and_what_to_run_next(plant: Taught) -> None:
    first, proposal = plant.before.output.splitlines()
    assert first.startswith(f"{STATION}  top  learning  since 2025-10-09T")
    assert f"{GOLDEN} frames, the last 2025-10-09T" in first
    assert f"--station {STATION} --view top --from 2025-10-09T08:53:20.000000Z --to" in proposal
    assert "a profile can be built from 2025-10-09 08:53:20 to 2025-10-09 09:59:58" in plant.home
    now = command(plant.server, "stations").output
    assert "profile build" not in now
    assert json.loads(command(plant.server, "stations", "--json").output)[0]["station_id"] == STATION


def test_every_query_command_takes_a_server_with_a_slash_at_its_end(plant: Taught) -> None:
    (incident,) = plant.server.get("/api/v1/incidents").json()
    for arguments in (
        ["incidents"], ["scope", incident["id"]], ["since", "--station", STATION], ["stations"], ["profile", "list"]
    ):  # fmt: skip
        told = command(plant.server, *arguments)
        assert told.exit_code == 0, told.output


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"from": "1500-01-01"}, 422, "a window begins before it ends, both in 2000..2100; got 1500-01-01T00:00:00"),
        ({"to": "2100-01-02"}, 422, "both in 2000..2100"),
        ({"from": "2026-01-01", "to": "2026-01-01"}, 422, "a window begins before it ends"),
        ({"view": "side"}, 404, f"there is no view 'side' of '{STATION}'; stations and views there are: {STATION} top"),
        ({"station": "p/a/l/other"}, 404, "there is no view 'top' of 'p/a/l/other'; stations and views there are:"),
    ],
)
def test_a_window_that_can_not_be_says_the_rule(
    plant: Taught, changed: dict[str, str], status: int, words: str
) -> None:
    window = {"station": STATION, "view": "top", "from": "2025-01-01", "to": "2026-01-01", **changed}
    answer = plant.server.post("/api/v1/profiles", window)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_a_station_nobody_heard_of_is_not_in_control(plant: Taught) -> None:
    told = command(plant.server, "since", "--station", "p/a/l/other")
    assert told.exit_code == 1
    assert f"404: there is no station 'p/a/l/other'; stations and views there are: {STATION} top" in told.output
    assert plant.server.get("/api/v1/blind-time?station=p/a/l/other").status_code == 404


def test_blind_time_is_listed_and_stands_on_the_page_of_the_incident_it_lies_in(plant: Taught) -> None:
    (blind,) = plant.server.get(f"/api/v1/blind-time?station={STATION}").json()
    assert blind == {
        "station_id": STATION,
        "view": "top",
        "since": iso(LOST.start - 1),
        "until": iso(LOST.stop),
        "reason": "sequence_gap",
        "frames_missed": len(LOST),
    }
    (incident,) = plant.server.get("/api/v1/incidents").json()
    page = plant.server.get(f"/incidents/{incident['id']}").text
    assert "Nobody monitored" in page
    assert f"view top: frames were lost on the way ({len(LOST)})" in page


def test_a_set_that_is_built_again_keeps_its_sha_and_is_the_newest_and_an_older_copy_changes_nothing(
    plant: Taught,
) -> None:
    first = decode_reference(plant.reference)
    again = encode_reference(replace(first, built_at_ns=first.built_at_ns + 10**9))
    for encoded in (again, plant.reference):
        assert post(plant.server, encoded, plant.server.token).json()["sha"] == reference_sha(plant.reference)
        newest, other = plant.server.get("/api/v1/references").json()
        assert (newest["model_version"], newest["built_at"]) == ("1", "2025-06-15T15:06:41.000000Z")
        assert other["model_version"] == "2"


def iso(row: int) -> str:
    at = np.datetime64(START_NS + row * STEP_NS, "ns").astype("datetime64[us]")
    return f"{at}Z"
