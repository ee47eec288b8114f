"""`sincewhen scan` as the first thing a plant tries: an archive that is there, offline; and a resume after kill -9."""

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from sincewhen_testing.edge import write_archive
from sincewhen_testing.needs import chromium, shared_data
from sincewhen_testing.pictures import LOT_FRAMES, SIDE, pools, stream

START = 1_760_000_000
CALM, LOT, BACK, LIGHT, END = 700, 150, 250, 200, 200  # pictures
LOT_AT, LIGHT_AT = CALM, CALM + LOT + BACK
FRAMES = LIGHT_AT + LIGHT + END
_KILL_AFTER = 80  # pictures in the cache
_BOX = 120.0


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calm, another paper grade, calm, trans-illumination, calm; a truncated file and two of another camera."""
    seed = 91
    print(f"seed {seed}")
    pictures, rng = pools(), np.random.default_rng(seed)
    calm = (pictures["BRG01_RL", "ok"], pictures["BRG01_RL", "defect"], 0.05)
    lot = (pictures["BTN01_RL", "ok"], pictures["BTN01_RL", "defect"], 0.05)
    light = (pictures["FLR01_TL", "ok"], pictures["FLR01_TL", "defect"], 0.05)
    story = [(*calm, CALM), (*lot, LOT), (*calm, BACK), (*light, LIGHT), (*calm, END)]
    folder = tmp_path_factory.mktemp("archive")
    index = write_archive(folder, "a", stream(story, rng, 0), START)
    (folder / "broken.png").write_bytes((folder / "a-00000.png").read_bytes()[:2000])
    with index.open("a") as file:
        file.write(f"broken.png,{START + 20.5},R000,\n")
        for number in range(2):
            Image.new("RGB", (64, 48), (9, 9, number)).save(folder / f"other{number}.png")
            file.write(f"other{number}.png,{START + 30.5 + number},R000,\n")
    return folder


def command(out: Path, cache: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    line = [sys.executable, "-m", "sincewhen.cli", "scan", *arguments, "--side", str(SIDE)]
    line += ["--out", str(out / "report.html"), "--json", str(out / "scan.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cache)}
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def scanned(out: Path, cache: Path, *arguments: str) -> tuple[dict[str, Any], str, str]:
    """The JSON, the page, and what was said."""
    process = command(out, cache, *arguments)
    said, complained = process.communicate()
    assert process.returncode == 0, complained.decode()
    return json.loads((out / "scan.json").read_text()), (out / "report.html").read_text(), said.decode()


@pytest.fixture(scope="module")
def killed_and_done(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], Path]:
    """The archive scanned after a scan that was killed; how many pictures that one had left in the cache."""
    out = tmp_path_factory.mktemp("out")
    arguments = (str(archive), "--index", str(archive / "a.csv"))
    process = command(out, out, *arguments)
    until = time.monotonic() + _BOX
    while (kept := cached(out)) < _KILL_AFTER and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out / "report.html").exists()
    kept = cached(out)
    report, _, said = scanned(out, out, *arguments)
    print(said)
    return kept, report, out


def cached(folder: Path) -> int:
    file = folder / "sincewhen" / "scan.sqlite"
    if not file.exists():
        return 0
    connection = sqlite3.connect(file)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM features").fetchone()[0])
    except sqlite3.OperationalError:  # before its tables are there
        return 0
    finally:
        connection.close()


def test_the_lot_and_the_light_are_found_and_dated_and_nothing_else(
    killed_and_done: tuple[int, dict[str, Any], Path],
) -> None:
    _, report, _ = killed_and_done
    assert report["refused"] is None
    assert report["n"] == FRAMES + 2
    first, last = report["baseline"]["rows"]
    assert first <= 10
    assert LOT_AT - 20 <= last < LOT_AT + 2
    rows = [LOT_AT + 2, LIGHT_AT + 2]  # the two pictures of another camera lie before
    assert len(report["alarms"]) == len(rows)
    for alarm, row, length in zip(report["alarms"], rows, (LOT, LIGHT), strict=True):
        print({key: alarm[key] for key in ("at", "since", "since_low", "since_high", "until", "shape", "lots")})
        assert alarm["since_low"] - 2 <= row <= alarm["since_high"] + 2
        assert abs(alarm["confirmed"]["since"] - row) <= 3
        assert abs(alarm["until"] - (row + length - 1)) <= 20
        true_lots = {f"R{(row - 2 + at) // LOT_FRAMES:03d}" for at in range(length)}
        assert true_lots <= set(alarm["lots"])
    assert report["alarms"][0]["since_at"].startswith("2025-10-09T09:0")
    assert report["ordered_by"] == {"index": FRAMES + 2, "exif": 0, "file": 0, "name": 0}
    assert [item["path"] for item in report["unreadable"]] == ["broken.png"]
    assert [(item["reason"], item["count"]) for item in report["not_judged"]] == [("another size", 2)]


def test_a_scan_that_was_killed_goes_on_where_it_was(
    killed_and_done: tuple[int, dict[str, Any], Path], archive: Path, tmp_path: Path
) -> None:
    kept, report, out = killed_and_done
    print(f"{kept} pictures were in the cache when it was killed")
    assert _KILL_AFTER <= kept < FRAMES
    assert cached(out) == FRAMES + 2
    again, _, _ = scanned(tmp_path, out, str(archive), "--index", str(archive / "a.csv"))
    print(f"first {report['elapsed_s']} s, again {again['elapsed_s']} s")
    assert {**again, "elapsed_s": 0} == {**report, "elapsed_s": 0}


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_page_stands_alone_and_says_the_change_above_the_fold(
    killed_and_done: tuple[int, dict[str, Any], Path], width: int, height: int
) -> None:
    page_file = killed_and_done[2] / "report.html"
    text = page_file.read_text()
    assert "<script" not in text
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert max(len(uri) for uri in re.findall(r"data:image/jpeg;base64,([^\"]+)", text)) <= 30_000
    outside = re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL)
    assert not re.search(r"embedding|p-value|sigma", outside, re.IGNORECASE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": height}, java_script_enabled=True)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert page.locator("h1").inner_text() == f"2 changes found in {FRAMES + 2:,} pictures"
        box = page.locator("#change-1 h2").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= height
        assert page.locator("#change-1 .pictures img").count() == 8
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()


@pytest.mark.parametrize("dataset", ["piped", "robocup_msl"])
def test_real_pictures_as_they_are_are_too_few_and_nothing_is_invented(dataset: str, tmp_path: Path) -> None:
    data = shared_data()
    index = tmp_path / "index.csv"
    with (data / "images/index.csv").open() as file, index.open("w", newline="") as out:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == dataset]
        lines = csv.writer(out)
        lines.writerow(["path", "captured_at", "lot"])
        lines.writerows([row["path"], row["time"] or START + 60 * n, row["lot"]] for n, row in enumerate(rows))
    report, page, said = scanned(tmp_path, tmp_path, str(data), "--index", str(index))
    print(dataset, said)
    assert report["alarms"] == []
    assert report["baseline"] is None
    assert "at least 550 pictures" in report["refused"]
    assert "can not be judged" in page
    assert page.count("data:image/jpeg") == 24
