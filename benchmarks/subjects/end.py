"""Until when: delay of the end, missed and false ends, error of the end's date; d = 64."""

from benchmarks.cell import Cell, Effort, Figures
from benchmarks.stories import events
from benchmarks.streams import learned, simulated
from sincewhen.processor.event import Event
from sincewhen_testing.streams import direction

GOLDEN, DIMS, ONSET, AFTER = 5000, 64, 300, 1500
LASTS, JITTER, ALARM_MIN = 1500, 64, 200  # a drift that is alarmed later than ALARM_MIN before its end is left out
CHANGES = (("ar 0", 1.0), ("ar 0", 2.0), ("ar 0", 3.0), ("ar .5", 2.0), ("ar .9", 2.0), ("ar .9", 3.0))


def cells(effort: Effort) -> list[Cell]:
    return [
        Cell.of("end", repetition, kind=kind, size=size, runs=effort.pick(2, 8, 25))
        for repetition in range(effort.pick(1, 2, 12))
        for kind, size in (CHANGES if effort > Effort.SMOKE else CHANGES[1:2])
    ]


def measure(cell: Cell) -> Figures:
    rng, kind = cell.rng, cell.get("kind", str)
    stream = learned(simulated(kind, rng, GOLDEN, DIMS))
    found: Figures = {"faulty": [], "false": [], "missed": [], "delay": [], "error": []}
    for _ in range(cell.get("runs", int)):
        end = ONSET + LASTS + int(rng.integers(JITTER))
        x = simulated(kind, rng, end + AFTER, DIMS).x
        x[ONSET:end] += cell.get("size", float) * direction(rng, DIMS)
        said = [event for event in events(stream, x) if event.alarm >= ONSET]
        if not said or said[0].alarm > end - ALARM_MIN:
            continue
        ends = [event for event in said if event.status == "ended"]
        found["faulty"].append(float(end - said[0].alarm))
        found["false"].append(float(sum(event.at < end for event in ends)))
        true = next((event for event in ends if event.at >= end), None)
        found["missed"].append(float(true is None and not _ended_before(said, end)))
        if true is not None and true.until is not None:
            found["delay"].append(true.at - end + 1.0)
            found["error"].append(float(abs(true.until - (end - 1))))
    return found


def _ended_before(said: list[Event], end: int) -> bool:
    """Whether nothing was open when the drift ended: after a false end that no alarm followed."""
    last = [event for event in said if event.at < end]
    return bool(last) and last[-1].status == "ended"
