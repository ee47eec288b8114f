"""One stream from positions to dated events: detector, onset, recovery. The answer does not depend on batch borders.

Watching: the e-SR runs. Its alarm opens an event, dated at once (provisional), 50 frames later (confirmed) and at
+200 (refined, then frozen). While open, the recovery looks for the end; then the detector starts anew. An alarm
within 64 frames of an end reopens the event.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.esr import Esr, EsrState
from sincewhen.detect.gate import verdict
from sincewhen.onset.date import date_onset
from sincewhen.onset.recovery import Recovery, RecoveryState
from sincewhen.profiles.null import StreamNull
from sincewhen_schemas.messages import DatingStatus, Shape

WINDOW_FRAMES = 2048
CONFIRMED_AFTER = 50
REFINED_AFTER = 200
REOPEN_WITHIN = 64
_TRIM_SLACK = 512
_LOOK_EVERY = 64


@dataclass(frozen=True, slots=True)
class Event:
    """What is known of one change in one stream. Rows count the stream's valid frames from 0; `at` the newest one."""

    ordinal: int
    version: int  # 1 at the alarm, one more with each event of the same ordinal
    status: Literal["provisional", "confirmed", "refined", "ended"]
    dating: DatingStatus
    at: int
    at_ns: int
    alarm: int
    alarm_at_ns: int
    since: int
    since_low: int
    since_high: int
    since_ns: int
    since_low_ns: int
    since_high_ns: int
    shape: Shape
    p_ramp: float
    evidence: float
    displacement: float
    verdict: Literal["paging", "recorded"]
    paged_at_ns: int | None  # the frame at which it first was worth a page
    ln_z: float
    until: int | None = None  # last row out of control
    until_ns: int | None = None
    until_low_ns: int | None = None
    until_high_ns: int | None = None


@dataclass(slots=True)
class _Window:
    """The newest rows of the stream, oldest first."""

    x: NDArray[np.float32]  # (w, d)
    at_ns: NDArray[np.int64]  # (w,)
    lot: NDArray[np.bool_]  # (w,) a lot begins here
    step: NDArray[np.bool_]  # (w,) a lot, supplier lot or recipe begins here
    first: int  # row number of the oldest

    def push(
        self, x: NDArray[np.float32], at_ns: NDArray[np.int64], lot: NDArray[np.bool_], step: NDArray[np.bool_]
    ) -> None:
        self.x = np.concatenate([self.x, x])
        self.at_ns = np.concatenate([self.at_ns, at_ns])
        self.lot = np.concatenate([self.lot, lot])
        self.step = np.concatenate([self.step, step])
        if len(self.x) > WINDOW_FRAMES + _TRIM_SLACK:
            self.keep(WINDOW_FRAMES)

    def keep(self, newest: int) -> None:
        drop = max(0, len(self.x) - newest)
        self.x, self.at_ns = self.x[drop:], self.at_ns[drop:]
        self.lot, self.step = self.lot[drop:], self.step[drop:]
        self.first += drop

    def newest(self, count: int) -> "_Window":
        drop = max(0, len(self.x) - count)
        return _Window(self.x[drop:], self.at_ns[drop:], self.lot[drop:], self.step[drop:], self.first + drop)


@dataclass(slots=True)
class MonitorState:
    """Everything the monitor remembers."""

    esr: EsrState
    window: _Window
    rows: int = 0
    next_ordinal: int = 0
    event: Event | None = None  # open, or ended less than REOPEN_WITHIN rows ago
    since_alarm: int = 0
    recovery: RecoveryState | None = None  # while open


@dataclass(slots=True)
class StreamMonitor:
    """One stream of one profile at one run length. Feed only valid rows, in order."""

    null: StreamNull
    arl0: float
    state: MonitorState | None = None
    _esr: Esr = field(init=False)

    def __post_init__(self) -> None:
        self._esr = Esr(self.null, self.state.esr if self.state else None)
        if self.state is None:
            empty = np.zeros((0, self.null.dims), np.float32)
            window = _Window(empty, np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0, bool), 0)
            self.state = MonitorState(self._esr.state, window)

    def update(
        self,
        x: NDArray[np.float32],
        at_ns: NDArray[np.int64],
        lot_change: NDArray[np.bool_],
        step: NDArray[np.bool_],
    ) -> tuple[list[Event], NDArray[np.float32]]:
        """Take n rows: residuals (n, d), capture times, where a lot and where any dated context begins.

        Returns the events in order, and ln Z after each row (NaN while an event is open).
        """
        events: list[Event] = []
        ln_z = np.full(len(x), np.nan, np.float32)
        row = 0
        while row < len(x):
            if self._state.recovery is None:
                row = self._watch(x, at_ns, lot_change, step, row, events, ln_z)
            else:
                row = self._follow(x, at_ns, lot_change, step, row, events)
        return events, ln_z

    def restart(self) -> None:
        """Begin the detector's windows anew (a gap, a clock that stepped back); an open event stays open."""
        self._esr.restart()
        self._state.esr = self._esr.state

    def close(self) -> Event | None:
        """End an open event now, as when its profile is replaced: the last row seen is its end."""
        state = self._state
        if state.event is None or state.recovery is None:
            return None
        at_ns = int(state.window.at_ns[-1])
        state.recovery = None
        state.event = replace(
            state.event,
            version=state.event.version + 1,
            status="ended",
            at=state.rows - 1,
            at_ns=at_ns,
            until=state.rows - 1,
            until_ns=at_ns,
            until_low_ns=at_ns,
            until_high_ns=at_ns,
        )
        return state.event

    @property
    def is_paging(self) -> bool:
        """Out of control by more than lots differ by nature."""
        state = self._state
        return state.recovery is not None and state.event is not None and state.event.verdict == "paging"

    @property
    def _state(self) -> MonitorState:
        assert self.state is not None
        return self.state

    def _watch(
        self,
        x: NDArray[np.float32],
        at_ns: NDArray[np.int64],
        lot_change: NDArray[np.bool_],
        step: NDArray[np.bool_],
        row: int,
        events: list[Event],
        ln_z: NDArray[np.float32],
    ) -> int:
        state = self._state
        limit = math.log(self.arl0)
        found = self._esr.update(x[row:], lot_change[row:], limit)
        stop = row + len(found)
        ln_z[row:stop] = found
        self._take(x, at_ns, lot_change, step, row, stop)
        if len(found) and found[-1] >= limit:
            events.append(self._open(float(found[-1])))
            self.restart()
        elif state.event and state.rows - 1 - _ended_at(state.event) > REOPEN_WITHIN:
            state.event = None
        return stop

    def _follow(
        self,
        x: NDArray[np.float32],
        at_ns: NDArray[np.int64],
        lot_change: NDArray[np.bool_],
        step: NDArray[np.bool_],
        row: int,
        events: list[Event],
    ) -> int:
        state = self._state
        assert state.recovery is not None
        marks = [mark - state.since_alarm for mark in (CONFIRMED_AFTER, REFINED_AFTER) if mark > state.since_alarm]
        if not self.is_paging:
            marks.append(_LOOK_EVERY - state.since_alarm % _LOOK_EVERY)
        stop = min(len(x), row + min(marks)) if marks else len(x)
        recovery = Recovery(self.null, state.recovery)
        end = recovery.update(x[row:stop])
        stop = stop if end is None else row + end + 1
        self._take(x, at_ns, lot_change, step, row, stop)
        state.since_alarm += stop - row
        if state.since_alarm == CONFIRMED_AFTER:
            events.append(self._date("confirmed"))
        elif state.since_alarm == REFINED_AFTER:
            events.append(self._date("refined"))
        if end is not None:
            events.append(self._end(recovery))
        elif self._has_grown():
            events.extend(self._begin_anew())
        return stop

    def _has_grown(self) -> bool:
        """Whether a change that was only recorded is now worth a page; looked at every so often, once it is refined."""
        state = self._state
        if self.is_paging or state.since_alarm < REFINED_AFTER or state.since_alarm % _LOOK_EVERY:
            return False
        newest = state.window.newest(self.null.n_max).x
        return verdict(newest.mean(axis=0), len(newest), self.null) == "paging"

    def _begin_anew(self) -> list[Event]:
        """The recorded change ends here and the one that is worth a page begins."""
        recorded = self.close()
        assert recorded is not None
        self._state.event = None
        return [recorded, self._open(recorded.ln_z)]

    def _take(
        self,
        x: NDArray[np.float32],
        at_ns: NDArray[np.int64],
        lot_change: NDArray[np.bool_],
        step: NDArray[np.bool_],
        row: int,
        stop: int,
    ) -> None:
        self._state.window.push(x[row:stop], at_ns[row:stop], lot_change[row:stop], step[row:stop])
        self._state.rows += stop - row

    def _open(self, ln_z: float) -> Event:
        state = self._state
        at_ns = int(state.window.at_ns[-1])
        state.since_alarm = 0
        reopened = state.event
        if reopened is not None and state.rows - 1 - _ended_at(reopened) <= REOPEN_WITHIN:
            drifted = state.window.newest(min(len(state.window.x), state.rows - _ended_at(reopened))).x
            state.recovery = Recovery.begin(drifted)
            state.since_alarm = REFINED_AFTER
            event = replace(
                reopened,
                version=reopened.version + 1,
                status=reopened.dating,
                at=state.rows - 1,
                at_ns=at_ns,
                until=None,
                until_ns=None,
                until_low_ns=None,
                until_high_ns=None,
            )
        else:
            event = self._dated("provisional", 1, state.next_ordinal, state.rows - 1, at_ns, ln_z)
            state.next_ordinal += 1
            kept = state.window.newest(WINDOW_FRAMES)
            state.recovery = Recovery.begin(kept.x[max(0, event.since - kept.first) :])
        state.event = event
        return event

    def _date(self, dating: Literal["confirmed", "refined"]) -> Event:
        known = self._state.event
        assert known is not None
        event = self._dated(dating, known.version + 1, known.ordinal, known.alarm, known.alarm_at_ns, known.ln_z)
        if known.paged_at_ns is not None:  # who was paged is not unpaged
            event = replace(event, verdict="paging", paged_at_ns=known.paged_at_ns)
        self._state.event = event
        return event

    def _dated(
        self, dating: DatingStatus, version: int, ordinal: int, alarm: int, alarm_at_ns: int, ln_z: float
    ) -> Event:
        window = self._state.window.newest(WINDOW_FRAMES)
        onset = date_onset(
            window.x,
            self.null,
            step_rows=np.flatnonzero(window.step).tolist(),
            lot_rows=np.flatnonzero(window.lot).tolist(),
        )
        drifted = window.x[onset.since :][-self.null.n_max :]
        judged = verdict(drifted.mean(axis=0), len(drifted), self.null)
        return Event(
            ordinal=ordinal,
            version=version,
            status=dating,
            dating=dating,
            at=self._state.rows - 1,
            at_ns=int(window.at_ns[-1]),
            alarm=alarm,
            alarm_at_ns=alarm_at_ns,
            since=window.first + onset.since,
            since_low=window.first + onset.low,
            since_high=window.first + onset.high,
            since_ns=int(window.at_ns[onset.since]),
            since_low_ns=int(window.at_ns[onset.low]),
            since_high_ns=int(window.at_ns[onset.high]),
            shape=onset.shape,
            p_ramp=onset.p_ramp,
            evidence=onset.evidence,
            displacement=float(np.linalg.norm(onset.displacement)),
            verdict=judged,
            paged_at_ns=int(window.at_ns[-1]) if judged == "paging" else None,
            ln_z=ln_z,
        )

    def _end(self, recovery: Recovery) -> Event:
        state = self._state
        known = state.event
        assert known is not None
        window = state.window
        ages = len(window.x) - 1 - np.flatnonzero(window.step)
        newest, middle, oldest = recovery.ended(tuple(ages.tolist()))
        last = len(window.x) - 1
        rows = [max(0, last - age - 1) for age in (newest, middle, oldest)]  # the last row out of control
        high, until, low = rows
        event = replace(
            known,
            version=known.version + 1,
            status="ended",
            at=state.rows - 1,
            at_ns=int(window.at_ns[-1]),
            until=window.first + until,
            until_ns=int(window.at_ns[until]),
            until_low_ns=int(window.at_ns[low]),
            until_high_ns=int(window.at_ns[high]),
        )
        state.window.keep(last - until)
        state.event, state.recovery = event, None
        self.restart()
        return event

    def to_bytes(self) -> bytes:
        """The whole state; `from_bytes` goes on as if nothing happened."""
        state = self._state
        state.window.keep(WINDOW_FRAMES)
        window = state.window
        arrays = (window.x.tobytes(), window.at_ns.tobytes(), window.lot.tobytes(), window.step.tobytes())
        recovery = state.recovery.to_bytes() if state.recovery else None
        head = (window.first, state.rows, state.next_ordinal, state.since_alarm)
        return msgspec.msgpack.encode((state.esr.to_bytes(), arrays, head, state.event, recovery))

    @staticmethod
    def from_bytes(data: bytes, null: StreamNull, arl0: float) -> "StreamMonitor":
        kind = tuple[bytes, tuple[bytes, bytes, bytes, bytes], tuple[int, int, int, int], Event | None, bytes | None]
        esr, (x, at_ns, lot, step), head, event, recovery = msgspec.msgpack.decode(data, type=kind)
        first, rows, next_ordinal, since_alarm = head
        window = _Window(
            np.frombuffer(x, np.float32).reshape(-1, null.dims),
            np.frombuffer(at_ns, np.int64),
            np.frombuffer(lot, bool),
            np.frombuffer(step, bool),
            first,
        )
        restored = RecoveryState.from_bytes(recovery) if recovery is not None else None
        state = MonitorState(EsrState.from_bytes(esr), window, rows, next_ordinal, event, since_alarm, restored)
        return StreamMonitor(null, arl0, state)


def _ended_at(event: Event) -> int:
    return event.at if event.until is not None else -REOPEN_WITHIN - 1
