"""Simulated streams of unit variance with a known truth, and what the product learns of their golden frames."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.cell import Floats
from sincewhen.profiles.null import StreamNull
from sincewhen.profiles.variance import Runs, stream_null
from sincewhen_testing.streams import noise

KINDS = ("ar 0", "ar .5", "ar .9", "ar .99", "two-scale", "t5", "lots")
LOT_FRAMES, LOT_SPREAD = 150, 0.3
_SLOW_SHARE, _FAST, _SLOW = 0.3, 0.3, 0.98
_DEGREES = 5


@dataclass(frozen=True, slots=True)
class Frames:
    """x (n, d); lot (n,): the frame begins another lot; None where there are none."""

    x: Floats
    lot: NDArray[np.bool_] | None = None

    def begins(self) -> NDArray[np.bool_]:
        return np.zeros(len(self.x), bool) if self.lot is None else self.lot


def simulated(kind: str, rng: np.random.Generator, frames: int, dims: int) -> Frames:
    """`ar PHI`, `two-scale` (fast noise and a slow part), `t5` (heavy tails of single frames), `lots`."""
    if kind.startswith("ar "):
        return Frames(noise(rng, frames, dims, float(kind[3:])))
    if kind == "two-scale":
        fast, slow = noise(rng, frames, dims, _FAST), noise(rng, frames, dims, _SLOW)
        return Frames(math.sqrt(1 - _SLOW_SHARE) * fast + math.sqrt(_SLOW_SHARE) * slow)
    if kind == "t5":
        tails = np.sqrt(rng.chisquare(_DEGREES, (frames, 1)) / (_DEGREES - 2))
        return Frames(rng.standard_normal((frames, dims)) / tails)
    assert kind == "lots", kind
    number = np.arange(frames) // LOT_FRAMES
    away = LOT_SPREAD * rng.standard_normal((int(number[-1]) + 1, dims))
    return Frames(noise(rng, frames, dims) + away[number], np.diff(number, prepend=0) > 0)


@dataclass(frozen=True, slots=True)
class Learned:
    """One stream's null and mean, from golden frames."""

    null: StreamNull
    mean: Floats

    def about(self, x: Floats) -> NDArray[np.float32]:
        return (x - self.mean).astype(np.float32)


def learned(golden: Frames) -> Learned:
    mean = golden.x.mean(axis=0)
    runs = None if golden.lot is None else Runs(np.cumsum(golden.lot))
    return Learned(stream_null(golden.x - mean, runs), mean)


def grown(shape: str, k: Floats, frames: float) -> Floats:
    """How far a change has grown, 0..1, after k frames; `frames` until a ramp is whole.

    "steep" begins slowly and levels off, as noise and dirt on real pictures do, at a power that no dating knows.
    """
    part = np.clip(k / frames, 0, 1)
    if shape == "steep":
        return np.asarray(-np.expm1(-((8 / 3 * part) ** 2.5)), np.float64)
    power = {"step": 0.0, "root": 0.5, "linear": 1.0, "square": 2.0}[shape]
    return np.asarray(np.where(k > 0, part**power, 0.0))
