"""Since when: error, coverage and width 50 and 200 frames after the alarm; the oracle's and GLR's beside it.

Level "stream": one monitor, d = 64. Level "product": what a plant is told, the incident of all streams of a station.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.cell import Cell, Effort, Figures, Floats
from benchmarks.dated import datings
from benchmarks.lines import oracle_interval, step_estimate
from benchmarks.stories import ARL0, events
from benchmarks.streams import grown, learned, simulated
from benchmarks.whole import LATENT, Whole
from sincewhen.processor.backtest import watch
from sincewhen.processor.event import Event
from sincewhen_testing.streams import direction

GOLDEN, DIMS, BEFORE, JITTER, HORIZON = 5000, 64, 400, 64, 2500
RAMP_FRAMES = 400
CHANGES = (  # kind of noise, shape, size once grown
    ("ar 0", "step", 1.0), ("ar 0", "step", 2.0), ("ar 0", "step", 3.0),
    ("ar .9", "step", 2.0), ("ar .9", "step", 3.0),
    ("ar 0", "linear", 4.0), ("ar 0", "root", 4.0), ("ar 0", "square", 4.0),
    ("ar .9", "linear", 6.0), ("ar .9", "root", 6.0), ("ar .9", "square", 6.0),
    ("ar 0", "steep", 6.0), ("ar .9", "steep", 9.0),
)  # fmt: skip
BESIDE = (  # of the product: details
    ("ar .99", "step", 5.0), ("ar .99", "linear", 10.0), ("two-scale", "step", 2.0), ("two-scale", "linear", 5.0),
    ("t5", "step", 2.0), ("t5", "linear", 4.0),
)  # fmt: skip
STATUSES, LATER = ("confirmed", "refined"), (50, 200)  # frames after the alarm


def cells(effort: Effort) -> list[Cell]:
    one = CHANGES if effort > Effort.SMOKE else CHANGES[2:3]
    stream = [
        Cell.of("onset", repetition, level="stream", kind=kind, shape=shape, size=size, runs=effort.pick(3, 6, 40))
        for repetition in range(effort.pick(1, 2, 12))
        for kind, shape, size in one
    ]
    product = [
        Cell.of("onset", repetition, level="product", kind=kind, shape=shape, size=size, runs=effort.pick(2, 8, 25))
        for changes, repetitions in ((one, effort.pick(1, 1, 17)), (BESIDE, effort.pick(0, 0, 3)))
        for repetition in range(repetitions)
        for kind, shape, size in changes
    ]
    return [*stream, *product]


def measure(cell: Cell) -> Figures:
    return {"stream": _stream, "product": _product}[cell.get("level", str)](cell)


def _stream(cell: Cell) -> Figures:
    rng, kind, shape, size = cell.rng, cell.get("kind", str), cell.get("shape", str), cell.get("size", float)
    stream = learned(simulated(kind, rng, GOLDEN, DIMS))
    found: Figures = {"early": [], "missed": [], "delay": []}
    for status in STATUSES:
        found |= {f"{status} {name}": [] for name in ("error", "covered", "width", "oracle", "glr", "ramp")}
    for _ in range(cell.get("runs", int)):
        onset, away = BEFORE + int(rng.integers(JITTER)), direction(rng, DIMS)
        x = simulated(kind, rng, HORIZON, DIMS).x
        growth = _growth(shape, size)
        x[onset:] += growth[: HORIZON - onset, None] * away
        known = _first_change(events(stream, x))
        found["missed"].append(float(not known))
        found["early"].append(float(bool(known) and known[0].alarm < onset))
        if not known or known[0].alarm < onset:
            continue
        found["delay"].append(known[0].alarm - onset + 1.0)
        for event in known:
            if event.status in STATUSES:
                seen = x[: event.at + 1]
                oracle = oracle_interval(seen @ away, growth, float(kind[3:]))
                _dated(found, event, onset, oracle, step_estimate(seen - stream.mean))
    return found


def _growth(shape: str, size: float) -> Floats:
    return size * grown(shape, np.arange(1.0, HORIZON + 1), RAMP_FRAMES)


def _product(cell: Cell) -> Figures:
    """The first alarm of a recording; oracles of correlated noise know its correlation."""
    rng, kind = cell.rng, cell.get("kind", str)
    growth, whole = _growth(cell.get("shape", str), cell.get("size", float)), Whole.learn(cell.rng, kind)
    found: Figures = {"early": [], "missed": [], "delay": [], "golden": [whole.golden]}
    for status in STATUSES:
        found |= {f"{status} {name}": [] for name in ("error", "covered", "width", "oracle", "ramp")}
    for _ in range(cell.get("runs", int)):
        onset, away = BEFORE + int(rng.integers(JITTER)), direction(rng, LATENT)
        latent = whole.latent(HORIZON)
        latent[onset:] += growth[: HORIZON - onset, None] * away
        alarms = watch(whole.recording(latent), whole.profile, ARL0)
        found["missed"].append(float(not alarms))
        found["early"].append(float(bool(alarms) and alarms[0].first.at < onset))
        if not alarms or alarms[0].first.at < onset:
            continue
        found["delay"].append(alarms[0].first.at - onset + 1.0)
        said = datings(alarms[0], onset)
        for name, values in said.items():
            found[name] += values
        for status, later in zip(STATUSES, LATER, strict=True):
            if kind.startswith("ar ") and f"{status} width" in said:
                seen = latent[: alarms[0].first.at + later + 1]
                low, _, high = oracle_interval(seen @ away, growth, float(kind[3:]))
                found[f"{status} oracle"].append(high - low + 1.0)
        if alarms[0].confirmed is not None:
            found["confirmed ramp"].append(alarms[0].confirmed.p_ramp)
    return found


def _first_change(found: Iterator[Event]) -> list[Event]:
    """All that is said of it until it is refined, or said to have ended."""
    known: list[Event] = []
    for event in found:
        if event.ordinal == 0 and event.status != "ended":
            known.append(event)
        if event.status in {"refined", "ended"}:
            break
    return known


def _dated(found: Figures, event: Event, onset: int, oracle: tuple[int, int, int], glr: int) -> None:
    said = {
        "error": abs(event.since - onset),
        "covered": event.since_low <= onset <= event.since_high,
        "width": event.since_high - event.since_low + 1,
        "oracle": oracle[2] - oracle[0] + 1,
        "glr": abs(glr - onset),
        "ramp": event.p_ramp,
    }
    for name, value in said.items():
        found[f"{event.status} {name}"].append(float(value))
