"""One camera fault at a real station, from calm frames to calm frames: found, dated, named, ended."""

from benchmarks import stations
from benchmarks.cell import Cell, Figures, Param
from benchmarks.dated import datings
from benchmarks.real import Fault, stream
from sincewhen.processor.backtest import Alarm, Recording, watch
from sincewhen.profiles.profile import Profile

BEFORE, JITTER, LASTS, AFTER = 150, 60, 600, 250
STRENGTHS = (2.25, 2.75)  # the library has whole ones


def story(
    product: str, cause: str, strength: float, golden: int, ramp: int = 0, repetition: int = 0, library: str = "whole"
) -> Cell:
    """ramp: frames over which it fades in. library: "whole", or "off" where it lacks the cause."""
    params: dict[str, Param] = {"product": product, "cause": cause, "strength": strength}
    return Cell.of("story", repetition, **params, golden=golden, ramp=ramp, library=library)


def measure(cell: Cell) -> Figures:
    rng, cause, ramp = cell.rng, cell.get("cause", str), cell.get("ramp", int)
    first = BEFORE + int(rng.integers(JITTER))
    fault = Fault(cause, cell.get("strength", float), first, first + LASTS, ramp)
    seen = stations.recording(stream(cell.get("product", str), first + LASTS + AFTER, cell.seed, fault))
    without = cause if cell.get("library", str) == "off" else ""
    profile = stations.profile_of(cell.get("product", str), cell.get("golden", int), without)
    alarms = watch(seen, profile, stations.ARL0)
    found: Figures = {"early": [float(sum(alarm.first.at < first for alarm in alarms))]}
    true = [alarm for alarm in alarms if first <= alarm.first.at < first + LASTS]
    found["found"] = [float(bool(true))]
    if true:
        found["delay"] = [true[0].first.at - first + 1.0]
        found |= datings(true[0], first)
        found |= _named(true[0], seen, profile, cause)
        found |= _ended(true, first + LASTS)
    return found


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
