"""The pages in a real browser: what matters is above the fold on a phone and a desktop; nothing is broken."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pytest
from click.testing import CliRunner
from playwright.sync_api import Page, sync_playwright

from sincewhen.cli.__main__ import main
from sincewhen_schemas.encode import encode_frames
from sincewhen_testing.needs import chromium
from sincewhen_testing.server import Server
from sincewhen_testing.station import GOLDEN, STATION, Recorded, batch, changes, columns, stream

SIZES = {"phone": (390, 844), "desktop": (1280, 800)}


def watched(server: Server, data: Recorded, last: int) -> None:
    """Learn, activate, and watch up to a frame."""
    for start in range(0, GOLDEN, 500):
        server.send(batch(data, start, start + 500))
    server.applied()
    (station,) = server.get("/api/v1/stations").json()
    built = server.post("/api/v1/profiles", {"station": STATION, "view": "top", **station["proposal"]})
    server.post(f"/api/v1/profiles/{built.json()['sha']}/activate", {"reason": "A/A passed"})
    for start in range(GOLDEN, last, 50):
        server.send(batch(data, start, start + 50))
    server.applied()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("d")) as server:
        watched(server, stream(57), GOLDEN + 850)
        yield server


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same change once more, while it is open."""
    with Server(tmp_path_factory.mktemp("d")) as server:
        watched(server, changes(95, (True, False, True)), GOLDEN + 1700)
        yield server


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """In control, then half of the frames come without their embedding."""
    with Server(tmp_path_factory.mktemp("d")) as server:
        data = stream(57)
        watched(server, data, GOLDEN + 100)
        for start in range(GOLDEN + 100, GOLDEN + 550, 50):
            half = {"head": np.arange(50) % 2 > 0}
            server.send(encode_frames(replace(columns(data, start, start + 50), present=half)))
        server.applied()
        yield server


@pytest.fixture(scope="module", params=list(SIZES))
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = SIZES[request.param]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": height})
        yield page
        browser.close()


def opened(page: Page, url: str) -> None:
    """The icon is asked for by itself: the browser fetches that of one page while it is on the next already."""
    said: list[str] = []
    here = urlsplit(url).netloc
    icon = "/static/icon.svg"
    page.on("console", lambda message: said.append(f"{message.text} {message.location['url']}"))
    page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
    page.on("request", lambda request: said.extend([request.url] if urlsplit(request.url).netloc != here else []))
    answer = page.goto(url)
    assert answer is not None
    assert answer.ok
    assert page.request.get(f"http://{here}{icon}").ok
    assert [what for what in said if not what.endswith(icon)] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("window.innerWidth"), (
        "no sideways scroll"
    )


def above_fold(page: Page, selector: str) -> bool:
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    assert page.viewport_size is not None
    return box["y"] + box["height"] <= page.viewport_size["height"]


def test_the_first_page_shows_the_open_incident_and_every_station(server: Server, page: Page) -> None:
    opened(page, f"{server.url}/")
    assert above_fold(page, ".card.open")
    assert "OUT OF CONTROL" in page.locator(".card.open").inner_text()
    assert STATION in page.locator("table").inner_text()


def test_the_incident_page_says_what_where_since_when_and_how_far_above_the_fold(server: Server, page: Page) -> None:
    opened(page, f"{server.url}/")
    page.locator(".card.open").click()
    page.wait_for_url("**/incidents/*")
    opened(page, page.url)
    heading = page.locator("h1").inner_text()
    assert heading.startswith("cam1 changed suddenly since ")
    for selector in ("h1", "dl", "svg.strip"):
        assert above_fold(page, selector), selector
    assert "with 95 %" in page.locator("dl").inner_text()
    assert "units suspect" in page.locator("dl").inner_text()


def test_the_incident_page_links_the_earlier_incident_that_it_looks_like(again: Server, page: Page) -> None:
    newest, _, first = again.get("/api/v1/incidents").json()
    assert newest["looks_like"] == {"id": first["id"], "since": first["since"], "station_id": STATION}
    opened(page, f"{again.url}/incidents/{newest['id']}")
    for selector in ("h1", "dl", "svg.strip"):
        assert above_fold(page, selector), selector
    assert f"looks like incident {first['id']} of {first['since'][:10]}" in page.locator("dl").inner_text()
    page.locator("dl a").click()
    page.wait_for_url(f"**/{first['id']}")
    told = CliRunner().invoke(main, ["since", "--station", STATION, "--server", again.url]).output
    assert f"Looks like incident {first['id']} of {first['since'][:10]}." in told


def test_a_view_whose_embedding_is_missing_says_so_wherever_its_state_is_shown(partial: Server, page: Page) -> None:
    (station,) = partial.get("/api/v1/stations").json()
    assert station["state"] == "insufficient data"
    (missing,) = station["missing"]
    assert missing.startswith("embedding 'head' in ")
    opened(page, f"{partial.url}/")
    assert missing in page.locator("table").first.inner_text()
    if (page.viewport_size or {"width": 0})["width"] >= SIZES["desktop"][0]:
        assert page.evaluate("[...document.querySelectorAll('.wide')].every(e => e.scrollWidth <= e.clientWidth)")
    opened(page, f"{partial.url}/stations/{STATION}")
    assert above_fold(page, ".missing")
    assert page.locator(".missing").inner_text() == f"View top, missing: {missing}."
    told = CliRunner().invoke(main, ["stations", "--server", partial.url]).output
    assert f"  missing: {missing}" in told
