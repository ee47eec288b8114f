"""Within another station's basis, or a pooled one, against the own: real pictures, one layer's stream at a time."""

import functools
import math

import numpy as np

from benchmarks import held_out, real, stations
from benchmarks.cell import Cell, Effort, Figures
from sincewhen.detect.esr import Esr
from sincewhen.processor.backtest import Recording
from sincewhen.processor.learn import BASIS_SHARE, build_profile
from sincewhen.profiles.embedding import Common, explained
from sincewhen.profiles.fit import DIMS_MAX
from sincewhen.profiles.pooling import pooled
from sincewhen.profiles.profile import Profile
from sincewhen.score.score import score

OWN, POOLED = "own", "pooled"
GOLDEN, CALM, ONSET, FAULTY = 3000, 4000, 300, 700
ARL0, CALM_ARL0 = 1e4, 1e3
STARTS, HORIZON = range(ONSET, FAULTY - 199, 40), 200  # a miss counts as the horizon
SEEDS = {"golden": 11, "calm": 21, "faulty": 31}
PRODUCTS = tuple(product for product in stations.PRODUCTS if product not in held_out.PRODUCTS)
CAUSES = ("haze", "defocus", "brightness_down", "noise")
_FEW = 2


def cells(effort: Effort) -> list[Cell]:
    if not stations.there() or effort is Effort.SMOKE:
        return []
    products = PRODUCTS if effort is Effort.FULL else PRODUCTS[:_FEW]
    return [
        Cell.of("shared", 0, product=product, basis=basis, of=len(products))
        for product in products
        for basis in (OWN, POOLED, *(other for other in products if other != product))
    ]


def measure(cell: Cell) -> Figures:
    """By layer: what the basis explains of what the own one does, delay of each fault and start, alarms in control."""
    product, basis, found = cell.get("product", str), cell.get("basis", str), Figures()
    among = PRODUCTS[: cell.get("of", int)]
    golden = _recording(product, GOLDEN, "golden")
    own = {layer: _common((product,), layer) for layer in golden.layers}
    sources = {OWN: (product,), POOLED: among}.get(basis, (basis,))
    common = {} if basis == OWN else {layer: _common(sources, layer) for layer in golden.layers}
    profile = build_profile(golden.golden(), common=common)
    assert isinstance(profile, Profile), (cell, profile)
    calm = _recording(product, CALM, "calm")
    faulty = [_recording(product, FAULTY, "faulty", real.Fault(cause, 1, ONSET)) for cause in CAUSES]
    for layer, fitted in profile.layers.items():
        rest = golden.layers[layer][int(GOLDEN * BASIS_SHARE) :]
        found[f"{layer} share"] = [explained(fitted.basis.common, rest) / explained(own[layer], rest)]
        found[f"{layer} alarms"] = [_alarms(profile, layer, calm)]
        found[f"{layer} delay"] = [_delay(profile, layer, seen, start) for seen in faulty for start in STARTS]
    return found


@functools.cache
def _recording(product: str, frames: int, what: str, fault: real.Fault | None = None) -> Recording:
    return stations.recording(real.stream(product, frames, SEEDS[what], fault))


@functools.cache
def _common(products: tuple[str, ...], layer: str) -> Common:
    frames = int(GOLDEN * BASIS_SHARE)
    return pooled([_recording(product, GOLDEN, "golden").layers[layer][:frames] for product in products], DIMS_MAX)


def _ln_z(profile: Profile, layer: str, seen: Recording, start: int, stop: int, limit: float) -> np.ndarray:
    """Of a detector that begins at row `start`, until it alarms."""
    rows, stream = seen.take(slice(start, stop)), f"embedding:{layer}"
    x = score(profile, rows.layers, {}, n=rows.n).positions[stream]
    assert rows.lot is not None
    begins = np.concatenate([[False], rows.lot[1:] != rows.lot[:-1]])
    return Esr(profile.null(stream)).update(x, begins, limit)


def _delay(profile: Profile, layer: str, seen: Recording, start: int) -> float:
    return float(len(_ln_z(profile, layer, seen, start, start + HORIZON, math.log(ARL0))))


def _alarms(profile: Profile, layer: str, calm: Recording) -> float:
    """Several within one lot, which differs from others by nature, are one."""
    assert calm.lot is not None
    alarms, start, limit = 0, 0, math.log(CALM_ARL0)
    while start < calm.n:
        found = _ln_z(profile, layer, calm, start, calm.n, limit)
        start += len(found)
        if found[-1] >= limit:
            alarms += 1
            later = np.flatnonzero(calm.lot[start:] != calm.lot[start - 1])
            start = start + int(later[0]) if len(later) else calm.n
    return float(alarms)
