"""Real factory pictures as streams of distinct frames with natural nuisance, through the reference model, cached.

A frame is a crop of a real picture at a sub-pixel place, turned by quarters and mirrored, under a lamp that flickers
with memory and a sensor's noise; lots of LOT_FRAMES differ a little in gain and tint. A fault acts before the
model sees the frame, with a place and sign of its own (another seed than any reference set's).
"""

import csv
import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sincewhen_edge.factors import image_factors
from sincewhen_edge.models import ReferenceModel
from sincewhen_edge.reference.faults import corrupt

SIDE, SHARE, LOT_FRAMES, BATCH = 96, 0.85, 60, 16
Pictures = list[NDArray[np.float32]]
DATA = Path(os.environ.get("SINCEWHEN_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sincewhen-bench"


@dataclass(frozen=True, slots=True)
class Stream:
    """n frames: pooled embeddings by layer, image factors, lots."""

    layers: dict[str, NDArray[np.float32]]
    factors: dict[str, NDArray[np.float64]]
    lot: NDArray[np.int64]


def product(lot: str, cls: str = "ok") -> Pictures:
    """The real pictures of one paper grade of PIPED."""
    with (DATA / "images/index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["lot"] == lot and row["cls"] == cls]
    return [np.asarray(Image.open(DATA / row["path"]).convert("RGB"), np.float32) / np.float32(255) for row in rows]


def frames(pictures: Pictures, n: int, seed: int, fault: tuple[str, float] | None = None) -> Iterator[Image.Image]:
    rng = np.random.default_rng(seed)
    flicker, place = 0.0, int(rng.integers(2**32))
    gain, tint = 1.0, np.ones(3)
    for row in range(n):
        if row % LOT_FRAMES == 0:
            gain, tint = 1 + 0.006 * rng.standard_normal(), 1 + 0.0015 * rng.standard_normal(3)
        flicker = 0.8 * flicker + 0.008 * math.sqrt(1 - 0.8**2) * rng.standard_normal()
        picture = pictures[rng.integers(len(pictures))]
        crop = SHARE * min(picture.shape[:2])
        y, x = rng.uniform(0, np.array(picture.shape[:2]) - crop)
        cut = Image.fromarray((picture * 255).astype(np.uint8)).transform(
            (SIDE, SIDE), Image.Transform.EXTENT, (x, y, x + crop, y + crop), Image.Resampling.BILINEAR
        )
        turned = np.rot90(np.asarray(cut, np.float32) / 255, int(rng.integers(4)))
        lit = (turned[:, :: rng.choice([-1, 1])] * tint * gain * (1 + flicker)).astype(np.float32)
        if fault is not None:
            lit = corrupt(np.clip(lit, 0, 1), *fault, np.random.default_rng(place))
        seen = lit + rng.normal(0, 0.006, lit.shape)
        yield Image.fromarray((np.clip(seen, 0, 1) * 255).round().astype(np.uint8))


def stream(lot: str, n: int, seed: int, fault: tuple[str, float] | None = None, cls: str = "ok") -> Stream:
    """The same arguments give the same stream; the second time from the cache."""
    key = hashlib.sha256(repr((lot, n, seed, fault, cls, SIDE, SHARE, 3)).encode()).hexdigest()[:16]
    path = CACHE / f"{key}.npz"
    if not path.exists():
        _embed(path, frames(product(lot, cls), n, seed, fault))
    with np.load(path) as kept:
        return Stream(
            {name[6:]: kept[name].astype(np.float32) for name in kept if name.startswith("layer:")},
            {name[7:]: kept[name] for name in kept if name.startswith("factor:")},
            np.arange(n) // LOT_FRAMES + 1000 * seed,
        )


def _embed(path: Path, images: Iterator[Image.Image]) -> None:
    model = ReferenceModel(SIDE)
    layers: dict[str, list[NDArray[np.float32]]] = {}
    factors: dict[str, list[float]] = {}
    batch: list[Image.Image] = []

    def flush() -> None:
        for name, values in model(batch)[0].items():
            layers.setdefault(name, []).append(values.astype(np.float16))
        batch.clear()

    for image in images:
        batch.append(image)
        for name, value in image_factors(image).items():
            factors.setdefault(name, []).append(value)
        if len(batch) == BATCH:
            flush()
    if batch:
        flush()
    path.parent.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Any] = {f"layer:{name}": np.concatenate(values) for name, values in layers.items()}
    columns |= {f"factor:{name}": np.array(values) for name, values in factors.items()}
    np.savez(path, **columns)
