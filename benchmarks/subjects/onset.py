"""Since when: error, coverage and width 50 and 200 frames after the alarm, d = 64; the oracle's and GLR's beside it."""

from collections.abc import Iterator

import numpy as np

from benchmarks.cell import Cell, Effort, Figures
from benchmarks.lines import oracle_interval, step_estimate
from benchmarks.stories import events
from benchmarks.streams import grown, learned, simulated
from sincewhen.processor.event import Event
from sincewhen_testing.streams import direction

GOLDEN, DIMS, BEFORE, JITTER, HORIZON = 5000, 64, 400, 64, 2500
RAMP_FRAMES = 400
CHANGES = (  # kind of noise, shape, size once grown
    ("ar 0", "step", 1.0), ("ar 0", "step", 2.0), ("ar 0", "step", 3.0),
    ("ar .9", "step", 2.0), ("ar .9", "step", 3.0),
    ("ar 0", "linear", 4.0), ("ar 0", "root", 4.0), ("ar 0", "square", 4.0),
    ("ar .9", "linear", 6.0), ("ar .9", "root", 6.0), ("ar .9", "square", 6.0),
)  # fmt: skip
STATUSES = ("confirmed", "refined")


def cells(effort: Effort) -> list[Cell]:
    return [
        Cell.of("onset", repetition, kind=kind, shape=shape, size=size, runs=effort.pick(3, 6, 40))
        for repetition in range(effort.pick(1, 2, 16))
        for kind, shape, size in (CHANGES if effort > Effort.SMOKE else CHANGES[2:3])
    ]


def measure(cell: Cell) -> Figures:
    rng, kind, shape, size = cell.rng, cell.get("kind", str), cell.get("shape", str), cell.get("size", float)
    stream = learned(simulated(kind, rng, GOLDEN, DIMS))
    found: Figures = {"early": [], "missed": [], "delay": []}
    for status in STATUSES:
        found |= {f"{status} {name}": [] for name in ("error", "covered", "width", "oracle", "glr", "ramp")}
    for _ in range(cell.get("runs", int)):
        onset, away = BEFORE + int(rng.integers(JITTER)), direction(rng, DIMS)
        x = simulated(kind, rng, HORIZON, DIMS).x
        growth = size * grown(shape, np.arange(1.0, HORIZON + 1), RAMP_FRAMES)
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
