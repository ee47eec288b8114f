"""Streams and times in the words of a page."""

from dataclasses import dataclass
from datetime import datetime, tzinfo

import numpy as np
from numpy.typing import NDArray

from sincewhen.console.times import iso
from sincewhen.processor.backtest import Alarm
from sincewhen.scan.archive import Picture
from sincewhen.scan.judge import Verdict, surely_changed
from sincewhen_schemas.messages import Shape

EFFECT_MIN = 1.0  # times the spread of single baseline pictures, from which a factor is named in a headline
_NAMED_MAX = 3
_MAD_TO_SD = 1.4826
_NS = 10**9
_MORE_AND_LESS = {
    "brightness": ("brighter", "darker"),
    "contrast": ("richer in contrast", "poorer in contrast"),
    "sharpness": ("sharper", "less sharp"),
    "glare": ("fuller of glare", "freer of glare"),
    "noise": ("grainier", "less grainy"),
    "colour_cast_red": ("redder", "less red"),
    "colour_cast_blue": ("bluer", "yellower"),
    "offset_x": ("displaced to the right", "displaced to the left"),
    "offset_y": ("displaced downwards", "displaced upwards"),
    "rotation": ("turned clockwise", "turned anticlockwise"),
}
SHAPES: dict[Shape, str] = {
    "abrupt": "suddenly",
    "gradual": "gradually",
    "undecided": "suddenly or gradually, that is not clear,",
    "transient": "for a short time",
    "recurring": "for a short time, not for the first time,",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """An image factor that moved: medians before and in the change, and their difference in spreads of a picture."""

    name: str
    before: float
    after: float
    size: float

    @property
    def word(self) -> str:
        return _MORE_AND_LESS.get(self.name, (f"higher in {self.name}", f"lower in {self.name}"))[self.size < 0]


def effects(alarm: Alarm, verdict: Verdict) -> list[Effect]:
    """The image factors among the streams that moved, the largest first."""
    changed = np.isin(verdict.judged, surely_changed(alarm, verdict))
    calm = verdict.states[verdict.judged] == "baseline"
    found: list[Effect] = []
    for stream in alarm.streams:
        kind, _, name = stream.partition(":")
        if kind != "factor":
            continue
        values = verdict.recording.scalars[stream]
        before, after = _seen(values[calm]), _seen(values[changed])
        if len(before) and len(after):
            middle = float(np.median(before))
            spread = float(np.median(np.abs(before - middle))) * _MAD_TO_SD
            moved = float(np.median(after)) - middle
            found.append(Effect(name, middle, middle + moved, moved / max(spread, 1e-9)))
    return sorted(found, key=lambda effect: -abs(effect.size))


def what(moved: list[Effect], *, from_the_first: bool) -> str:
    """What changed, as the beginning of a sentence."""
    words = [effect.word for effect in moved if abs(effect.size) >= EFFECT_MIN][:_NAMED_MAX]
    if not words:
        return "What the pictures show " + ("was different" if from_the_first else "changed")
    named = ", ".join(words[:-1]) + (" and " if words[1:] else "") + words[-1]
    return f"The pictures {'were' if from_the_first else 'became'} {named}"


@dataclass(frozen=True, slots=True)
class Clock:
    """Says where in the archive a picture is: when it was taken, or which one it is where no times are known."""

    pictures: list[Picture]
    zone: tzinfo
    timed: bool

    def place(self, row: int) -> str:
        if not self.timed:
            return f"picture {row + 1} ({self.pictures[row].name})"
        return self._local(row).strftime("%Y-%m-%d %H:%M:%S")

    def short(self, row: int) -> str:
        return self._local(row).strftime("%m-%d %H:%M") if self.timed else f"no. {row + 1}"

    def day(self, row: int) -> str:
        return self._local(row).strftime("%Y-%m-%d") if self.timed else ""

    def iso(self, row: int) -> str | None:
        return iso(self.pictures[row].at_ns) if self.timed else None

    def interval(self, alarm: Alarm) -> str:
        """The onset's interval."""
        low, high = alarm.known.since_low, alarm.known.since_high
        if low == high:
            return "exact to the picture"
        first, last = self.place(low), self.place(high)
        if self.timed and self.day(low) == self.day(high):
            last = last.split(" ", 1)[1]
        return f"between {first} and {last}"

    def _local(self, row: int) -> datetime:
        return datetime.fromtimestamp(self.pictures[row].at_ns // _NS, self.zone)


def _seen(values: NDArray[np.float64]) -> NDArray[np.float64]:
    seen: NDArray[np.float64] = values[np.isfinite(values)]
    return seen
