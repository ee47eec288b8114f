"""Real factory pictures as streams of distinct frames with natural nuisance, through the reference model, cached.

A frame is a crop of a real picture at a sub-pixel place, turned by quarters and mirrored, under a lamp that flickers
with memory and a sensor's noise; lots of LOT_FRAMES differ a little in gain and tint. A fault acts before the
model sees the frame, with a place and sign of its own (another seed than any reference set's).

Embeddings of a stream are kept in ~/.cache/sincewhen-bench (XDG_CACHE_HOME), one .npz a stream, named by what it holds.
"""

import csv
import fcntl
import functools
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
_RECIPE = 4  # one more whenever the same arguments give other pictures
Pictures = list[NDArray[np.float32]]
DATA = Path(os.environ.get("SINCEWHEN_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sincewhen-bench"


@dataclass(frozen=True, slots=True)
class Stream:
    """n frames: pooled embeddings by layer, image factors, lots."""

    layers: dict[str, NDArray[np.float32]]
    factors: dict[str, NDArray[np.float64]]
    lot: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fault:
    """From row `first` to before row `stop`; fades in over `ramp` frames by mixing with the clean picture."""

    cause: str
    strength: float
    first: int = 0
    stop: int = 2**31
    ramp: int = 0

    def at(self, row: int) -> float:
        """Its share in a frame, 0..1."""
        if not self.first <= row < self.stop:
            return 0.0
        return min(1.0, (row - self.first + 1) / max(1, self.ramp))


@functools.cache
def product(lot: str, cls: str = "ok") -> Pictures:
    """The real pictures of one paper grade of PIPED."""
    with (DATA / "images/index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["lot"] == lot and row["cls"] == cls]
    return [np.asarray(Image.open(DATA / row["path"]).convert("RGB"), np.float32) / np.float32(255) for row in rows]


def frames(pictures: Pictures, n: int, seed: int, fault: Fault | None = None) -> Iterator[Image.Image]:
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
        share = 0.0 if fault is None else fault.at(row)
        if fault is not None and share > 0:
            clean = np.clip(lit, 0, 1)
            faulty = corrupt(clean, fault.cause, fault.strength, np.random.default_rng(place))
            lit = clean + np.float32(share) * (faulty - clean)
        seen = lit + rng.normal(0, 0.006, lit.shape)
        yield Image.fromarray((np.clip(seen, 0, 1) * 255).round().astype(np.uint8))


def stream(lot: str, n: int, seed: int, fault: Fault | None = None, cls: str = "ok") -> Stream:
    """The same arguments give the same stream; the second time from the cache. One process makes it, others wait."""
    key = hashlib.sha256(repr((lot, n, seed, fault, cls, SIDE, SHARE, _RECIPE)).encode()).hexdigest()[:16]
    path = CACHE / f"{key}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _embed(path, frames(product(lot, cls), n, seed, fault))
    with np.load(path) as kept:
        return Stream(
            {name[6:]: kept[name].astype(np.float32) for name in kept if name.startswith("layer:")},
            {name[7:]: kept[name] for name in kept if name.startswith("factor:")},
            np.arange(n) // LOT_FRAMES + 1000 * seed,
        )


@functools.cache
def _model() -> ReferenceModel:
    return ReferenceModel(SIDE)


def _embed(path: Path, images: Iterator[Image.Image]) -> None:
    model = _model()
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
    columns: dict[str, Any] = {f"layer:{name}": np.concatenate(values) for name, values in layers.items()}
    columns |= {f"factor:{name}": np.array(values) for name, values in factors.items()}
    part = path.with_suffix(".part.npz")
    np.savez(part, **columns)
    part.rename(path)
