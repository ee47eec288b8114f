"""Streams of pictures drawn from the real pictures of a paper inspection (PIPED), with what varies by nature."""

import csv
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from sincewhen_testing.needs import shared_data

SIDE, CROP = 96, 112
LOT_FRAMES = 50
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
