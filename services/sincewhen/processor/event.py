"""What is known of one change in one stream, and what people recorded that dating should know."""

from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from sincewhen.onset.date import shape_of
from sincewhen.processor.past import Like
from sincewhen_schemas.messages import DatingStatus, Shape


@dataclass(frozen=True, slots=True)
class Event:
    """Rows count the stream's valid frames from 0; `at` is the newest one. direction: the mean displacement, (d,)."""

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
    direction: tuple[float, ...]
    verdict: Literal["paging", "recorded"]
    paged_at_ns: int | None  # the frame at which it first was worth a page
    ln_z: float
    until: int | None = None  # last row out of control
    until_ns: int | None = None
    until_low_ns: int | None = None
    until_high_ns: int | None = None
    across: bool = False  # found across the direction of another one that was open
    seen_before: int = 0  # changes of this stream that ended and looked alike
    like: Like | None = None  # the nearest of them
    with_lot: bool = False  # abrupt, from the first frame of a lot, supplier lot, sku or recipe on; no recorded change
    follows_change: bool = False  # a recorded change lies in the interval of its onset
    new_level: bool = False  # stable since a recorded change: a new reference is proposed
    contradicted: bool = False  # it was there before the last cleaning or replacement

    def ended(self, at: int, at_ns: int, until: tuple[int, int, int, int]) -> "Event":
        """It ended, as is known at row `at`; until: the last row out of control, its time, and its interval."""
        row, middle, low, high = until
        return replace(
            self,
            version=self.version + 1,
            status="ended",
            at=at,
            at_ns=at_ns,
            until=row,
            until_ns=middle,
            until_low_ns=low,
            until_high_ns=high,
        )

    def goes_on(self, at: int, at_ns: int) -> "Event":
        """It had not ended after all."""
        return replace(
            self,
            version=self.version + 1,
            status=self.dating,
            shape=shape_of(self.p_ramp),
            at=at,
            at_ns=at_ns,
            until=None,
            until_ns=None,
            until_low_ns=None,
            until_high_ns=None,
        )


@dataclass(frozen=True, slots=True)
class Marks:
    """Times (ns) of what was recorded: changes of any kind; resets, which remove what they clean or replace; challenge
    parts that passed, with the displacement that such a part notices.
    """

    changes: tuple[int, ...] = ()
    resets: tuple[int, ...] = ()
    passed: tuple[tuple[int, float], ...] = ()

    def until(self, at_ns: int) -> "Marks":
        """Those that were by then: a control may be recorded for later."""
        return Marks(
            tuple(at for at in self.changes if at <= at_ns),
            tuple(at for at in self.resets if at <= at_ns),
            tuple((at, limit) for at, limit in self.passed if at <= at_ns),
        )


class Owed(msgspec.Struct):
    """What began with frames that a stream does not have: it begins with the stream's next one."""

    lot: bool = False
    step: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """Frames of one stream, in order."""

    x: NDArray[np.float32]  # (n, d) residuals
    at_ns: NDArray[np.int64]  # (n,)
    lot: NDArray[np.bool_]  # (n,) a lot begins here
    step: NDArray[np.bool_]  # (n,) a lot, supplier lot, sku or recipe begins here
    doubt: NDArray[np.float32]  # (n,) of the mean that x is about, see Scores
    marks: Marks = field(default_factory=Marks)
    layer: NDArray[np.float32] | None = None  # (n, k) of T²: its layer's positions

    def __len__(self) -> int:
        return len(self.x)

    def only(self, keep: NDArray[np.bool_], owed: Owed) -> "Rows":
        """The frames `keep` (n,) that the stream has; what began in between is theirs. Changes `owed`."""
        if keep.all() and not owed.lot and not owed.step:
            return self
        rows = np.flatnonzero(keep)
        lot, owed.lot = _handed_on(self.lot, rows, owed.lot)
        step, owed.step = _handed_on(self.step, rows, owed.step)
        return self._at(rows, lot, step)

    def cut(self, start: int, stop: int) -> "Rows":
        if start == 0 and stop == len(self):
            return self
        part = slice(start, stop)
        return self._at(part, self.lot[part], self.step[part])

    def _at(self, rows: slice | NDArray[np.intp], lot: NDArray[np.bool_], step: NDArray[np.bool_]) -> "Rows":
        layer = None if self.layer is None else self.layer[rows]
        return Rows(self.x[rows], self.at_ns[rows], lot, step, self.doubt[rows], self.marks, layer)


def _handed_on(begins: NDArray[np.bool_], rows: NDArray[np.intp], owed: bool) -> tuple[NDArray[np.bool_], bool]:  # noqa: FBT001 - one caller
    """At which of `rows` something began since the row before, and whether something began after the last of them."""
    if not owed and not begins.any():
        return np.zeros(len(rows), bool), False
    if not len(rows):
        return np.zeros(0, bool), True
    count = np.cumsum(begins)
    return np.diff(count[rows], prepend=-int(owed)) > 0, bool(count[-1] > count[rows[-1]])
