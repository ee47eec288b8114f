"""Image streams of a demonstration station, drawn from photographs of real surfaces.

What a station's camera sees is a crop of a scikit-image texture, turned, displaced below the pixel, lit by a
lamp that flickers with memory, and different from lot to lot by nature. A story changes it from one frame on.
The files and the index hold no truth; the truth is returned to the caller alone.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage
from skimage import data

Story = Literal["supplier lot", "lens haze"]
Image3 = npt.NDArray[np.float32]
INDEX_COLUMNS = ("path", "captured_at", "lot", "supplier_lot", "unit_id", "sku")
FLICKER_MEMORY = 0.8  # lag-1 correlation of the lamp, frame to frame
FLICKER_SIZE = 0.012  # its standard deviation, relative to the mean light
TINT_FLICKER_SIZE = 0.001  # of each colour, with the same memory: automatic white balance
LOT_TOLERANCE = 3.0  # standard deviations over all that lots differ in; one beyond does not leave its supplier
HAZE_CONTRAST_LOSS, HAZE_VEIL, HAZE_BLUR_PX = 0.35, 0.18, 0.9  # at full haze
SUPPLIER_BLEND = 0.15  # share of the other surface in the changed lot


@dataclass(frozen=True)
class Plan:
    """How long each stretch of a station's stream is; all in frames, `size` in pixels."""

    golden: int = 2880
    in_control: int = 800
    story: int = 900
    lot: int = 60
    supplier_lot: int = 400
    ramp: int = 500
    size: int = 128

    @property
    def frames(self) -> int:
        """Frames of the whole stream."""
        return self.golden + self.in_control + self.story


@dataclass(frozen=True)
class Truth:
    """What happened, for the judge of the demonstration only; rows are 0-based, `end` is exclusive."""

    story: Story
    since: int
    end: int
    ramp: int
    lots: tuple[str, ...]


@dataclass(frozen=True)
class Lot:
    """One production lot: its frames [first, last) and by how much it differs by nature."""

    name: str
    supplier: str
    first: int
    last: int
    gain: float
    contrast: float
    zoom: float
    tint: npt.NDArray[np.float32]  # (3,) relative
    changed: bool


def _surface(name: str) -> Image3:
    """Return a bundled grey texture, (512, 512) in 0..1."""
    return np.asarray(getattr(data, name)(), dtype=np.float32) / np.float32(255)


def _lots(plan: Plan, story: Story, rng: np.random.Generator) -> list[Lot]:
    lots: list[Lot] = []
    first, changed_at = 0, plan.golden + plan.in_control
    while first < plan.frames:
        changed = story == "supplier lot" and first == changed_at
        length = plan.supplier_lot if changed else plan.lot + int(rng.integers(-10, 11))
        last = min(first + length, plan.frames)
        if first < changed_at and story == "supplier lot":
            last = min(last, changed_at)
        natural = rng.standard_normal(6)
        while np.linalg.norm(natural) > LOT_TOLERANCE:
            natural = rng.standard_normal(6)
        lots.append(
            Lot(
                name=f"L{len(lots) + 1:04d}",
                supplier=f"S{rng.integers(10_000, 99_999)}",
                first=first,
                last=last,
                gain=1 + 0.008 * float(natural[0]),
                contrast=1 + 0.010 * float(natural[1]),
                zoom=1 + 0.005 * float(natural[2]),
                tint=(1 + 0.0015 * natural[3:]).astype(np.float32),
                changed=changed,
            )
        )
        first = last
    return lots


def _crop(surface: Image3, size: int, zoom: float, rng: np.random.Generator) -> Image3:
    """Return a (size, size) view at a random place, small angle, quarter turn and mirror."""
    angle = rng.normal(0, math.radians(1.5))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / zoom
    reach = 0.75 * size  # half a diagonal, so that the crop stays inside the photograph
    centre = rng.uniform(reach, np.array(surface.shape) - reach)
    offset = centre - turn @ np.full(2, size / 2)
    crop = ndimage.affine_transform(surface, turn, offset, (size, size), order=1, mode="reflect")
    crop = np.rot90(crop, int(rng.integers(4)))
    return np.ascontiguousarray(crop[:, ::-1] if rng.integers(2) else crop)


def _haze(picture: Image3, strength: float) -> Image3:
    """Scatter on the lens at `strength` 0..1: blur, less contrast about the mean, veiling light."""
    blurred = ndimage.gaussian_filter(picture, (HAZE_BLUR_PX * strength, HAZE_BLUR_PX * strength, 0))
    mean = blurred.mean(axis=(0, 1), keepdims=True)
    dimmed = mean + (blurred - mean) * (1 - HAZE_CONTRAST_LOSS * strength)
    return np.asarray(dimmed * (1 - HAZE_VEIL * strength) + HAZE_VEIL * strength, dtype=np.float32)


def pictures(plan: Plan, story: Story, base: str, other: str, seed: int) -> Iterator[tuple[npt.NDArray[np.uint8], Lot]]:
    """Yield (size, size, 3) uint8 pictures in order, each with its lot; the same seed gives the same stream."""
    rng = np.random.default_rng(seed)
    lots = _lots(plan, story, rng)
    surface, strange = _surface(base), _surface(other)
    onset = plan.golden + plan.in_control
    sizes = np.array([FLICKER_SIZE, *[TINT_FLICKER_SIZE] * 3], dtype=np.float32)  # light, red, green, blue
    flicker = rng.normal(0, sizes)
    memory, renewal = FLICKER_MEMORY, math.sqrt(1 - FLICKER_MEMORY**2)
    for lot in lots:
        for row in range(lot.first, lot.last):
            grey = _crop(surface, plan.size, lot.zoom, rng)
            if lot.changed:
                patch = _crop(strange, plan.size, lot.zoom, rng)
                grey = grey + np.float32(SUPPLIER_BLEND) * (patch - patch.mean() - grey + grey.mean())
            flicker = memory * flicker + renewal * rng.normal(0, sizes)
            light = (1 + flicker[0]) * (1 + flicker[1:])
            grey = grey.mean() + (grey - grey.mean()) * np.float32(lot.contrast)
            picture = grey[:, :, None] * lot.tint * (lot.gain * light).astype(np.float32)
            if story == "lens haze" and row >= onset:
                picture = _haze(picture, min(1.0, (row - onset + 1) / plan.ramp))
            picture = picture + rng.normal(0, 0.01, picture.shape).astype(np.float32)
            yield (np.clip(picture, 0, 1) * 255).round().astype(np.uint8), lot


def truth(plan: Plan, story: Story, seed: int) -> Truth:
    """Return what the stream of this seed does, without drawing a picture."""
    since = plan.golden + plan.in_control
    lots = _lots(plan, story, np.random.default_rng(seed))
    if story == "supplier lot":
        changed = next(lot for lot in lots if lot.changed)
        return Truth(story, since, changed.last, 0, (changed.name,))
    return Truth(story, since, plan.frames, plan.ramp, tuple(lot.name for lot in lots if lot.last > since))


def lot_rows(plan: Plan, story: Story, seed: int) -> dict[str, tuple[int, int]]:
    """Return each lot's first row and the row behind its last."""
    return {lot.name: (lot.first, lot.last) for lot in _lots(plan, story, np.random.default_rng(seed))}


def write_stream(
    directory: Path, *, plan: Plan, story: Story, base: str, other: str, seed: int, start: datetime
) -> Truth:
    """Write the pictures and `index.csv` (one frame a second from `start`) and return the truth apart."""
    if start.tzinfo is None:
        message = f"start must carry a time zone, got {start.isoformat()}; pass e.g. datetime.now(UTC)"
        raise ValueError(message)
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "index.csv").open("w", newline="") as file:
        index = csv.writer(file)
        index.writerow(INDEX_COLUMNS)
        for row, (picture, lot) in enumerate(pictures(plan, story, base, other, seed)):
            path = f"{row:06d}.jpg"
            Image.fromarray(picture).save(directory / path, quality=92)
            at = (start.astimezone(UTC) + timedelta(seconds=row)).isoformat()
            index.writerow((path, at, lot.name, lot.supplier, f"U{row + 1:07d}", base))
    return truth(plan, story, seed)
