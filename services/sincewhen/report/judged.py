"""What was judged: the state of every row, its changes, and what charts are drawn from."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.esr import BLIND_MIN
from sincewhen.processor.backtest import Alarm, Recording, Result
from sincewhen.processor.gaps import WEEK_NS, breaks, since_last
from sincewhen.profiles.profile import Profile
from sincewhen.score.score import Scores, score

BASELINE, IN_CONTROL, OUT, NOT_JUDGED = "baseline", "in control", "out of control", "not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Of n rows in order, numbered from 0; an archive's rows are its pictures."""

    refused: str | None
    arl0: float
    states: NDArray[np.object_]  # (n,) one of the four states
    judged: NDArray[np.int64]  # numbers of the rows in `recording` and `scores`
    recording: Recording
    alarms: list[Alarm]
    profile: Profile | None = None
    scores: Scores | None = None  # of `judged`
    ln_z: dict[str, NDArray[np.float32]] = field(default_factory=dict)  # (n,) by stream, where it was kept
    warnings: tuple[str, ...] = ()  # of a backtest: what makes it less sure


def judged_rows(recording: Recording, golden: int, arl0: float, result: Result) -> Judged:
    """A backtest: the first rows are the baseline."""
    states, rows = np.full(recording.n, NOT_JUDGED, object), np.arange(recording.n)
    profile, scores = result.profile, None
    if profile is not None:
        scores = score(profile, recording.layers, recording.scalars, n=recording.n)
        seen = golden + np.flatnonzero(np.any([valid[golden:] for valid in scores.valid.values()], axis=0))
        states[seen] = IN_CONTROL
        states[seen[short_bursts(recording.take(seen), profile)]] = NOT_JUDGED
    for alarm in result.alarms:
        states[alarm.known.since : recording.n if alarm.until is None else alarm.until + 1] = OUT
    states[:golden] = BASELINE
    return Judged(
        refused=result.refused,
        arl0=arl0,
        states=states,
        judged=rows,
        recording=recording,
        alarms=result.alarms,
        profile=profile,
        scores=scores,
        ln_z=result.ln_z,
        warnings=result.warnings,
    )


def reach(alarm: Alarm, verdict: Judged) -> NDArray[np.int64]:
    """The judged rows of one change, with the whole interval of its onset."""
    return _between(alarm.known.since_low, alarm, verdict)


def surely_changed(alarm: Alarm, verdict: Judged) -> NDArray[np.int64]:
    """The judged rows behind the onset's interval; where a change is shorter than that, behind its middle."""
    rows = _between(alarm.known.since_high, alarm, verdict)
    return rows if len(rows) else _between(alarm.known.since, alarm, verdict)


def _between(first: int, alarm: Alarm, verdict: Judged) -> NDArray[np.int64]:
    rows = np.arange(first, len(verdict.states) if alarm.until is None else alarm.until + 1)
    judged: NDArray[np.int64] = rows[verdict.states[rows] != NOT_JUDGED]
    return judged


def pauses(recording: Recording, profile: Profile) -> list[int]:
    """Rows before which the windows of every stream start anew."""
    if not recording.pauses or not recording.n:
        return []
    longest = max(profile.null(stream).n_max for stream in profile.streams)
    return breaks(since_last(recording.at_ns, 0), WEEK_NS / profile.frames_per_week * longest)


def short_bursts(recording: Recording, profile: Profile) -> NDArray[np.intp]:
    """Rows between two long pauses that are too few for any window."""
    cuts = pauses(recording, profile)
    edges = zip([0, *cuts], [*cuts, recording.n], strict=True)
    short = [np.arange(a, b) for a, b in edges if cuts and b - a < BLIND_MIN]
    return np.concatenate(short) if short else np.zeros(0, np.intp)
