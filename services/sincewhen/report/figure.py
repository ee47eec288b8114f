"""Charts drawn: one way for the page (SVG, for a wide and a narrow screen) and for a file of its own (PNG).

The axis counts rows, so that pauses take no space; its labels are times where times are known. States differ in
lightness and pattern as well as in hue, so that they survive greyscale and colour blindness.
"""

import base64
import io
import itertools
import textwrap
import warnings
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sincewhen.processor.backtest import Alarm
from sincewhen.report.charts import Chart
from sincewhen.report.judged import BASELINE, IN_CONTROL, NOT_JUDGED, OUT, Judged, pauses
from sincewhen.report.words import Clock

WIDE, NARROW = 15.0, 4.7  # inches of 72 CSS pixels
_STRIP, _PANEL, _TITLE, _LABELS = 0.5, 1.5, 0.4, 0.4  # inches: heights
_LEFT, _RIGHT = 0.75, 0.65  # inches: margins
_LINE, _COLUMNS = 0.26, 150  # of text: inches, characters
_DPI = 140
_TICK = 200  # of 100 an inch, from one label to the next
_INK, _SOFT, _ALARM, _ONSET = "#1c2430", "#5b6675", "#b3261e", "#1f5fa8"
_FACES: dict[str, dict[str, Any]] = {
    BASELINE: {"facecolor": "#dfe7f1", "edgecolor": "#7f9cc0", "hatch": "////"},
    IN_CONTROL: {"facecolor": "#e9ecf0", "edgecolor": "#c3cad3"},
    OUT: {"facecolor": _ALARM, "edgecolor": _ALARM},
    NOT_JUDGED: {"facecolor": "#ffffff", "edgecolor": "#8b95a3", "hatch": "...."},
}
_DOTS: Any = (0, (1, 3))
_TINTS = {BASELINE: 0.5, OUT: 0.1}  # opacity behind a line
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _SOFT,
    "hatch.linewidth": 0.8,
    "svg.hashsalt": "sincewhen",
    "text.parse_math": False,
}


@dataclass(frozen=True, slots=True)
class Canvas:
    """What every chart of one report shares: states, changes, and the axis that they lie on."""

    verdict: Judged
    clock: Clock

    def time_line(self, width: float) -> str:
        """The state of all rows and the numbers of the changes, as a data URI."""
        with mpl.rc_context(_STYLE):
            page = _Page(width, _TITLE + _STRIP + self._labels)
            self._strip(page.axes(_TITLE, _STRIP, self._labels))
            return page.uri()

    def uri(self, chart: Chart, alarms: list[Alarm], width: float) -> str:
        """One chart without its title, as a data URI."""
        with mpl.rc_context(_STYLE):
            page = _Page(width, _TITLE / 4 + _PANEL + self._labels)
            self._panel(page.axes(_TITLE / 4, _PANEL, self._labels), chart, alarms)
            return page.uri()

    def png(self, charts: list[Chart], headline: str, lines: list[str]) -> bytes:
        """One figure that stands alone: what was found in words, the time line, the charts."""
        text = [part for line in lines for part in textwrap.wrap(line, _COLUMNS, subsequent_indent="      ")]
        words = 2 * _TITLE + _LINE * len(text)
        with mpl.rc_context(_STYLE):
            strip, panel = (_TITLE + height + self._labels for height in (_STRIP, _PANEL))
            page = _Page(WIDE, words + strip + panel * len(charts) + 2 * _TITLE)
            top = page.axes(0, words, 0)
            top.axis("off")
            top.text(0, 1 - 0.25 / words, headline, va="top", fontsize=18, fontweight="bold", color=_INK)
            top.text(0, 1 - 0.7 / words, "\n".join(text), va="top", linespacing=_LINE * 72 / 14, color=_INK)
            self._strip(page.axes(_TITLE, _STRIP, self._labels))
            for chart in charts:
                axes = page.axes(_TITLE, _PANEL, self._labels)
                self._panel(axes, chart, self.verdict.alarms)
                axes.set_title(f"{chart.title}. {chart.note}", loc="left")
            self._legend(page.figure)
            data = io.BytesIO()
            _save(page.figure, data, format="png", dpi=_DPI)
        return data.getvalue()

    @property
    def _labels(self) -> float:
        """Height below an axis: a date and its time take two lines."""
        return _LABELS + _LINE if self.clock.dated else _LABELS

    def _axis(self, axes: Axes, span: tuple[int, int]) -> None:
        last = len(self.verdict.states) - 1
        axes.set_xlim(span)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=max(3, int(axes.bbox.width / _TICK)), integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: self.clock.label(int(x)) if 0 <= x <= last else ""))

    def cuts(self) -> list[int]:
        """Rows before which lies a long pause."""
        verdict = self.verdict
        rows = [] if verdict.profile is None else pauses(verdict.recording, verdict.profile)
        return [int(verdict.judged[row]) for row in rows]

    def _runs(self) -> list[tuple[str, int, int]]:
        """State, first row and end of every stretch of one state."""
        states = self.verdict.states
        edges = [0, *(np.flatnonzero(states[1:] != states[:-1]) + 1).tolist(), len(states)]
        return [(str(states[a]), a, b) for a, b in itertools.pairwise(edges)]

    def _strip(self, axes: Axes) -> None:
        for state, first, stop in self._runs():
            axes.axvspan(first, stop, lw=0.6, **_FACES[state])
        self._axis(axes, (0, len(self.verdict.states)))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        for number, alarm in enumerate(self.verdict.alarms, 1):
            known = alarm.known
            axes.axvspan(known.since_low, known.since_high + 1, color=_ONSET, lw=2)
            above = axes.get_xaxis_transform()
            axes.text(known.since, 1.05, f"{number}", transform=above, ha="center", color=_ALARM, fontweight="bold")

    def _panel(self, axes: Axes, chart: Chart, alarms: list[Alarm]) -> None:
        for state, first, stop in self._runs():
            if state in _TINTS:
                axes.axvspan(first, stop, lw=0, fc=_FACES[state]["facecolor"], alpha=_TINTS[state])
        for row in self.cuts():
            axes.axvline(row, color=_SOFT, lw=0.8, ls=_DOTS)
        for alarm in alarms:
            self._mark(axes, alarm)
        if chart.low is None:
            axes.plot(chart.x, chart.high, color=_ALARM, lw=1.4, ls="--")
            beyond = chart.y >= chart.high
        else:
            axes.fill_between(chart.x, chart.low, chart.high, color="#9fb3cc", alpha=0.5, lw=0)
            beyond = (chart.y > chart.high) | (chart.y < chart.low)
        axes.plot(chart.x, chart.y, color=_INK, lw=1.1)
        axes.plot(chart.x[beyond], chart.y[beyond], "o", color=_ALARM, ms=3.5)
        self._axis(axes, chart.span)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4))

    def _mark(self, axes: Axes, alarm: Alarm) -> None:
        known = alarm.known
        axes.axvspan(known.since_low, known.since_high + 1, color=_ONSET, alpha=0.3, lw=1)
        axes.axvline(known.since, color=_ONSET, lw=1.4)
        axes.axvline(alarm.first.at, color=_ALARM, lw=1.4, ls=":")
        if alarm.until is not None:
            axes.axvline(alarm.until, color=_INK, lw=1.4, ls="-.")

    def _legend(self, figure: Figure) -> None:
        names = {BASELINE: self.clock.unit.usual, IN_CONTROL: IN_CONTROL, OUT: OUT, NOT_JUDGED: NOT_JUDGED}
        keys: list[Any] = [
            Patch(label=names[state], **_FACES[state]) for state in names if state in self.verdict.states
        ]
        if self.verdict.alarms:
            keys += [
                Patch(label="since, 95 %", color=_ONSET),
                Line2D([], [], label="alarm", color=_ALARM, ls=":"),
                Line2D([], [], label="end", color=_INK, ls="-."),
                Line2D([], [], label="outside", color=_ALARM, marker="o", ls="", ms=4),
            ]
        if self.cuts():
            keys.append(Line2D([], [], label="long pause", color=_SOFT, lw=0.8, ls=_DOTS))
        figure.legend(handles=keys, loc="lower center", ncols=len(keys), frameon=False)


class _Page:
    """Axes one below the other, in inches, so that those of several figures line up."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height))
        self._width, self._height, self._used = width, height, 0.0

    def axes(self, above: float, height: float, below: float) -> Axes:
        self._used += above + height
        width = self._width - _LEFT - _RIGHT
        bottom = (self._height - self._used) / self._height
        self._used += below
        assert self._used < self._height + 0.01
        return self.figure.add_axes((_LEFT / self._width, bottom, width / self._width, height / self._height))

    def uri(self) -> str:
        data = io.BytesIO()
        _save(self.figure, data, format="svg", metadata={"Date": None})
        return f"data:image/svg+xml;base64,{base64.b64encode(data.getvalue()).decode()}"


def _save(figure: Figure, data: io.BytesIO, **form: Any) -> None:  # noqa: ANN401 - matplotlib's
    """Letters that the font lacks, such as CJK, are boxes; that is no warning to a reader of the report."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"(?s)Glyph .* missing from", category=UserWarning)
        figure.savefig(data, **form)
