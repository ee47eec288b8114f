"""One stream of one group: the mean of its members' bins, from learning to detections.

A member's value is the sum of its frames in a bin over its standard deviation, less its own mean over its first bins in
control; the group's is the sum over the members present over the root of their number (3-detection §3). One member that
moved alone moves the mean as well: what does not show without the strongest member is that member's fault, not a
common cause, and it is left out until it is back.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from sincewhen.correlator.bins import BIN_NS, SOURCES_MAX
from sincewhen.correlator.reference import SERIES_BINS, Reference, begins_block, learn
from sincewhen.correlator.ring import Ring
from sincewhen.detect.budget import arl0
from sincewhen.onset.history import History
from sincewhen.processor.event import Event, Rows
from sincewhen.processor.gaps import WEEK_NS
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.profiles.null import StreamNull

MEAN_BINS = 256  # in which a source's own mean is learned before it counts: 43 min
MEMBERS_MIN = 2
BROAD_Z = 2.5  # of the others, without the strongest member; and at least
BROAD_SHARE = 0.7  # of what they would have if all had moved alike: an alarm comes when noise helps it
MOVED_Z = 1.5  # of a member since the onset, from which it counts as moved
BACK_BINS, _BACK_Z = 32, 3.0  # a member that was left out is back once its newest bins are in control
_GROWN_MAX = 2  # a group of that many times the members it was learned with is learned anew


class Own(msgspec.Struct):
    """What is learned of one source: bins and sum."""

    bins: int = 0
    total: float = 0.0


class _Head(msgspec.Struct):
    own: dict[str, Own] = msgspec.field(default_factory=dict)
    left_out: list[str] = msgspec.field(default_factory=list)  # members that moved alone
    moved: tuple[str, ...] = ()  # members that moved in the open event
    rows: int = 0
    last_bin: int = -1
    learned: list[tuple[int, float, int]] = msgspec.field(default_factory=list)  # bin, value, members


@dataclass(frozen=True, slots=True)
class Share:
    """What a stream of a group may spend: `weight` of the plant's false pages."""

    pages_per_week: float
    weight: float


@dataclass(frozen=True, slots=True)
class Found:
    """An event, and the members that moved since its onset."""

    event: Event
    moved: tuple[str, ...]


@dataclass(slots=True)
class GroupMean:
    """Feed closed bins, in order."""

    ring: Ring = field(default_factory=Ring)
    reference: Reference | None = None
    monitor: StreamMonitor | None = None
    head: _Head = field(default_factory=_Head)

    def take(self, number: int, values: dict[str, float], out: set[str], share: Share) -> tuple[float, list[Found]]:
        """Take one bin's values by source ("member" or "member ..."); the group's value, NaN = none, and what it finds.

        out: members out of control, which are not learned from.
        """
        present = self._centred(values, out)
        self.ring.push(number, present)
        self._readmit()
        absent = {*self.head.left_out, *(out if self.reference is None else ())}
        used = {member: value for member, value in present.items() if member not in absent}
        if not used:
            return math.nan, []
        value = _combined(used.values())
        if len(used) < MEMBERS_MIN:
            return value, []
        if self.reference is None:
            self._learn(number, value, len(used))
            return value, []
        if len(used) >= _GROWN_MAX * self.reference.members and not self._open:
            self._forget()
            return value, []
        return value, self._watch(number, used, share)

    @property
    def state(self) -> str:
        if self.monitor is None:
            return "learning"
        return "out of control" if self.monitor.is_paging else "in control"

    @property
    def _open(self) -> bool:
        return self.monitor is not None and bool(self.monitor.open)

    def moved(self, since_bin: int, sign: float) -> list[str]:
        """Members whose bins since then have moved that way."""
        return [m for m, x in self.ring.since(since_bin).items() if len(x) and _z(x) * sign >= MOVED_Z]

    def _centred(self, values: dict[str, float], out: set[str]) -> dict[str, float]:
        """Each member's value, of its sources whose own mean is known."""
        by_member: dict[str, list[float]] = {}
        for source, value in values.items():
            member = source.partition(" ")[0]
            own = self.head.own[source] = self.head.own.pop(source, Own())
            if own.bins >= MEAN_BINS:
                by_member.setdefault(member, []).append(value - own.total / own.bins)
            elif member not in out:
                own.bins, own.total = own.bins + 1, own.total + value
        while len(self.head.own) > SOURCES_MAX:
            del self.head.own[next(iter(self.head.own))]  # seen the longest ago
        return {member: sum(parts) / math.sqrt(len(parts)) for member, parts in by_member.items()}

    def _learn(self, number: int, value: float, members: int) -> None:
        learned = self.head.learned
        learned.append((number, value, members))
        if len(learned) < SERIES_BINS:
            return
        columns = np.array(learned)
        until_ns = (number + 1) * BIN_NS
        per_week = len(learned) * WEEK_NS / (until_ns - learned[0][0] * BIN_NS)
        self.reference = learn(columns[:, 1], columns[:, 2].astype(np.int64), per_week, until_ns)
        self.head.learned = learned[SERIES_BINS // 2 :] if self.reference is None else []
        self.head.rows = 0
        if self.reference is not None:
            self.monitor = StreamMonitor(self.reference.null, math.inf, good_ns=until_ns)

    def _forget(self) -> None:
        self.reference = self.monitor = None

    def _watch(self, number: int, used: dict[str, float], share: Share) -> list[Found]:
        head, monitor = self.head, self.monitor
        assert monitor is not None
        assert self.reference is not None
        if head.rows and number - head.last_bin > self.reference.null.n_max:
            monitor.restart()
        monitor.arl0 = arl0(self.reference.bins_per_week, share.pages_per_week, share.weight)
        rows = self._rows([(number, self._position(used))], head.rows)
        head.rows, head.last_bin = head.rows + 1, number
        events, _ = monitor.update(rows)
        return [found for event in events for found in self._judged(event, self.reference.null)]

    def _position(self, used: dict[str, float]) -> float:
        """About the reference; more members than were learned may be alike as well."""
        assert self.reference is not None
        grown = max(1.0, len(used) / self.reference.members)
        return (_combined(used.values()) - self.reference.mean) / math.sqrt(grown)

    @staticmethod
    def _rows(positions: list[tuple[int, float]], first: int) -> Rows:
        """Positions by bin as rows from number `first` on."""
        count = len(positions)
        x = np.array([[position] for _, position in positions], np.float32).reshape(count, 1)
        at_ns = np.array([(number + 1) * BIN_NS for number, _ in positions], np.int64)
        block = np.array([begins_block(first + row) for row in range(count)], bool)
        return Rows(x, at_ns, block, np.zeros(count, bool), np.ones(count, np.float32))

    def _go_on_without(self, member: str) -> None:
        """Leave a member out, from the past that dating looks at too; the detector's windows begin anew."""
        monitor, reference = self.monitor, self.reference
        assert monitor is not None
        assert monitor.state is not None
        assert reference is not None
        self.head.left_out.append(member)
        monitor.close()
        monitor.restart()
        positions = []
        for number, present in self.ring.rows(reference.until_ns // BIN_NS):
            used = {name: value for name, value in present.items() if name not in self.head.left_out}
            if len(used) >= MEMBERS_MIN:
                positions.append((number, self._position(used)))
        first = self.head.rows - len(positions)
        history, rows = History(1, reference.until_ns), self._rows(positions, first)
        history.push(rows.x, rows.at_ns, rows.lot, rows.step, len(rows))
        history.first = first
        monitor.state.history = history

    def _judged(self, event: Event, null: StreamNull) -> list[Found]:
        """An event of the mean, if it is one of the group."""
        head, monitor = self.head, self.monitor
        assert monitor is not None
        sign = math.copysign(1.0, event.direction[0])
        since = event.since_ns // BIN_NS - 1
        if event.version == 1:
            strongest = self._strongest_alone(since, sign, null)
            if strongest is not None:
                self._go_on_without(strongest)
                return []
        if event.status != "ended":
            head.moved = tuple(self.moved(since, sign))
        return [Found(event, head.moved)]

    def _strongest_alone(self, since: int, sign: float, null: StreamNull) -> str | None:
        """The member without which the others have not moved, or far less than members that move alike would."""
        parts = {m: x for m, x in self.ring.since(since).items() if len(x) and m not in self.head.left_out}
        sums = {member: float(x.sum()) * sign for member, x in parts.items()}
        strongest = max(sums, key=lambda member: sums[member])
        bins = max(len(x) for x in parts.values())
        members = sum(len(x) for x in parts.values()) / bins
        if members - 1 < 1 / 2:
            return strongest
        whole = sum(sums.values()) / math.sqrt(members)
        others = (sum(sums.values()) - sums[strongest]) / math.sqrt(members - 1)
        block = min(bins, null.n_max)
        variance = bins * float(null.vt[block - 1, 0] + block * null.sigma2_lot[0] + bins / MEAN_BINS)
        alike = whole * math.sqrt((members - 1) / members)
        return None if others >= max(BROAD_Z * math.sqrt(variance), BROAD_SHARE * alike) else strongest

    def _readmit(self) -> None:
        if not self.head.left_out:
            return
        newest = self.ring.since(self.ring.bins[-min(BACK_BINS, len(self.ring.bins))])
        for member in list(self.head.left_out):
            x = newest.get(member)
            if x is None or (len(x) == BACK_BINS and abs(_z(x)) < _BACK_Z):
                self.head.left_out.remove(member)

    def to_bytes(self) -> bytes:
        reference = self.reference.to_bytes() if self.reference else None
        monitor = (self.monitor.arl0, self.monitor.to_bytes()) if self.monitor else None
        return msgspec.msgpack.encode((self.ring.to_bytes(), reference, monitor, self.head))

    @staticmethod
    def from_bytes(data: bytes) -> "GroupMean":
        kind = tuple[bytes, bytes | None, tuple[float, bytes] | None, _Head]
        ring, raw, watched, head = msgspec.msgpack.decode(data, type=kind)
        reference = None if raw is None else Reference.from_bytes(raw)
        monitor = None
        if watched is not None and reference is not None:
            monitor = StreamMonitor.from_bytes(watched[1], reference.null, watched[0])
        return GroupMean(Ring.from_bytes(ring), reference, monitor, head)


def _combined(values: Collection[float]) -> float:
    return sum(values) / math.sqrt(len(values))


def _z(x: NDArray[np.float64]) -> float:
    """Of the sum of a member's bins (n,), as if independent, about a mean that was learned from MEAN_BINS."""
    return float(x.sum()) / math.sqrt(len(x) * (1 + len(x) / MEAN_BINS))
