"""Realised ARL0 over its target on unseen frames in control, untuned: one stream, the whole product, real frames."""

import itertools
import math

import numpy as np

from benchmarks.cell import Cell, Effort, Figures, Floats
from benchmarks.peers import mewma
from benchmarks.streams import KINDS, Frames, learned, simulated
from sincewhen.detect.esr import Esr
from sincewhen.processor.backtest import Recording, run
from sincewhen.processor.learn import Refusal, build_profile
from sincewhen.profiles.profile import Profile
from sincewhen_testing.streams import mixing

GOLDEN, GOLDEN_MAX, ARL0 = 5000, 40_000, 1e4
PLAIN_LATENT, NOISE = 80, 0.1  # of an embedding: what varies together, and what each dimension does alone
FEW_LATENT, FEW_GOLDEN, _FEW_KINDS = 12, (1000, 2000, 5000), ("ar .5", "ar .9", "two-scale")
_MEWMA_STRETCHES, _MEWMA_FRAMES, _MEWMA_SOON = 60, 5000, 32


def cells(effort: Effort) -> list[Cell]:
    frames = effort.pick(10_000, 25_000, 100_000)
    found = []
    for repetition in range(effort.pick(1, 2, 24)):
        for kind in KINDS:
            if kind != "t5":  # heavy tails are the norm clip's, which is the whole product's
                found += [
                    Cell.of("arl", repetition, level="stream", kind=kind, dims=dims, frames=frames)
                    for dims in ((64,) if effort < Effort.FULL else (64, 128))
                ]
            found.append(Cell.of("arl", repetition, level="mewma", kind=kind, dims=64, frames=frames))
    for repetition in range(effort.pick(1, 1, 16)):
        for kind in KINDS if effort > Effort.SMOKE else KINDS[:1]:
            for dims in (1, 128) if effort < Effort.FULL else (1, 64, 128, 512):
                found.append(Cell.of("arl", repetition, level="product", kind=kind, dims=dims, frames=frames // 2))
        for kind, golden in itertools.product(_FEW_KINDS, FEW_GOLDEN):
            found.append(
                Cell.of("arl", repetition, level="few", kind=kind, dims=128, golden=golden, frames=frames // 4)
            )
    return found


def measure(cell: Cell) -> Figures:
    level = cell.get("level", str)
    if level == "few":
        return _product(cell, FEW_LATENT, cell.get("golden", int))
    return {"stream": _stream, "product": _product, "mewma": _mewma}[level](cell)


def _stream(cell: Cell) -> Figures:
    """The detector of one stream, on coordinates as they are."""
    rng, kind, dims, frames = cell.rng, cell.get("kind", str), cell.get("dims", int), cell.get("frames", int)
    stream = learned(simulated(kind, rng, GOLDEN, dims))
    watched = simulated(kind, rng, frames, dims)
    x, begins, esr = stream.about(watched.x), watched.begins(), Esr(stream.null)
    alarms = start = 0
    while start < frames:
        ln_z = esr.update(x[start:], begins[start:], math.log(ARL0))
        start += len(ln_z)
        if ln_z[-1] >= math.log(ARL0):
            alarms += 1
            esr.restart()
    return {"alarms": [alarms], "frames": [frames]}


def _product(cell: Cell, latent: int = PLAIN_LATENT, golden: int = GOLDEN) -> Figures:
    """Profile, all its streams, gate, incidents. What is refused learns from twice the golden frames, as it is told."""
    rng, kind, dims, frames = cell.rng, cell.get("kind", str), cell.get("dims", int), cell.get("frames", int)
    mix, refused = mixing(rng, latent, dims), 0
    while True:
        recording = _recording(kind, rng, golden, dims, mix)
        profile = build_profile(recording.golden())
        if isinstance(profile, Profile):
            break
        assert isinstance(profile, Refusal)
        refused, golden = refused + 1, 2 * golden
        if golden > GOLDEN_MAX:
            return {"alarms": [], "frames": [], "refused": [refused], "golden": []}
    result = run(_recording(kind, rng, frames, dims, mix), 0, ARL0, profile)
    judged = min(int(np.isfinite(ln_z).sum()) for ln_z in result.ln_z.values() if np.isfinite(ln_z).any())
    watched = judged if len(result.ln_z) == 1 else frames
    return {"alarms": [len(result.alarms)], "frames": [watched], "refused": [refused], "golden": [golden]}


def _recording(kind: str, rng: np.random.Generator, frames: int, dims: int, mix: Floats) -> Recording:
    at_ns = np.arange(frames) * 10**9
    if dims == 1:
        seen = simulated(kind, rng, frames, 1)
        return Recording({}, at_ns, {"factor:brightness": np.exp(seen.x[:, 0])}, _lots(seen))
    seen = simulated(kind, rng, frames, len(mix))
    x = seen.x @ mix + NOISE * rng.standard_normal((frames, dims))
    return Recording({"x": x.astype(np.float32)}, at_ns, {}, _lots(seen))


def _lots(seen: Frames) -> np.ndarray | None:
    return None if seen.lot is None else np.cumsum(seen.lot).astype(str).astype(object)


def _mewma(cell: Cell) -> Figures:
    """The bank, its limit from independent frames held against the same golden mean."""
    rng, kind, dims, frames = cell.rng, cell.get("kind", str), cell.get("dims", int), cell.get("frames", int)
    mean = simulated(kind, rng, GOLDEN, dims).x.mean(axis=0)
    independent = rng.standard_normal((GOLDEN, dims)).mean(axis=0)
    greatest = [mewma(rng.standard_normal((_MEWMA_FRAMES, dims)) - independent).max() for _ in range(_MEWMA_STRETCHES)]
    limit = float(np.quantile(greatest, math.exp(-_MEWMA_FRAMES / ARL0)))
    x, alarms, start = simulated(kind, rng, frames, dims).x - mean, 0, 0
    while start < frames:
        for look in (_MEWMA_SOON, _MEWMA_FRAMES):
            over = np.flatnonzero(mewma(x[start : start + look]) >= limit)
            if len(over):
                break
        start += int(over[0]) + 1 if len(over) else _MEWMA_FRAMES
        alarms += len(over) > 0
    return {"alarms": [alarms], "frames": [frames]}
