"""Methods on the same streams: how long each needs, at any threshold, and what threshold a run length takes.

A calm cell gives the greatest value of a method's statistic in each of many stretches in control: since alarms in
control come at random, the threshold of run length A is the value that a stretch of n frames stays under with
probability exp(-n/A). A changed cell gives, run by run, the frames after the change at which the statistic rises above
everything before, so that one run tells the delay at every threshold.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks import lines, peers
from benchmarks.cell import Cell, Figures, Floats
from benchmarks.streams import Frames, Learned, grown, learned, simulated
from sincewhen.detect.esr import Esr
from sincewhen.profiles.scalar import fit_quantiles, normal_scores
from sincewhen_testing.streams import direction

GOLDEN, KNOWN, COSINE = 5000, 32, 0.9
DIMS = 128  # of the design's rows; details have others
STRETCH, BEFORE, AFTER_MAX = 5000, 300, 1200
SPARSE = 4  # coordinates of a sparse change
CLASS_SHARES, CLASS_AWAY = (0.05, 0.3), 5.0  # of frames of another class, which lie so far away
TRANSIENT_FRAMES, MISSING_SHARE = 40, 0.3
_VALUE_MAX = 30.0  # no threshold is higher: e^30 frames
_WINDOW_ENERGY = 500  # of a line's longest window: twice of what any alarm needs, thrice over


@dataclass(slots=True)
class Setting:
    """What methods may know: golden frames, the fingerprints; lines also the truth."""

    rng: np.random.Generator
    stream: Learned
    scale: Learned  # of the normal scores of log T²
    quantiles: Floats
    other: Floats  # (d,) where frames of another class lie
    known: NDArray[np.float32] = field(init=False)  # (F, d)

    @staticmethod
    def learn(rng: np.random.Generator, cell: Cell) -> "Setting":
        dims = cell.get("dims", int)
        golden, other = simulated(cell.get("kind", str), rng, GOLDEN, dims), direction(rng, dims)
        if cell.get("change", str) == "class mix":
            golden.x[:] += _of_class(rng, np.full(GOLDEN, CLASS_SHARES[0]))[:, None] * other
        stream = learned(golden)
        squares = _log_t2(golden.x - stream.mean)
        quantiles = fit_quantiles(squares)
        scores = learned(Frames(normal_scores(quantiles, squares)[:, None]))
        return Setting(rng, stream, scores, quantiles, other)

    def __post_init__(self) -> None:
        self.known = np.array([direction(self.rng, self.dims) for _ in range(KNOWN)], np.float32)

    @property
    def dims(self) -> int:
        return len(self.stream.mean)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a change does: `size` along a direction (d,) once grown, or times `factor`."""

    direction: Floats
    size: float
    shape: str = "step"
    frames: float = 1.0
    factor: float = 1.0

    def growth(self, count: int) -> Floats:
        return np.asarray(self.size * grown(self.shape, np.arange(1.0, count + 1), self.frames))


Path = Callable[[Floats, Setting, Truth], Floats]


def _of_class(rng: np.random.Generator, share: Floats) -> Floats:
    """How far each frame (n,) lies away where so many are of the other class."""
    return np.where(rng.random(len(share)) < share, CLASS_AWAY, 0.0)


def _log_t2(x: Floats) -> Floats:
    return np.asarray(np.log(np.sum(np.asarray(x, np.float64) ** 2, axis=1)))


def _esr(x: Floats, setting: Setting, known: NDArray[np.float32] | None) -> Floats:
    none = np.zeros(len(x), bool)
    return Esr(setting.stream.null, fingerprints=known).update(setting.stream.about(x), none)


def _blind(x: Floats, setting: Setting, _truth: Truth) -> Floats:
    return _esr(x, setting, None)


def _library(x: Floats, setting: Setting, _truth: Truth) -> Floats:
    return _esr(x, setting, setting.known)


def _scale(x: Floats, setting: Setting, _truth: Truth) -> Floats:
    scores = normal_scores(setting.quantiles, _log_t2(x - setting.stream.mean))[:, None]
    return Esr(setting.scale.null).update(setting.scale.about(scores), np.zeros(len(x), bool))


def _library_and_scale(x: Floats, setting: Setting, truth: Truth) -> Floats:
    """Both streams as a station has them: each at twice the run length."""
    return np.maximum(_library(x, setting, truth), _scale(x, setting, truth)) - math.log(2)


def _mewma(x: Floats, setting: Setting, _truth: Truth) -> Floats:
    return peers.mewma(x - setting.stream.mean)


def _ocd(x: Floats, setting: Setting, _truth: Truth) -> Floats:
    return peers.ocd(x - setting.stream.mean)


def _line(x: Floats, _setting: Setting, truth: Truth) -> Floats:
    """Everything known but when."""
    if truth.factor != 1:
        return lines.scale_cusum(x, truth.factor)
    if truth.shape == "step":
        return lines.cusum(x @ truth.direction, truth.size)
    return np.asarray(lines.known_growth(x @ truth.direction, truth.growth(AFTER_MAX)))


def _line_of_size(x: Floats, _setting: Setting, truth: Truth) -> Floats:
    """The size is known, the direction is not."""
    window = int(_WINDOW_ENERGY / truth.size**2 / 2) + 20
    return np.asarray(lines.known_size(x, truth.size, window))


METHODS: dict[str, Path] = {
    "blind": _blind,
    "library": _library,
    "scale": _scale,
    "library + scale": _library_and_scale,
    "mewma": _mewma,
    "ocd": _ocd,
    "line": _line,
    "line of size": _line_of_size,
}
OF_TRUTH = ("line", "line of size")  # their statistic depends on the change that is looked for


def truth_of(change: str, size: float, setting: Setting) -> Truth:
    """`off` and `in` the library, `sparse`, `ramp SHAPE` (size: per frame, whole at 10), `scale` (size: factor).

    `in ramp SHAPE` grows in the library.
    """
    rng = setting.rng
    away = direction(rng, setting.dims)
    if change.split(" ", maxsplit=1)[0] == "in":
        known = setting.known[rng.integers(KNOWN)].astype(np.float64)
        across = away - (away @ known) * known
        away = COSINE * known + math.sqrt(1 - COSINE**2) * across / np.linalg.norm(across)
    elif change == "sparse":
        away = np.zeros(setting.dims)
        away[rng.choice(setting.dims, SPARSE, replace=False)] = rng.choice([-1, 1], SPARSE) / math.sqrt(SPARSE)
    if change == "scale":
        return Truth(away, 0.0, factor=size)
    if "ramp " in change:
        return Truth(away, 10.0, change.rpartition(" ")[2], 10.0 / size)
    return Truth(away, size)


def calm(cell: Cell) -> Figures:
    """The greatest value in each stretch."""
    method, stretches = cell.get("method", str), cell.get("stretches", int)
    setting = Setting.learn(cell.rng, cell)
    truth = truth_of(cell.get("change", str), cell.get("size", float), setting)
    greatest = []
    for _ in range(stretches):
        x = simulated(cell.get("kind", str), setting.rng, cell.get("frames", int), setting.dims).x
        greatest.append(float(METHODS[method](x, setting, truth).max()))
    return {"greatest": greatest, "frames": [cell.get("frames", int)] * stretches}


def changed(cell: Cell) -> Figures:
    """Records of each run, in frames since the change; `before` is the greatest value before it."""
    method, change, size = cell.get("method", str), cell.get("change", str), cell.get("size", float)
    setting = Setting.learn(cell.rng, cell)
    found: Figures = {"before": [], "run": [], "at": [], "value": []}
    for run in range(cell.get("runs", int)):
        truth = truth_of(change, size, setting)
        x = simulated(cell.get("kind", str), setting.rng, BEFORE + AFTER_MAX, setting.dims).x
        at = _apply(x, change, truth, setting)
        path = METHODS[method](x[at >= 0], setting, truth)
        after = at[at >= 0] >= BEFORE
        found["before"].append(float(path[~after].max()))
        reached = np.maximum.accumulate(path[after])
        rises = np.flatnonzero(
            (np.diff(reached, prepend=-np.inf) > 0) & (np.append(-np.inf, reached[:-1]) < _VALUE_MAX)
        )
        found["run"] += [float(run)] * len(rises)
        found["at"] += (at[at >= BEFORE][rises] - BEFORE + 1).astype(float).tolist()
        found["value"] += np.round(reached[rises], 4).tolist()
    return found


def _apply(x: Floats, change: str, truth: Truth, setting: Setting) -> NDArray[np.int64]:
    """Change x in place; the number of each frame, -1 where it went missing."""
    at, rng = np.arange(len(x)), setting.rng
    if change == "class mix":
        x += _of_class(rng, np.where(at < BEFORE, *CLASS_SHARES))[:, None] * setting.other
        return at
    growth = truth.growth(len(x) - BEFORE)
    if change == "transient":
        growth[TRANSIENT_FRAMES:] = 0
    x[BEFORE:] = x[BEFORE:] * truth.factor + growth[:, None] * truth.direction
    if change == "missing":
        at[rng.random(len(x)) < MISSING_SHARE] = -1
    return at
