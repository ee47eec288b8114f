"""What the demonstration found, held against what it did. Only this module sees both."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sincewhen.demo.scene import Truth

ABRUPT_TOLERANCE_FRAMES = 25
RAMP_TOLERANCE = 0.15  # of the ramp
LOTS_BEFORE_RAMP = 0.2  # of the ramp: a lot that ended earlier before the true onset is wrongly suspect
LOTS_IN_RAMP = 0.05  # of the ramp: a lot that ended later after the true onset has to be suspect


@dataclass(frozen=True, slots=True)
class Stage:
    """One station's stream as played: one frame every `frame_s` from `start`; lots by name, rows [first, last)."""

    station_id: str
    truth: Truth
    start: datetime
    frame_s: float
    lots: dict[str, tuple[int, int]]

    def row(self, at: str) -> float:
        """The frame at a time."""
        return (datetime.fromisoformat(at) - self.start).total_seconds() / self.frame_s


def judge(stage: Stage, incidents: list[dict[str, Any]]) -> tuple[dict[str, Any], bool, int]:
    """The story's report, whether it is as it must be, and how many of the station's incidents are false.

    The first incident that opened after the story began is its finding; every other one is false.
    """
    truth = stage.truth
    mine = sorted((i for i in incidents if i["station_id"] == stage.station_id), key=lambda i: i["opened_at"])
    after = [i for i in mine if truth.since <= stage.row(i["opened_at"]) < truth.end]
    found = after[0] if after else None
    report: dict[str, Any] = {
        "name": truth.story,
        "true_since": _at(stage, truth.since),
        "since": found and found["since"],
        "since_low": found and found["since_low"],
        "since_high": found and found["since_high"],
        "found": found is not None,
        "covered": False,
        "shape": found and found["shape"],
        "cause": found and found["cause"],
        "lots": found["lots"] if found else [],
        "delay_frames": found and round(stage.row(found["opened_at"]) - truth.since),
    }
    if found is None:
        return report, False, len(mine)
    low, since, high = (round(stage.row(found[key])) for key in ("since_low", "since", "since_high"))
    report["covered"] = low <= truth.since <= high
    tolerance = RAMP_TOLERANCE * truth.ramp if truth.ramp else ABRUPT_TOLERANCE_FRAMES
    ok = abs(since - truth.since) <= tolerance and _lots_right(stage, set(found["lots"]))
    return report, ok, len(mine) - 1


def _lots_right(stage: Stage, named: set[str]) -> bool:
    """Every changed lot is named, of the others none; of a ramp those may be that ended about when it began."""
    truth = stage.truth
    earliest, needed = truth.since - LOTS_BEFORE_RAMP * truth.ramp, truth.since + LOTS_IN_RAMP * truth.ramp
    allowed = {name for name, (_, last) in stage.lots.items() if truth.ramp and last > earliest}
    must = {name for name in truth.lots if stage.lots[name][1] > needed}
    return must <= named <= set(truth.lots) | allowed


def _at(stage: Stage, row: int) -> str:
    return datetime.fromtimestamp(stage.start.timestamp() + row * stage.frame_s, stage.start.tzinfo).isoformat()
