"""One stream from positions to dated events: detector, onset, recovery. The answer does not depend on batch borders.

Watching: the e-SR runs. Its alarm opens an event, dated at once (provisional), 50 frames later (confirmed) and at
+200 (refined, then frozen). While open, the recovery looks for the end, and once the newest event is refined the next
change is looked for across its direction. At the end all open events end and the detector starts anew; an alarm within
64 frames of it reopens the last one. A direction that people called "not drift" is taken out of every frame.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.esr import Esr
from sincewhen.detect.gate import verdict
from sincewhen.detect.next_change import DIMS_MIN, LEVEL_LOOKS, RENEWED_EVERY, NextChange
from sincewhen.onset.history import ROWS_OPEN, History, rows_calm
from sincewhen.onset.recovery import Recovery
from sincewhen.processor.dating import CONFIRMED_AFTER, Subject, date_event
from sincewhen.processor.event import Event, Owed, Rows
from sincewhen.processor.monitor_state import Head, MonitorState, Open
from sincewhen.processor.muted import MUTED_MAX, Muted, without
from sincewhen.processor.past import Past, alike, remembered
from sincewhen.profiles.null import StreamNull
from sincewhen_schemas.messages import DatingStatus

REFINED_AFTER = 200
REOPEN_WITHIN = 64
OPEN_MAX = 8
_LOOK_SOON, _LOOK_EVERY = 8, 64  # frames between looks at whether a recorded change is worth a page
_RECURRING_MIN = 2
_STILL, _STILL_SOON = (32, 0.25), (_LOOK_SOON, 0.5)  # newest frames and share of its displacement: it is still there


@dataclass(slots=True)
class StreamMonitor:
    """One stream of one profile at one run length. Feed only the frames that the stream has, in order.

    fingerprints (F, d); good_ns: when the stream was last known to be in control, before the first row.
    """

    null: StreamNull
    arl0: float
    state: MonitorState | None = None
    fingerprints: NDArray[np.float32] | None = None
    good_ns: int = 0
    _esr: Esr = field(init=False)

    def __post_init__(self) -> None:
        self._esr = Esr(self.null, self.state.esr if self.state else None, self.fingerprints)
        if self.state is None:
            self.state = MonitorState(self._esr.state, History(self.null.dims, self.good_ns))

    def update(self, rows: Rows) -> tuple[list[Event], NDArray[np.float32]]:
        """Take rows; the events in order, and ln Z after each row (NaN while an event is open)."""
        events: list[Event] = []
        ln_z = np.full(len(rows), np.nan, np.float32)
        start, head = 0, self._head
        for stop in [*self._expiries(rows), len(rows)]:
            seen = rows.cut(start, stop)
            if head.muted and len(seen):
                head.muted = [muted for muted in head.muted if muted.until_ns > seen.at_ns[0]]
                seen = replace(seen, x=without(seen.x, head.muted)) if head.muted else seen
            at = 0
            while at < len(seen):
                take = self._watch if not head.open else self._follow
                at = take(seen, at, events, ln_z[start:stop])
            start = stop
        return events, ln_z

    def restart(self) -> None:
        """Begin the detector's windows anew (a gap, a clock that stepped back); an open event stays open."""
        self._esr.restart()

    def close(self) -> list[Event]:
        """End what is open now, as when its profile is replaced: the last row seen is its end."""
        head = self._head
        if not head.open:
            return []
        last, at_ns = head.rows - 1, int(self._state.history.at_ns[-1])
        ended = [item.event.ended(last, at_ns, (last, at_ns, at_ns, at_ns)) for item in head.open]
        self._calm()
        return ended

    def end_with(self, whole: Event) -> list[Event]:
        """What it is a part of is back in control: so is this, or it is found again by itself."""
        if not self._head.open:
            return []
        assert whole.until_ns is not None
        assert whole.until_low_ns is not None
        assert whole.until_high_ns is not None
        after = int(np.count_nonzero(self._state.history.at_ns > whole.until_ns))
        return self._over(whole.at_ns, after, (whole.until_ns, whole.until_low_ns, whole.until_high_ns))

    def mute(self, ordinal: int, until_ns: int) -> list[Event]:
        """What people called "not drift": its direction is not looked at until then. Ends what is open by it."""
        head = self._head
        found = [item.event for item in head.open if item.event.ordinal == ordinal]
        if not found:
            return []
        head.muted = [*head.muted, Muted(found[0].direction, until_ns)][-MUTED_MAX:]
        ended = self.close()
        self._state.history.forget(0)
        self.restart()
        return ended

    @property
    def is_calm(self) -> bool:
        """Whether its frames go to the detector and into the past alone, until an alarm."""
        return not (self._head.open or self._head.muted or self._head.ended)

    @property
    def detector(self) -> Esr:
        return self._esr

    @property
    def history(self) -> History:
        return self._state.history

    def took(self, rows: int) -> None:
        """Detector and past have taken so many rows."""
        self._head.rows += rows
        self._esr.state.frames += rows

    def alarmed(self, ln_z: float, rows: Rows) -> Event:
        """The detector has reached its limit with the newest row; rows: its batch."""
        event = self._open(ln_z, rows)
        self.restart()
        return event

    @property
    def open(self) -> list[Event]:
        """What is out of control, oldest first."""
        return [item.event for item in self._head.open]

    @property
    def owed(self) -> Owed:
        """What the next row begins, because frames that the stream does not have did."""
        return self._head.owed

    @property
    def rows(self) -> int:
        """That it has taken so far."""
        return self._head.rows

    @property
    def is_paging(self) -> bool:
        """Out of control by more than lots differ by nature."""
        return any(item.event.verdict == "paging" for item in self._head.open)

    @property
    def _state(self) -> MonitorState:
        assert self.state is not None
        return self.state

    @property
    def _head(self) -> Head:
        return self._state.head

    def _expiries(self, rows: Rows) -> list[int]:
        found = {int(np.searchsorted(rows.at_ns, muted.until_ns)) for muted in self._head.muted}
        return sorted(row for row in found if 0 < row < len(rows))

    def _watch(self, rows: Rows, at: int, events: list[Event], ln_z: NDArray[np.float32]) -> int:
        head = self._head
        limit = math.log(self.arl0)
        left = rows.cut(at, len(rows))
        found = self._esr.update(left.x, left.lot, limit, left.doubt)
        stop = at + len(found)
        ln_z[at:stop] = found
        self._take(rows.cut(at, stop))
        if len(found) and found[-1] >= limit:
            events.append(self.alarmed(float(found[-1]), rows))
        elif head.ended and head.rows - 1 - head.ended.at > REOPEN_WITHIN:
            head.ended = None
        return stop

    def _follow(self, rows: Rows, at: int, events: list[Event], _ln_z: NDArray[np.float32]) -> int:
        state, newest = self._state, self._head.open[-1]
        assert state.recovery is not None
        stop = min(len(rows), at + self._until_look(newest))
        found = self._look_across(rows, at, stop)
        stop = at + len(found) if found is not None else stop
        recovery = Recovery(self.null, state.recovery)
        end = recovery.update(rows.x[at:stop])
        if end is not None:
            stop = at + end + 1
        self._take(rows.cut(at, stop))
        for item in self._head.open:
            item.age += stop - at
        events.extend(self._dated_by_age(newest, rows))
        if end is not None:
            events.extend(self._end(recovery))
        elif found is not None and len(found) and found[-1] >= math.log(self.arl0):
            events.append(self._open_next(float(found[-1]), rows))
        elif self._has_grown(newest):
            events.extend(self._begin_anew(rows))
        elif newest.age >= REFINED_AFTER and (newest.age - REFINED_AFTER) % RENEWED_EVERY == 0:
            events.extend(self._renew(newest))
        return stop

    def _until_look(self, newest: Open) -> int:
        """Frames until something is due."""
        due = [mark - newest.age for mark in (CONFIRMED_AFTER, REFINED_AFTER) if mark > newest.age]
        if newest.age < CONFIRMED_AFTER and newest.event.verdict == "recorded":
            due.append(_LOOK_SOON - newest.age % _LOOK_SOON)
        if newest.age >= REFINED_AFTER:
            due.append(RENEWED_EVERY - (newest.age - REFINED_AFTER) % RENEWED_EVERY)
        if not self.is_paging:
            due.append(_LOOK_EVERY - newest.age % _LOOK_EVERY)
        return min(due)

    def _look_across(self, rows: Rows, at: int, stop: int) -> NDArray[np.float64] | None:
        if self._state.next is None or self.null.dims < DIMS_MIN:
            return None
        return NextChange(self.null, self.fingerprints, self._state.next).update(
            rows.x[at:stop], rows.lot[at:stop], math.log(self.arl0)
        )

    def _dated_by_age(self, newest: Open, rows: Rows) -> list[Event]:
        known = newest.event
        if newest.age == CONFIRMED_AFTER:
            dating: DatingStatus = "confirmed"
        elif newest.age == REFINED_AFTER:
            dating = "refined"
        elif newest.age < REFINED_AFTER and self._is_large(newest):
            dating = "provisional" if newest.age < CONFIRMED_AFTER else "confirmed"
        else:
            return []
        if not self._still_there(known, *_STILL):  # what is over by now can't be dated better than while it was seen
            at, at_ns = self._head.rows - 1, int(self._state.history.at_ns[-1])
            newest.event = replace(known, version=known.version + 1, status=dating, dating=dating, at=at, at_ns=at_ns)
            return [newest.event]
        alarm = (known.alarm, known.alarm_at_ns, known.ln_z)
        subject = Subject(known.ordinal, known.version + 1, *alarm, newest.before)
        event = date_event(self._state.history, self.null, subject, dating, rows.marks)
        event = self._with_past(event)
        if known.paged_at_ns is not None:  # who was paged is not unpaged
            event = replace(event, verdict="paging", paged_at_ns=known.paged_at_ns)
        newest.event = event
        return [event]

    def _is_large(self, newest: Open) -> bool:
        """Whether some frames more show that a change that was only recorded is worth a page."""
        known = newest.age > CONFIRMED_AFTER
        if newest.age % (_LOOK_EVERY if known else _LOOK_SOON):
            return False
        if newest.event.verdict == "paging" or newest.before or (self.null.patient and not known):
            return False
        first = max(0, newest.event.since - self._state.history.first)
        return self._pages(first, confirmed=known) and self._still_there(newest.event, *_STILL_SOON)

    def _pages(self, first: int, *, confirmed: bool) -> bool:
        """Whether the newest rows, of the history's from `first` on, are worth a page."""
        history = self._state.history
        rows = history.x[first:][-self.null.n_max :].astype(np.float32)
        return verdict(rows.mean(axis=0), len(rows), self.null, history.layer, confirmed=confirmed) == "paging"

    def _still_there(self, known: Event, frames: int, share: float) -> bool:
        mean = self._state.history.x[-frames:].mean(axis=0, dtype=np.float64)
        direction = np.array(known.direction)
        return float(mean @ direction) >= share * float(direction @ direction)

    def _renew(self, newest: Open) -> list[Event]:
        """Measure the open change anew; one that stays where a recorded change put it is a new level."""
        state = self._state
        frames = min(newest.age, RENEWED_EVERY, len(state.history.x))
        rows = state.history.x[-frames:].astype(np.float32)
        state.next = NextChange.begin(self.null, rows, state.next)
        if newest.event.new_level or not newest.event.follows_change or state.next.level < LEVEL_LOOKS:
            return []
        at_ns = int(state.history.at_ns[-1])
        known = newest.event
        newest.event = replace(known, version=known.version + 1, new_level=True, at=state.head.rows - 1, at_ns=at_ns)
        return [newest.event]

    def _has_grown(self, newest: Open) -> bool:
        """Whether a change that was only recorded is now worth a page; looked at every so often, once it is refined."""
        if self.is_paging or newest.age < REFINED_AFTER or newest.age % _LOOK_EVERY:
            return False
        return self._pages(0, confirmed=True)

    def _begin_anew(self, rows: Rows) -> list[Event]:
        """The recorded change ends here and the one that is worth a page begins."""
        recorded = self.close()
        return [*recorded, self._open(recorded[-1].ln_z, rows)]

    def _take(self, rows: Rows) -> None:
        state = self._state
        state.head.rows += len(rows)
        dating = state.head.open and state.head.open[-1].age < REFINED_AFTER
        if rows.layer is not None:
            state.history.push_layer(rows.layer)
        state.history.push(rows.x, rows.at_ns, rows.lot, rows.step, ROWS_OPEN if dating else rows_calm(self.null))

    def _open(self, ln_z: float, rows: Rows) -> Event:
        state, head = self._state, self._head
        history, ended = state.history, head.ended
        last, at_ns = head.rows - 1, int(history.at_ns[-1])
        head.ended = None
        if ended is not None and last - ended.at <= REOPEN_WITHIN:
            drifted = history.x[-min(len(history.x), head.rows - ended.at) :].astype(np.float32)
            state.recovery = Recovery.begin(drifted)
            event = ended.goes_on(last, at_ns)
            head.open.append(Open(event, REFINED_AFTER))
            return event
        subject = Subject(head.next_ordinal, 1, last, at_ns, ln_z)
        event = date_event(history, self.null, subject, "provisional", rows.marks)
        event = self._with_past(event)
        state.recovery = Recovery.begin(history.x[max(0, event.since - history.first) :].astype(np.float32))
        head.next_ordinal += 1
        head.open.append(Open(event, 0))
        return event

    def _open_next(self, ln_z: float, rows: Rows) -> Event:
        """A second change while one is open."""
        state, head = self._state, self._head
        assert state.next is not None
        before = tuple(state.next.mean.tolist())
        subject = Subject(head.next_ordinal, 1, head.rows - 1, int(state.history.at_ns[-1]), ln_z, before)
        event = date_event(state.history, self.null, subject, "provisional", rows.marks)
        head.next_ordinal += 1
        head.open = [*head.open, Open(event, 0, before)][-OPEN_MAX:]
        state.next = None
        return event

    def _with_past(self, event: Event) -> Event:
        """How many changes that ended moved the stream in the same direction, and which is nearest."""
        seen_before, like = alike(self._head.endings, event.direction)
        return replace(event, seen_before=seen_before, like=like)

    def _end(self, recovery: Recovery) -> list[Event]:
        """The stream is back in control: all that is open ends."""
        history = self._state.history
        last = len(history.x) - 1
        ages = last - np.flatnonzero(history.step)
        found = recovery.ended(history.x, tuple(ages.tolist()))  # newest, middle, oldest: of the first row in control
        high, until, low = (max(0, last - age - 1) for age in found)
        times = (int(history.at_ns[until]), int(history.at_ns[low]), int(history.at_ns[high]))
        ended = self._over(int(history.at_ns[-1]), last - until, times)
        self._head.ended = ended[-1] if len(ended) == 1 else None
        return ended

    def _over(self, at_ns: int, after: int, times: tuple[int, int, int]) -> list[Event]:
        """All that is open ended `after` rows ago, as is known at at_ns; times: of its last row, and their interval."""
        head, history = self._head, self._state.history
        row = history.first + len(history.x) - 1 - after
        ended: list[Event] = []
        for item in head.open:
            event = item.event.ended(head.rows - 1, at_ns, (row, *times))
            if event.seen_before >= _RECURRING_MIN:
                event = replace(event, shape="recurring")
            elif item.age < REFINED_AFTER:
                event = replace(event, shape="transient")
            ended.append(event)
        head.endings = remembered(
            head.endings, [Past(event.ordinal, event.alarm_at_ns, event.direction) for event in ended]
        )
        history.forget(after)
        self._calm()
        self.restart()
        return ended

    def _calm(self) -> None:
        """Nothing is open."""
        self._state.recovery = self._state.next = None
        self._head.open, self._head.ended = [], None

    def to_bytes(self) -> bytes:
        """The whole state; `from_bytes` goes on as if nothing happened."""
        return self._state.to_bytes()

    @staticmethod
    def from_bytes(
        data: bytes, null: StreamNull, arl0: float, fingerprints: NDArray[np.float32] | None = None
    ) -> "StreamMonitor":
        return StreamMonitor(null, arl0, MonitorState.from_bytes(data), fingerprints)
