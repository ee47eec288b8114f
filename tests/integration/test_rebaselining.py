"""A lens of another type: detection, a new level, a reference from it, who and why, and pages by the new reference."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import CliRunner, Result
from playwright.sync_api import sync_playwright

from sincewhen.cli.__main__ import main
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_control, encode_upload
from sincewhen_testing.needs import chromium
from sincewhen_testing.server import Server
from sincewhen_testing.station import GOLDEN, START_NS, STATION, STEP_NS, Recorded, batch
from sincewhen_testing.streams import direction, mixing, noise

SEED = 97
REPLACED, FRAMES_MAX, CALM, DRIFTED = GOLDEN + 400, 12_000, 1500, 400
WHY = "lens type B since the morning"


def recorded(level_end: int) -> Recorded:
    """A lens of another type from REPLACED on, and a drift of its own CALM frames after level_end."""
    rng = np.random.default_rng(SEED)
    latent = noise(rng, FRAMES_MAX, 12)
    latent[REPLACED:] += 3 * direction(rng, 12)
    latent[level_end + CALM :] += 3 * direction(rng, 12)
    lots = np.array([f"L{row // 100:03d}" for row in range(FRAMES_MAX)], object)
    return (latent @ mixing(rng, 12, 24)).astype(np.float16), rng.standard_normal(FRAMES_MAX).astype(np.float32), lots


def iso(row: int) -> str:
    return f"{np.datetime64(START_NS + row * STEP_NS, 'ns').astype('datetime64[us]')}Z"


@dataclass
class Story:
    """What was seen on the way."""

    server: Server
    early: list[httpx.Response] = field(default_factory=list)  # windows that were asked for before it was a new level
    proposed: dict[str, Any] = field(default_factory=dict)  # the incident when it was
    told: str = ""  # `since` then
    page: str = ""
    before_onset: httpx.Response | None = None
    said: list[Result] = field(default_factory=list)  # build, activate
    calm: list[dict[str, Any]] = field(default_factory=list)  # incidents at the end of the calm stretch
    drifted: list[dict[str, Any]] = field(default_factory=list)


def command(server: Server, *arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments, env={"SINCEWHEN_SERVER": server.url, "SINCEWHEN_TOKEN": server.token})
    assert result.exit_code == 0, result.output
    return result


def send(server: Server, data: Recorded, first: int, last: int) -> None:
    for start in range(first, last, 100):
        server.send(batch(data, start, min(start + 100, last)))
    server.applied()


def window(first: int, last: int) -> dict[str, str]:
    return {"station": STATION, "view": "top", "from": iso(first), "to": iso(last)}


def replace_lens(server: Server) -> None:
    told = pb.Control(control_id="lens", at_ns=START_NS + REPLACED * STEP_NS, actor="eve", reason="worn")
    told.recorded_change.kind = "replacement"
    headers = {"Authorization": f"Bearer {server.token}"}
    body = encode_upload([encode_control(STATION, told)])
    assert httpx.post(f"{server.url}/v1/frames", content=body, headers=headers).status_code == 200


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    data = recorded(FRAMES_MAX)
    with Server(tmp_path_factory.mktemp("d")) as server:
        seen = Story(server)
        send(server, data, 0, GOLDEN)
        built = server.post("/api/v1/profiles", window(0, GOLDEN - 1)).json()
        command(server, "profile", "activate", built["sha"], "--why", "A/A passed")
        send(server, data, GOLDEN, REPLACED)
        replace_lens(server)
        row = REPLACED
        while not seen.proposed:
            send(server, data, row, row + 500)
            row += 500
            (incident,) = server.get("/api/v1/incidents").json()
            if incident["new_level"]:
                seen.proposed = incident
            elif row < REPLACED + 1500:
                seen.early.append(server.post("/api/v1/profiles", window(REPLACED + 100, row)))
        seen.told = command(server, "since", "--station", STATION).output
        seen.page = server.get(f"/incidents/{incident['id']}").text
        seen.before_onset = server.post("/api/v1/profiles", window(REPLACED - 100, row))
        proposal = next(line for line in command(server, "stations").output.splitlines() if "profile build" in line)
        seen.said.append(command(server, *shlex.split(proposal.partition(": sincewhen ")[2])))
        sha = json.loads(seen.said[0].output)["sha"]
        seen.said.append(command(server, "profile", "activate", sha, "--why", WHY, "--by", "eve"))
        data = recorded(row)
        send(server, data, row, row + CALM)
        seen.calm = server.get("/api/v1/incidents").json()
        send(server, data, row + CALM, row + CALM + DRIFTED)
        seen.drifted = server.get("/api/v1/incidents").json()
        print(f"seed {SEED}: a new level after {row - REPLACED} frames")
        yield seen


def test_a_window_into_a_change_is_refused_until_it_is_a_new_level_and_then_from_its_onset_on(story: Story) -> None:
    assert story.early
    for answer in story.early:
        assert answer.status_code == 422
        assert "end the window before it, or wait for its end" in answer.json()["detail"]
    assert story.before_onset is not None
    assert story.before_onset.status_code == 422
    assert "begin the window at or after its onset 2025-10-09T10:13:20" in story.before_onset.json()["detail"]


def test_a_change_that_stays_where_a_recorded_change_put_it_is_proposed_as_a_new_level(story: Story) -> None:
    assert story.proposed["since"] == iso(REPLACED)
    assert "a new reference is proposed" in story.told
    assert "Stable since a recorded change: if that was meant, build and activate a" in story.page
    assert "began with a lot" not in story.page


def test_an_activation_ends_the_incident_and_says_who_and_why(story: Story) -> None:
    (ended,) = story.calm
    assert ended["id"] == story.proposed["id"]
    assert (ended["status"], ended["new_level"]) == ("ended", False)
    assert ended["closed"] == {"by": "eve", "why": WHY, "said": f"closed by re-baselining: eve, {WHY}"}
    told = command(story.server, "incidents").output
    assert f"closed by re-baselining: eve, {WHY}" in told


def test_the_new_level_pages_nobody_and_a_drift_from_it_does(story: Story) -> None:
    later, ended = story.drifted
    assert (later["status"], ended["status"]) == ("open", "ended")
    assert later["since"] > ended["until"]
    assert later["closed"] is None


def test_who_and_why_are_listed_with_the_profile(story: Story) -> None:
    sha = json.loads(story.said[0].output)["sha"]
    shown = json.loads(command(story.server, "profile", "show", sha).output)
    (said,) = shown["activations"]
    assert (said["by"], said["why"]) == ("eve", WHY)
    assert f"by eve: {WHY}" in command(story.server, "profile", "list").output


@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"reason": "a\nb"}, {"reason": "r", "by": ""}])
def test_an_activation_needs_a_reason(story: Story, body: dict[str, str]) -> None:
    sha = json.loads(story.said[0].output)["sha"]
    assert story.server.post(f"/api/v1/profiles/{sha}/activate", body).status_code == 422


def test_the_stations_page_says_who_and_why(story: Story, tmp_path: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        for width in (390, 1280):
            page = browser.new_page(viewport={"width": width, "height": 844})
            page.goto(f"{story.server.url}/")
            page.locator("table a").first.click()
            page.screenshot(path=str(tmp_path / f"station{width}.png"), full_page=True)
            table = page.locator("table").nth(1).inner_text()
            assert "eve" in table
            assert WHY in table
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.locator(".card").last.click()
            assert f"closed by re-baselining: eve, {WHY}" in page.locator("dl").inner_text()
            page.screenshot(path=str(tmp_path / f"incident{width}.png"), full_page=True)
        browser.close()
    assert story.server.get("/stations/p/a/l/other").status_code == 404
