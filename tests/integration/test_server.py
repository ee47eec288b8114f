"""The embedded server as its users meet it: over HTTP, in a process of its own, killed and started again."""

import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import CliRunner

from sincewhen.cli.__main__ import main
from sincewhen.console.times import iso
from sincewhen.stack.ports import free_port
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_frames, encode_heartbeat, encode_upload
from sincewhen_testing.server import Server
from sincewhen_testing.station import (
    END,
    GOLDEN,
    ONSET,
    START_NS,
    STATION,
    STEP_NS,
    Recorded,
    activation,
    batch,
    columns,
    stream,
)

BATCH = 25
EXACTLY_ONCE = ("id", "since", "since_low", "since_high", "until", "shape", "lots", "units_suspect", "status")


def learn(server: Server, data: Recorded) -> None:
    """Send the golden frames, take the server's proposal, build and activate."""
    for start in range(0, GOLDEN, 500):
        assert server.send(batch(data, start, start + 500)).json()["accepted"] == 1
    server.applied()
    (station,) = server.get("/api/v1/stations").json()
    assert station["state"] == "learning"
    assert station["missing"] == []
    window = {"station": STATION, "view": "top", **station["proposal"]}
    built = server.post("/api/v1/profiles", window)
    assert built.status_code == 201, built.text
    assert server.post(f"/api/v1/profiles/{built.json()['sha']}/activate", {"reason": "A/A passed"}).status_code == 200


def story(server: Server, data: Recorded, kills: set[int], *, lost_answers: bool = False) -> list[dict[str, Any]]:
    """Send the rest; before the batches in `kills` the server is killed and the last batch sent again."""
    for number, start in enumerate(range(GOLDEN, len(data[0]), BATCH)):
        server.send(batch(data, start, start + BATCH))
        if number in kills:
            server.kill()
            server.start()
            if lost_answers:
                server.send(batch(data, start, start + BATCH))
    server.applied()
    found = server.get("/api/v1/incidents").json()
    scopes = {item["id"]: server.get(f"/api/v1/incidents/{item['id']}/scope").json() for item in found}
    return [{**{key: item[key] for key in EXACTLY_ONCE}, "scope": scopes[item["id"]]} for item in found]


def test_the_main_way_and_its_pages_and_commands(tmp_path: Path) -> None:
    data = stream(51)
    with Server(tmp_path / "d") as server:
        learn(server, data)
        (incident,) = story(server, data, set())
        assert incident["status"] == "ended"
        assert iso(START_NS + (ONSET - 3) * STEP_NS) <= incident["since"] <= iso(START_NS + (ONSET + 3) * STEP_NS)
        expected = {f"L{row // 100:02d}" for row in range(ONSET, END)}
        assert expected <= set(incident["lots"])
        assert len(set(incident["lots"]) - expected) <= 2
        home, page = server.get("/"), server.get(f"/incidents/{incident['id']}")
        assert home.status_code == page.status_code == 200
        assert "cam1" in home.text
        assert "95 %" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert b"sincewhen_frames_total 3400.0" in server.get("/metrics").content
        for command in (["incidents"], ["scope", incident["id"]], ["since", "--station", STATION], ["profile", "list"]):
            result = CliRunner().invoke(main, [*command, "--server", server.url])
            assert result.exit_code == 0, result.output
        asked = ["since", "--station", STATION, "--at", incident["since_high"], "--server", server.url]
        assert incident["id"] in CliRunner().invoke(main, asked).output
        assert server.stop() == 0
    result = CliRunner().invoke(main, ["incidents", "--server", server.url])
    assert result.exit_code == 1
    assert "is `sincewhen up` running there?" in result.output


def test_killed_in_mid_stream_every_frame_is_there_once_and_incidents_are_the_same(tmp_path: Path) -> None:
    seed = 52
    data = stream(seed)
    rng = np.random.default_rng(seed)
    kills = set(rng.choice(np.arange(2, 54), 10, replace=False).tolist())
    print(f"seed {seed}: killed after batches {sorted(kills)}")
    with Server(tmp_path / "calm") as server:
        learn(server, data)
        calm = story(server, data, set())
    with Server(tmp_path / "killed") as server:
        learn(server, data)
        killed = story(server, data, kills, lost_answers=True)
        (station,) = server.get("/api/v1/stations").json()
        assert station["frames"] == len(data[0])
    assert killed == calm
    assert calm


def test_bad_input_is_refused_with_a_reason_kept_and_counted_and_the_stream_goes_on(tmp_path: Path) -> None:
    data = stream(53)
    good = batch(data, 0, 32)
    with Server(tmp_path / "d") as server:
        assert server.send(good).status_code == 200
        assert server.send(good[: len(good) // 2], batch(data, 32, 64)).json()["accepted"] == 2
        refused = httpx.post(f"{server.url}/v1/frames", content=b"\xff" * 100)
        assert refused.status_code == 400
        assert refused.headers["content-type"] == "application/problem+json"
        assert httpx.post(f"{server.url}/v1/frames", content=b"x" * (9 * 1024 * 1024)).status_code == 413
        server.applied()
        letters = server.get("/api/v1/dead-letters").json()
        assert [letter["reason"] for letter in letters] == ["undecodable", "undecodable"]
        assert server.get("/api/v1/stations").json()[0]["frames"] == 64
        assert b'sincewhen_dead_letters_total{reason="undecodable"} 2.0' in server.get("/metrics").content


def test_too_few_golden_frames_are_refused_with_the_reason(tmp_path: Path) -> None:
    data = stream(54)
    with Server(tmp_path / "d") as server:
        server.send(batch(data, 0, 23))
        server.applied()
        (station,) = server.get("/api/v1/stations").json()
        assert station["missing"] == ["527 frames", "9 lots"]
        assert station["proposal"] is None
        assert station["state"] == "learning"
        window = {"station": STATION, "view": "top", "from": "2025-01-01", "to": "2026-12-31"}
        answer = server.post("/api/v1/profiles", window)
        assert answer.status_code == 422
        assert "at least 550 golden frames; got 23" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/api/v1/profiles", "/api/v1/profiles/x/activate", "/api/v1/nothing"])
def test_writes_need_the_token_before_anything_else_is_looked_at(path: str, tmp_path: Path) -> None:
    with Server(tmp_path / "d") as server:
        for given in (b"", b"Bearer wrong", "Bearer \xe9".encode("latin-1")):
            headers = {b"Authorization": given}
            assert httpx.post(f"{server.url}{path}", content=b"{", headers=headers).status_code == 401
        assert httpx.get(f"{server.url}/", headers={"Host": "evil.example"}).status_code == 421
        assert stat.S_IMODE((tmp_path / "d" / "token").stat().st_mode) == 0o600
        unknown = server.post("/api/v1/profiles/x/activate", {"reason": "r"})
        assert unknown.status_code == 404
        assert server.get("/incidents/<script>").status_code == 404
        assert server.get("/api/v1/openapi.json").json()["info"]["title"] == "SinceWhen"


def test_a_silent_station_is_blind_when_its_running_flag_says_that_it_produces(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(f'[[stations]]\nid = "{STATION}"\nviews = ["top", "side"]\n')
    with Server(tmp_path / "d", "--plant", str(tmp_path / "plant.toml")) as server:
        server.send(batch(stream(55), 0, 32))
        told = pb.Heartbeat(
            agent_id="pc", boot_id="b", view="side", sent_at_ns=START_NS, producing=True, mode=pb.AGENT_MODE_OBSERVE
        )
        server.send(encode_heartbeat(STATION, told))
        server.applied()
        side, top = server.get("/api/v1/stations").json()
        assert (side["view"], side["state"], side["silent"], side["frames"]) == ("side", "blind", True, 0)
        assert (top["view"], top["state"], top["silent"]) == ("top", "learning", False)
        assert "NO DATA" in server.get("/").text


def test_a_window_that_reaches_into_an_open_incident_is_no_reference(tmp_path: Path) -> None:
    data = stream(56)
    with Server(tmp_path / "d") as server:
        learn(server, data)
        for start in range(GOLDEN, END - 50, 50):
            server.send(batch(data, start, start + 50))
        server.applied()
        (incident,) = server.get("/api/v1/incidents").json()
        assert incident["status"] == "open"
        window = {"station": STATION, "view": "top", "from": iso(START_NS), "to": incident["since"]}
        answer = server.post("/api/v1/profiles", window)
        assert answer.status_code == 422
        assert f"incident {incident['id']} of {STATION} is open since" in answer.json()["detail"]
        listed = server.get("/api/v1/profiles").json()
    assert len(listed) == 1


def test_a_store_is_migrated_once_and_by_one_process(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["migrate", "--data", str(tmp_path / "d")])
    assert (told.exit_code, told.output) == (0, "applied: 0001_tables.sql\n")
    with Server(tmp_path / "d") as server:
        assert server.get("/api/v1/incidents").json() == []
        for command in (["migrate"], ["up", "--port", str(free_port())]):
            second = subprocess.run(
                [sys.executable, "-m", "sincewhen.cli", *command, "--data", str(tmp_path / "d")],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert second.returncode == 1
            assert "end another process" in second.stderr
            assert "Traceback" not in second.stderr
    again = CliRunner().invoke(main, ["migrate", "--data", str(tmp_path / "d")])
    assert again.output.startswith("nothing to apply")


def test_a_control_record_needs_the_token_like_every_other_write(tmp_path: Path) -> None:
    with Server(tmp_path / "d") as server:
        answer = server.send(batch(stream(58), 0, 32), activation("deadbeef"))
        assert answer.status_code == 401
        assert "frames and heartbeats only; got a control record" in answer.json()["detail"]
        headers = {"Authorization": f"Bearer {server.token}"}
        body = encode_upload([activation("deadbeef")])
        assert httpx.post(f"{server.url}/v1/frames", content=body, headers=headers).status_code == 200
        server.applied()
        (letter,) = server.get("/api/v1/dead-letters").json()
        assert letter["reason"] == "bad_control"
        assert "there is none of address 'deadbeef'" in letter["detail"]
        assert server.get("/api/v1/stations").json() == []


def test_the_sender_is_told_which_records_are_refused(tmp_path: Path) -> None:
    data = stream(59)
    late = encode_frames(replace(columns(data, 32, 64), captured_at_ns=np.full(32, 10**17)))
    huge = encode_frames(replace(columns(data, 64, 96), first_seq=2**64 - 40))
    with Server(tmp_path / "d") as server:
        answer = server.send(batch(data, 0, 32), late, huge).json()
        assert answer["accepted"] == 3
        assert [(item["index"], item["reason"]) for item in answer["refused"]] == [
            (1, "captured_before_2000"),
            (2, "out_of_range"),
        ]
        server.applied()
        assert len(server.get("/api/v1/dead-letters").json()) == 2
        assert server.get("/api/v1/stations").json()[0]["frames"] == 32


def test_a_view_that_the_plant_does_not_list_is_refused_and_views_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(f'[[stations]]\nid = "{STATION}"\nviews = ["top"]\n')
    data = stream(60)
    with Server(tmp_path / "d", "--plant", str(tmp_path / "plant.toml")) as server:
        server.send(encode_frames(replace(columns(data, 0, 32), view="side")))
        server.applied()
        assert server.get("/api/v1/dead-letters").json()[0]["reason"] == "unknown_view"
    with Server(tmp_path / "e") as server:
        for view in range(20):
            server.send(encode_frames(replace(columns(data, 0, 2), view=f"v{view}")))
        server.applied()
        assert len(server.get("/api/v1/stations").json()) == 16
        assert {letter["reason"] for letter in server.get("/api/v1/dead-letters").json()} == {"too_large"}


def test_an_activated_profile_is_seen_at_once(tmp_path: Path) -> None:
    with Server(tmp_path / "d") as server:
        learn(server, stream(61))
        server.applied()
        (station,) = server.get("/api/v1/stations").json()
    assert (station["state"], station["proposal"]) == ("in control", None)
    assert station["profile"]
