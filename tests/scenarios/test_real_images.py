"""Real pictures of a paper inspection (PIPED) through the edge agent, HTTP, server and commands."""

import csv
import time
from pathlib import Path

import numpy as np
from PIL import Image

from sincewhen_testing.edge import activate, iso, row, run_edge, write_archive
from sincewhen_testing.needs import shared_data
from sincewhen_testing.pictures import SIDE, pools, stream
from sincewhen_testing.server import Server

STATION = "mill/line1/inspection/cam1"
GOLDEN, CALM, CHANGED, BACK = 2000, 400, 300, 400
STORIES = ("change of lot", "change of light mode", "change of defect rate")


def test_lot_light_and_defect_rate_are_found_and_dated_and_the_calm_stretch_is_calm(tmp_path: Path) -> None:
    seed, pictures = 71, pools()
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    good, defects = pictures["BRG01_RL", "ok"], pictures["BRG01_RL", "defect"]
    calm = (good, defects, 0.05)
    story = [(*calm, CALM)]
    for changed in (
        (pictures["BTN01_RL", "ok"], pictures["BTN01_RL", "defect"], 0.05),
        (pictures["FLR01_TL", "ok"], pictures["FLR01_TL", "defect"], 0.05),
        (good, defects, 0.6),
    ):
        story += [(*changed, CHANGED), (*calm, BACK)]
    frames = GOLDEN + sum(part[-1] for part in story)
    start = int(time.time()) - frames
    write_archive(tmp_path / "a", "golden", stream([(*calm, GOLDEN)], rng, 0), start)
    write_archive(tmp_path / "a", "story", stream(story, rng, GOLDEN), start + GOLDEN)
    with Server(tmp_path / "d") as server:
        for part in ("golden", "story"):
            command = [
                "images",
                str(tmp_path / "a"),
                "--index",
                str(tmp_path / "a" / f"{part}.csv"),
                "--station",
                STATION,
            ]
            run_edge(server, tmp_path, *command, "--fast", "--side", str(SIDE))
            if part == "golden":
                activate(server, STATION, start, start + GOLDEN)
        incidents = sorted(server.get("/api/v1/incidents").json(), key=lambda item: item["opened_at"])
    true = [GOLDEN + CALM + number * (CHANGED + BACK) for number in range(len(STORIES))]
    for item in incidents:
        low, since, high, opened = (row(item[key], start) for key in ("since_low", "since", "since_high", "opened_at"))
        told = f"since {since:.0f} [{low:.0f}, {high:.0f}] opened {opened:.0f} {item['shape']} {item['streams']}"
        print(f"{told}; true {true}")
    assert len(incidents) == len(STORIES)
    for name, at, item in zip(STORIES, true, incidents, strict=True):
        since, opened = row(item["since"], start), row(item["opened_at"], start)
        print(f"{name}: delay {opened - at:.0f} frames, onset error {since - at:+.0f} frames")
        assert at <= opened < at + CHANGED
        assert abs(since - at) <= 10
        assert row(item["since_low"], start) <= at <= row(item["since_high"], start)
        assert abs(row(item["until"], start) - (at + CHANGED)) <= 40


def test_23_golden_pictures_are_refused_as_too_few_with_the_reason(tmp_path: Path) -> None:
    data = shared_data()
    with (data / "images/index.csv").open() as file:
        golden = [
            Image.open(data / item["path"]).convert("RGB")
            for item in csv.DictReader(file)
            if item["lot"] == "BDP01_TL" and item["role"] == "golden"
        ]
    assert len(golden) == 23
    start = int(time.time()) - 100
    index = write_archive(tmp_path / "a", "golden", ((picture, {"lot": "BDP01"}) for picture in golden), start)
    with Server(tmp_path / "d") as server:
        told = ["images", str(tmp_path / "a"), "--index", str(index), "--station", STATION, "--fast", "--side", "64"]
        run_edge(server, tmp_path, *told)
        (station,) = server.get("/api/v1/stations").json()
        assert station["state"] == "learning"
        assert station["missing"] == ["527 frames", "9 lots"]
        window = {"station": STATION, "view": "main", "from": iso(start), "to": iso(start + 100)}
        refusal = server.post("/api/v1/profiles", window)
    assert refusal.status_code == 422
    assert "at least 550 golden frames; got 23: record 527 more" in refusal.json()["detail"]
