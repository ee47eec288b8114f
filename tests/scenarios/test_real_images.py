"""Real pictures of a paper inspection (PIPED) through the edge agent, HTTP, server and commands."""

import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sincewhen_testing.edge import activate, iso, row, run_edge, write_archive
from sincewhen_testing.needs import shared_data
from sincewhen_testing.server import Server

STATION = "mill/line1/inspection/cam1"
SIDE, CROP = 96, 112
GOLDEN, CALM, CHANGED, BACK = 2000, 400, 300, 400
LOT_FRAMES = 50
STORIES = ("change of lot", "change of light mode", "change of defect rate")
Pool = list[Image.Image]


def pools() -> dict[tuple[str, str], Pool]:
    """Pictures by paper grade and class."""
    data = shared_data()
    found: dict[tuple[str, str], Pool] = {}
    with (data / "images/index.csv").open() as file:
        for item in csv.DictReader(file):
            if item["dataset"] == "piped":
                found.setdefault((item["lot"], item["cls"]), []).append(Image.open(data / item["path"]).convert("RGB"))
    return found


def nuisance(picture: Image.Image, gain: float, rng: np.random.Generator) -> Image.Image:
    """A crop at a sub-pixel place, mirrored or not, a little lighter or darker."""
    x, y = rng.uniform(0, picture.width - CROP, 2)
    cut = picture.transform((SIDE, SIDE), Image.Transform.EXTENT, (x, y, x + CROP, y + CROP), Image.Resampling.BILINEAR)
    if rng.integers(2):
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(cut, np.float32) * gain + rng.normal(0, 1.5, (SIDE, SIDE, 3))
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def stream(
    stretches: list[tuple[Pool, Pool, float, int]], rng: np.random.Generator, first: int
) -> Iterator[tuple[Image.Image, dict[str, Any]]]:
    """(good pictures, defect pictures, defect rate, frames) one after the other; the lamp flickers with memory."""
    flicker, number = 0.0, first
    for good, defects, rate, frames in stretches:
        for _ in range(frames):
            flicker = 0.8 * flicker + rng.normal(0, 0.01 * math.sqrt(1 - 0.8**2))
            pool = defects if rng.random() < rate else good
            picture = nuisance(pool[rng.integers(len(pool))], 1 + flicker, rng)
            yield picture, {"lot": f"R{number // LOT_FRAMES:03d}", "unit_id": f"U{number:05d}"}
            number += 1


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
