"""One scalar: alarms in control by correlation and delay of steps, against river, frouros, FOCuS and CUSUM.

Peers see values standardised by golden frames. Each is tried at settings from its default to rare ones: the delays that
count are those of the first setting whose run length is at least 10,000 on independent values.
"""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from river.drift import ADWIN, KSWIN, PageHinkley

from benchmarks.cell import Cell, Effort, Figures, Floats
from benchmarks.lines import cusum
from benchmarks.outside import ask
from benchmarks.streams import Frames, learned, simulated
from sincewhen.detect.esr import Esr
from sincewhen.profiles.scalar import fit_quantiles, normal_scores

GOLDEN, BEFORE, AFTER = 5000, 500, 1500
CALM = 5000  # frames of a stretch in control
SIZES, KINDS = (0.5, 1.0, 2.0), ("ar 0", "ar .5", "ar .9")
SETTINGS: dict[str, tuple[float, ...]] = {
    "ours": (1e4, 1e3, 3e2, 1e2),  # nominal ARL0
    "CUSUM": (5.0, 8.0, 9.0),  # h of two sides, for a step of 1 of known mean
    "FOCuS": (8.0, 9.0, 10.0, 11.0),
    "river PageHinkley": (20.0, 30.0, 40.0),
    "river ADWIN": (2e-3, 1e-4, 1e-6),
    "river KSWIN": (5e-3, 1e-4, 1e-5),
    "frouros CUSUM": (50.0, 20.0, 30.0),
    "frouros PageHinkley": (50.0, 20.0, 30.0),
}
_SLOW = {"river KSWIN", "frouros CUSUM", "frouros PageHinkley", "FOCuS"}


def cells(effort: Effort) -> list[Cell]:
    found = []
    for method in SETTINGS if effort > Effort.SMOKE else ("ours",):
        slow = method in _SLOW
        repetitions = effort.pick(1, 1, 4 if slow else 8)
        for repetition in range(repetitions):
            for number in range(len(SETTINGS[method])):
                one = Cell.of("scalar", repetition, method=method, setting=number, size=0.0, kind="ar 0", runs=0)
                for kind in KINDS if number == 0 else KINDS[:1]:
                    runs = effort.pick(2, 2 if slow else 8, 8 if slow else 30)
                    found.append(_like(one, size=0.0, kind=kind, runs=runs))
                runs = effort.pick(2, 5 if slow else 20, 20 if slow else 50)
                found += [_like(one, size=size, kind="ar 0", runs=runs) for size in SIZES]
    return found


def _like(cell: Cell, **params: str | float) -> Cell:
    return Cell.of(cell.subject, cell.repetition, **(dict(cell.params) | params))


def measure(cell: Cell) -> Figures:
    """The first alarm of each run, -1: none; with a change: frames after it, runs that alarmed before it left out."""
    rng, method, size, runs = cell.rng, cell.get("method", str), cell.get("size", float), cell.get("runs", int)
    golden, count = simulated(cell.get("kind", str), rng, GOLDEN, 1).x, BEFORE + AFTER if size else CALM
    rows = np.array([simulated(cell.get("kind", str), rng, count, 1).x[:, 0] for _ in range(runs)])
    if size:
        rows[:, BEFORE:] += size * rng.choice([-1, 1], (runs, 1))
    first = _first_alarms(method, SETTINGS[method][cell.get("setting", int)], golden, rows)
    if not size:
        return {"first": first, "frames": [float(count)] * runs}
    late = [alarm for alarm in first if not 0 <= alarm < BEFORE]
    return {
        "delay": [alarm - BEFORE + 1 if alarm >= 0 else float(AFTER) for alarm in late],
        "missed": [float(alarm < 0) for alarm in late],
    }


def _first_alarms(method: str, setting: float, golden: Floats, rows: Floats) -> list[float]:
    standard = (rows - golden.mean()) / golden.std()
    if method == "ours":
        return [_ours(golden[:, 0], row, setting) for row in rows]
    if method == "CUSUM":
        return [_reached(np.maximum(cusum(row, 1.0), cusum(-row, 1.0)), setting) for row in standard]
    if method == "FOCuS":
        said = ask("peers", "focus", {"x": standard})
        row, at, value = (np.array(said[name]) for name in ("row", "at", "value"))
        over = [at[(row == number) & (value >= setting)] for number in range(len(rows))]
        return [float(found.min()) if len(found) else -1.0 for found in over]
    if method.startswith("frouros"):
        return ask("peers", "frouros", {"x": standard}, method=method, setting=setting)["first"]
    return [_river(method, setting, row) for row in standard]


def _ours(golden: Floats, row: Floats, arl0: float) -> float:
    """Normal scores and detector, as a profile's scalars have them."""
    quantiles = fit_quantiles(golden)
    stream = learned(Frames(normal_scores(quantiles, golden)[:, None]))
    scores = stream.about(normal_scores(quantiles, row)[:, None])
    return _reached(Esr(stream.null).update(scores, np.zeros(len(row), bool)), math.log(arl0))


def _reached(path: Floats, limit: float) -> float:
    over = np.flatnonzero(path >= limit)
    return float(over[0]) if len(over) else -1.0


class _River(Protocol):
    @property
    def drift_detected(self) -> bool: ...
    def update(self, x: float) -> None: ...


def _river(method: str, setting: float, row: Floats) -> float:
    made: dict[str, Callable[[], _River]] = {
        "river ADWIN": lambda: ADWIN(delta=setting, clock=1),  # type: ignore[no-untyped-call]  # river annotates in part
        "river PageHinkley": lambda: PageHinkley(delta=0.25, threshold=setting),
        "river KSWIN": lambda: KSWIN(alpha=setting, seed=1),
    }
    detector = made[method]()
    for at, value in enumerate(row.tolist()):
        detector.update(value)
        if detector.drift_detected:
            return float(at)
    return -1.0
