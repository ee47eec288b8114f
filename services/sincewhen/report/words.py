"""Streams, times and changes in the words of a page."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo

import numpy as np
from numpy.typing import NDArray

from sincewhen.console.times import iso
from sincewhen.detect.naming import UNKNOWN
from sincewhen.processor.backtest import Alarm
from sincewhen.report.judged import BASELINE, Judged, reach, surely_changed
from sincewhen_schemas.limits import CAPTURED_AT_MIN_NS
from sincewhen_schemas.messages import Shape

_SPREADS_MAX = 1000.0  # beyond, the baseline hardly varies and a number says nothing
EFFECT_MIN = 1.0  # times the spread of single baseline rows, from which a factor is named in a headline
_NAMED_MAX = 3
_MAD_TO_SD = 1.4826
_NS = 10**9
_MORE_AND_LESS = {
    "brightness": ("brighter", "darker"),
    "contrast": ("richer in contrast", "poorer in contrast"),
    "sharpness": ("sharper", "less sharp"),
    "glare": ("fuller of glare", "freer of glare"),
    "noise": ("grainier", "less grainy"),
    "colour_cast_red": ("redder", "greener"),
    "colour_cast_blue": ("bluer", "yellower"),
    "offset_x": ("displaced to the right", "displaced to the left"),
    "offset_y": ("displaced downwards", "displaced upwards"),
    "rotation": ("turned clockwise", "turned anticlockwise"),
}
_NEARER_NEUTRAL = {"colour_cast_red": ("less green", "less red"), "colour_cast_blue": ("less yellow", "less blue")}
SHAPES: dict[Shape, str] = {
    "abrupt": "suddenly",
    "gradual": "gradually",
    "undecided": "suddenly or gradually, that is not clear,",
    "transient": "for a short time",
    "recurring": "for a short time, not for the first time,",
}
STATUS = {
    "provisional": "provisional: dated at the alarm, the data end before it could be confirmed",
    "confirmed": "confirmed, and not over at the end of the data",
    "refined": "refined, and not over at the end of the data",
    "ended": "ended",
}


@dataclass(frozen=True, slots=True)
class Unit:
    """What a row is called, what is seen in it, whose factors they are, and what it is compared with."""

    one: str
    subject: str
    all: str
    usual: str

    def count(self, n: int) -> str:
        return f"{n:,} {self.one}{'' if n == 1 else 's'}"


PICTURE = Unit("picture", "What the pictures show", "The pictures", "baseline")
ROW = Unit("row", "What the model sees", "The frames", "golden rows")


@dataclass(frozen=True, slots=True)
class Effect:
    """A scalar that moved: medians before and in the change, and their difference in spreads of a single row."""

    stream: str
    before: float
    after: float
    size: float

    @property
    def name(self) -> str:
        return self.stream.rpartition(":")[2]

    @property
    def word(self) -> str:
        words = _MORE_AND_LESS.get(self.name, (f"higher in {self.name}", f"lower in {self.name}"))
        if self.after * self.size < 0:  # of a colour cast, 0 is neutral
            words = _NEARER_NEUTRAL.get(self.name, words)
        return words[self.size < 0]

    @property
    def spreads(self) -> str:
        if abs(self.size) < _SPREADS_MAX:
            return f"{self.size:+.1f}"
        return f"over +{_SPREADS_MAX:,.0f}" if self.size > 0 else f"below -{_SPREADS_MAX:,.0f}"


def effects(alarm: Alarm, verdict: Judged) -> list[Effect]:
    """The image factors, confidence and signals among the streams that moved, the largest first."""
    changed = np.isin(verdict.judged, surely_changed(alarm, verdict))
    calm = verdict.states[verdict.judged] == BASELINE
    found: list[Effect] = []
    for stream in alarm.streams:
        values = verdict.recording.scalars.get(stream, np.zeros(0))
        before, after = (_seen(values[rows]) if len(values) else values for rows in (calm, changed))
        if len(before) and len(after):
            middle = float(np.median(before))
            spread = float(np.median(np.abs(before - middle))) * _MAD_TO_SD
            moved = float(np.median(after)) - middle
            found.append(Effect(stream, middle, middle + moved, moved / max(spread, float(np.finfo(float).tiny))))
    return sorted(found, key=lambda effect: -abs(effect.size))


def what(moved: list[Effect], subject: str, unit: Unit, *, from_the_first: bool) -> str:
    """What changed, as the beginning of a sentence."""
    factors = [effect for effect in moved if effect.stream.startswith("factor:")]
    words = [effect.word for effect in factors if abs(effect.size) >= EFFECT_MIN][:_NAMED_MAX]
    if not words:
        return f"{subject} {'was different' if from_the_first else 'changed'}"
    named = ", ".join(words[:-1]) + (" and " if words[1:] else "") + words[-1]
    return f"{unit.all} {'were' if from_the_first else 'became'} {named}"


@dataclass(frozen=True, slots=True)
class Clock:
    """Says where a row is: when it was taken, or its name where no times are known."""

    unit: Unit
    name: Callable[[int], str]
    zone: tzinfo
    at_ns: NDArray[np.int64] | None  # (n,) epoch; before 2000 they are no dates but count from somewhere
    to_the_day: bool = False  # nobody gave a time of day

    def place(self, row: int) -> str:
        if self.at_ns is None:
            return self.name(row)
        return f"{self.day(row)}, {self.name(row)}" if self.to_the_day else self._at(row, "%Y-%m-%d %H:%M:%S")

    def label(self, row: int) -> str:
        """Below an axis."""
        if self.to_the_day:
            return f"{self.day(row)}\n{self._number(row)}"
        return self.place(row).replace(" ", "\n") if self.at_ns is not None else self.short(row)

    def short(self, row: int) -> str:
        if self.at_ns is None:
            return self._number(row)
        return f"{self._at(row, '%m-%d')} {self._number(row)}" if self.to_the_day else self._at(row, "%m-%d %H:%M")

    def day(self, row: int) -> str:
        return self._at(row, "%Y-%m-%d") if self.dated else ""

    @property
    def dated(self) -> bool:
        return self.at_ns is not None and bool((self.at_ns[-1:] >= CAPTURED_AT_MIN_NS).all())

    @property
    def zoned(self) -> str:
        """What places are times of; "" = no times."""
        if self.at_ns is None:
            return ""
        return str(self.zone) if self.dated else "hours:minutes:seconds after the first"

    def iso(self, row: int) -> str | None:
        if self.at_ns is None:
            return None
        return self.day(row) if self.to_the_day else iso(int(self.at_ns[row]))

    def interval(self, alarm: Alarm) -> str:
        """The onset's interval."""
        low, high = alarm.known.since_low, alarm.known.since_high
        if low == high:
            return f"known to the {self.unit.one}"
        return f"between {self.place(low)} and {self.later(low, high)}"

    def later(self, first: int, row: int) -> str:
        """A place beside an earlier one: without the day if it is the same."""
        same = self.dated and self.day(first) == self.day(row)
        return self.place(row).removeprefix(self.day(row)).lstrip(", ") if same else self.place(row)

    def _number(self, row: int) -> str:
        return self.name(row).partition(" (")[0]

    def _at(self, row: int, form: str) -> str:
        assert self.at_ns is not None
        if self.dated:
            return datetime.fromtimestamp(int(self.at_ns[row]) // _NS, self.zone).strftime(form)
        seconds = int(self.at_ns[row] - self.at_ns[0]) // _NS
        return f"+{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


@dataclass(frozen=True, slots=True)
class Told:
    """What page, figure and terminal say of one change."""

    headline: str
    dated: bool  # False: it began before the data, or with them
    interval: str
    until: str | None
    looks_like: str  # "" = unknown
    rows: int
    lots: list[str]


def told(alarm: Alarm, verdict: Judged, clock: Clock) -> Told:
    known, unit = alarm.known, clock.unit
    from_the_first = known.since_low <= int(verdict.judged[0])
    began, until = clock.place(known.since), alarm.until
    when = f"from the first {unit.one}s on" if from_the_first else f"{SHAPES[known.shape]} since {began}"
    if until is not None:
        over = f"until {clock.later(known.since, until)}"
        shape = SHAPES[known.shape].rstrip(",")
        when = f"from the first {unit.one}s {over}" if from_the_first else f"{shape}, from {began} {over}"
    subject = "The confidence of the model" if alarm.streams == ("confidence",) else unit.subject
    rows = reach(alarm, verdict)
    lot = verdict.recording.lot
    lots = () if lot is None else dict.fromkeys(lot[np.isin(verdict.judged, rows)].tolist())
    return Told(
        headline=f"{what(effects(alarm, verdict), subject, unit, from_the_first=from_the_first)} {when}",
        dated=not from_the_first,
        interval="before this archive begins, or with it" if from_the_first else clock.interval(alarm),
        until=None if until is None else clock.place(until),
        looks_like="" if alarm.cause == UNKNOWN else alarm.cause.replace("_", " "),
        rows=len(rows),
        lots=[name for name in lots if name],
    )


def headline(verdict: Judged, unit: Unit) -> str:
    n = unit.count(len(verdict.states))
    if verdict.refused is not None:
        return f"{n} can not be judged"
    if not verdict.alarms:
        return f"No change found in {n}"
    return f"{len(verdict.alarms)} change{'s' if verdict.alarms[1:] else ''} found in {n}"


def why_refused(verdict: Judged) -> str:
    """Why nothing can be judged, and what to do, as a sentence."""
    what_rule, colon, detail = (verdict.refused or "").partition(":")
    said = what_rule.replace("_", " ") + colon + detail
    return f"{said[:1].upper()}{said[1:]}."


def _seen(values: NDArray[np.float64]) -> NDArray[np.float64]:
    seen: NDArray[np.float64] = values[np.isfinite(values)]
    return seen
