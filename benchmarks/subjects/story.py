"""One camera fault at a real station, from calm frames to calm frames: found, dated, named, ended."""

from benchmarks import stations
from benchmarks.cell import Cell, Figures
from benchmarks.real import Fault, stream
from sincewhen.processor.backtest import Alarm, Dating, Recording, watch
from sincewhen.profiles.profile import Profile

BEFORE, JITTER, LASTS, AFTER = 150, 60, 600, 250


def story(product: str, cause: str, strength: float, golden: int, ramp: int = 0, repetition: int = 0) -> Cell:
    """ramp: frames over which it fades in."""
    return Cell.of("story", repetition, product=product, cause=cause, strength=strength, golden=golden, ramp=ramp)


def measure(cell: Cell) -> Figures:
    rng, cause, ramp = cell.rng, cell.get("cause", str), cell.get("ramp", int)
    first = BEFORE + int(rng.integers(JITTER))
    fault = Fault(cause, cell.get("strength", float), first, first + LASTS, ramp)
    seen = stations.recording(stream(cell.get("product", str), first + LASTS + AFTER, cell.seed, fault))
    profile = stations.profile_of(cell.get("product", str), cell.get("golden", int))
    alarms = watch(seen, profile, stations.ARL0)
    found: Figures = {"early": [float(sum(alarm.first.at < first for alarm in alarms))]}
    true = [alarm for alarm in alarms if first <= alarm.first.at < first + LASTS]
    found["found"] = [float(bool(true))]
    if true:
        found["delay"] = [true[0].first.at - first + 1.0]
        found |= _dated(true[0], first)
        found |= _named(true[0], seen, profile, cause)
        found |= _ended(true, first + LASTS)
    return found


def _dated(alarm: Alarm, first: int) -> Figures:
    """As confirmed, and as refined where it was."""
    found: Figures = {}
    refined = alarm.final if alarm.status in {"refined", "ended"} else None
    for name, known in (("confirmed", alarm.confirmed), ("refined", refined)):
        if known is not None:
            found |= _error(name, known, first)
    return found


def _error(name: str, known: Dating, first: int) -> Figures:
    return {
        f"{name} error": [float(abs(known.since - first))],
        f"{name} covered": [float(known.since_low <= first <= known.since_high)],
        f"{name} width": [known.since_high - known.since_low + 1.0],
    }


def _named(alarm: Alarm, seen: Recording, profile: Profile, cause: str) -> Figures:
    """What it is called when it is confirmed: the story is told again up to there."""
    if alarm.confirmed is None:
        return {}
    told = watch(seen.take(slice(alarm.confirmed.at + 1)), profile, stations.ARL0)
    said = next(item.cause for item in told if item.first.at == alarm.first.at)
    return {"named": [float(said != "unknown")], "right": [float(cause in said.split(" or "))]}


def _ended(true: list[Alarm], stop: int) -> Figures:
    """The last one's end is the fault's; what ended before was a false end."""
    ends = [alarm for alarm in true if alarm.status == "ended"]
    late = [alarm for alarm in ends if alarm.final.at >= stop]
    found: Figures = {
        "faulty": [float(stop - true[0].first.at)],
        "false ends": [float(sum(alarm.final.at < stop for alarm in ends))],
        "end missed": [float(not late and any(alarm.status != "ended" for alarm in true))],
    }
    if late and late[-1].until is not None:
        found["end delay"] = [late[-1].final.at - stop + 1.0]
        found["end error"] = [float(abs(late[-1].until - (stop - 1)))]
    return found
