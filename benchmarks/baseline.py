"""The committed baseline: a few small figures of simulated streams that every change is held against.

tests/quality/baseline.json has them as the committed code gives them; `python -m benchmarks --write-baseline` writes
it. Seeds are the cells' own and apart from those of any table (repetition): the same code gives the same figures, and
a tolerance allows for what another processor rounds.
"""

import importlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.cell import Cell, Figures
from benchmarks.race import AFTER_MAX, DIMS
from benchmarks.sources import REPO
from benchmarks.subjects import MODULES
from benchmarks.thresholds import delays
from benchmarks.work import Found

PATH = REPO / "tests/quality/baseline.json"
WAY_OUT = "if this is meant, run `make bench BENCH=--write-baseline`, commit tests/quality/baseline.json and say why"
_REPETITION = 1000
_NOMINAL = math.log(1e4)
_RACES = (
    ("off", 1.0, "blind"),
    ("off", 2.0, "blind"),
    ("off", 4.0, "blind"),
    ("in", 2.0, "library"),
    ("in ramp linear", 0.02, "library"),
)
_DATED = (
    ("stream", "ar 0", "step", 1.0), ("stream", "ar 0", "linear", 4.0), ("stream", "ar .9", "step", 3.0),
    ("stream", "ar 0", "steep", 6.0),
    ("product", "ar 0", "step", 2.0), ("product", "ar 0", "linear", 4.0), ("product", "ar .9", "step", 3.0),
)  # fmt: skip
_IN_CONTROL = (("ar 0", 2), ("ar .9", 2), ("lots", 1))  # and how many profiles
_ENDED = (("ar 0", 2.0), ("ar .9", 3.0))
Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Figure:
    """better: which way; tolerance: how far another processor's rounding may move it."""

    value: float
    better: Better
    tolerance: float


@dataclass(frozen=True, slots=True)
class Change:
    """What differs from the baseline, as sentences."""

    worse: tuple[str, ...]
    better: tuple[str, ...]


def measured() -> dict[str, Figure]:
    """Every figure, by name: about a minute."""
    return {name: figure for part in (_delays, _alarms, _dates, _ends) for name, figure in part()}


def committed(path: Path = PATH) -> dict[str, float]:
    found: dict[str, float] = json.loads(path.read_text())
    return found


def write(found: Mapping[str, Figure], path: Path = PATH) -> None:
    path.write_text(json.dumps({name: figure.value for name, figure in found.items()}, indent=2) + "\n")


def compare(known: Mapping[str, float], found: Mapping[str, Figure]) -> Change:
    """A figure that only one of them has counts as worse: the baseline is no longer of this code."""
    worse = [f"{name}: not in the baseline" for name in found if name not in known]
    worse += [f"{name}: in the baseline and no longer measured" for name in known if name not in found]
    better = []
    for name, figure in found.items():
        if name not in known:
            continue
        lost = (figure.value - known[name]) * (1 if figure.better == "lower" else -1)
        told = f"{name}: {figure.value:g}, the baseline has {known[name]:g}; {{}} by {abs(lost):.4g}"
        if not lost <= figure.tolerance:  # NaN is worse
            worse.append(f"{told.format('worse')}, of which {figure.tolerance:.4g} may be rounding")
        elif lost < -figure.tolerance:
            better.append(told.format("better"))
    return Change(tuple(worse), tuple(better))


Named = Iterator[tuple[str, Figure]]


def _measure(subject: str, repetition: int = 0, **params: str | float) -> Found:
    cell = Cell.of(subject, _REPETITION + repetition, **params)
    measure: Callable[[Cell], Figures] = importlib.import_module(MODULES[subject]).measure
    return Found(cell, measure(cell), 0.0)


def _mean(values: list[float], better: Better = "lower", share: float = 0.02) -> Figure:
    """Of frames; a run more or less may round the other way."""
    value = float(np.mean(values)) if values else math.nan
    return Figure(round(value, 4), better, round(share * abs(value) + 1 / max(1, len(values)), 4))


def _share(values: list[float], better: Better) -> Figure:
    """Two runs may round the other way."""
    return Figure(round(float(np.mean(values)), 4) if values else math.nan, better, round(2 / max(1, len(values)), 4))


def _delays() -> Named:
    for change, size, method in _RACES:
        subject = "ramps" if "ramp" in change else "delay"
        found = _measure(subject, kind="ar 0", change=change, size=size, method=method, runs=40, dims=DIMS)
        late = np.concatenate(delays([found], _NOMINAL, AFTER_MAX).parts)
        yield f"mean delay, {method}, {change} {size:g}, frames", _mean(late.tolist())


def _alarms() -> Named:
    """Of the whole product at ARL0 = 10,000."""
    for kind, profiles in _IN_CONTROL:
        found = [
            _measure("arl", number, level="product", kind=kind, dims=64, frames=50_000).figures
            for number in range(profiles)
        ]
        alarms, frames = (sum(sum(one[name]) for one in found) for name in ("alarms", "frames"))
        yield f"alarms in {frames:.0f} frames in control, {kind}", Figure(float(alarms), "lower", 1 + 0.05 * alarms)


def _dates() -> Named:
    for level, kind, shape, size in _DATED:
        what = f"{shape} of {size:g}, {kind}, {level}"
        found = _measure("onset", level=level, kind=kind, shape=shape, size=size, runs=20).figures
        yield f"{what}: delay, frames", _mean(found["delay"])
        yield f"{what}: found too early or not, share", _share([*found["early"], *found["missed"]], "lower")
        for status, when in (("confirmed", "+50"), ("refined", "+200")):
            yield f"{what}: covered at {when}, share", _share(found[f"{status} covered"], "higher")
        yield f"{what}: error at +200, mean, frames", _mean(found["refined error"], share=0.05)
        yield f"{what}: width at +200, mean, frames", _mean(found["refined width"], share=0.05)


def _ends() -> Named:
    for kind, size in _ENDED:
        found = _measure("end", kind=kind, size=size, runs=12).figures
        what = f"end of a step of {size:g}, {kind}"
        yield f"{what}: delay, frames", _mean(found["delay"])
        yield f"{what}: error, mean, frames", _mean(found["error"], share=0.05)
        yield f"{what}: missed or false, a run", _share([*found["missed"], *found["false"]], "lower")
