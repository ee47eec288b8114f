"""A change that is known to be there gets its date, size and verdict from the stream's history."""

import math
from dataclasses import dataclass, replace

import numpy as np

from sincewhen.detect.gate import verdict
from sincewhen.detect.next_change import RENEWED_EVERY, across, uncertain
from sincewhen.onset.date import Known, date_onset
from sincewhen.onset.history import History
from sincewhen.processor.event import Event, Marks
from sincewhen.profiles.null import StreamNull
from sincewhen_schemas.messages import DatingStatus

CONFIRMED_AFTER = 50  # frames after the alarm
_LATE = 2.5  # times the usual time between frames, from which on some are missing


@dataclass(frozen=True, slots=True)
class Subject:
    """Which event is dated: what its alarm fixed. before: the mean (d,) of what was open already, or empty."""

    ordinal: int
    version: int
    alarm: int
    alarm_at_ns: int
    ln_z: float
    before: tuple[float, ...] = ()


def date_event(history: History, null: StreamNull, subject: Subject, dating: DatingStatus, marks: Marks) -> Event:
    """Date the change that goes on at the newest row, as far as the history tells now."""
    x, old = history.x.astype(np.float32), history.blocks
    if subject.before:
        away = np.array(subject.before, np.float32)
        x, null = across(x, away), uncertain(null, RENEWED_EVERY)
        old = replace(old, mean=across(old.mean.astype(np.float32), away).astype(np.float16))
    known = _known(history, null, marks.until(int(history.at_ns[-1])), subject.alarm)
    onset = date_onset(x, null, known, old)
    drifted = x[max(0, onset.since) :][-null.n_max :]
    mean = drifted.mean(axis=0)
    known_well = dating != "provisional"
    judged = verdict(mean, len(drifted), null, history.layer, confirmed=known_well)
    if null.patient and not known_well:
        judged = "recorded"
    low_ns = history.time_of(onset.low)
    if null.sparse:
        low_ns = min(low_ns, history.time_of(onset.low - 1) + 1)
    if onset.low <= history.begin and history.good_ns:  # it may have begun before anybody looked
        low_ns = min(low_ns, history.good_ns)
    follows_change = any(onset.low <= at <= onset.high for at in known.changes)
    last, at_ns = history.first + len(x) - 1, int(history.at_ns[-1])
    return Event(
        ordinal=subject.ordinal,
        version=subject.version,
        status=dating,
        dating=dating,
        at=last,
        at_ns=at_ns,
        alarm=subject.alarm,
        alarm_at_ns=subject.alarm_at_ns,
        since=history.first + onset.since,
        since_low=history.first + onset.low,
        since_high=history.first + onset.high,
        since_ns=history.time_of(onset.since),
        since_low_ns=low_ns,
        since_high_ns=history.time_of(onset.high),
        shape=onset.shape,
        p_ramp=onset.p_ramp,
        evidence=onset.evidence,
        displacement=float(np.linalg.norm(mean)),
        direction=tuple(mean.tolist()),
        verdict=judged,
        paged_at_ns=at_ns if judged == "paging" else None,
        ln_z=subject.ln_z,
        across=bool(subject.before),
        with_lot=onset.shape == "abrupt" and onset.since in known.steps and not follows_change,
        follows_change=follows_change,
        contradicted=onset.contradicted,
    )


def _known(history: History, null: StreamNull, marks: Marks, alarm: int) -> Known:
    """What people recorded, as positions in the history, and the gaps there were."""
    return Known(
        changes=[history.position_of(at_ns) for at_ns in marks.changes if at_ns >= history.oldest_ns],
        steps=np.flatnonzero(history.step).tolist(),
        lots=np.flatnonzero(history.lot).tolist(),
        resets=[history.position_of(at_ns) for at_ns in marks.resets],
        passed=[(history.position_of(at_ns), limit) for at_ns, limit in marks.passed],
        latest=alarm - history.first,
        gaps=_gaps(history, null),
    )


def _gaps(history: History, null: StreamNull) -> dict[int, float]:
    """Rows behind which frames are missing, and how many times the usual time after the one before they come.

    inf: later than any window, or before it.
    """
    pause = np.diff(history.at_ns).astype(np.float64)
    late = pause / max(float(np.median(pause)), 1.0) if len(pause) else pause
    late[(late > null.n_max) | (late < 0)] = math.inf
    rows = np.flatnonzero(late >= _LATE)
    return dict(zip((rows + 1).tolist(), late[rows].tolist(), strict=True))
