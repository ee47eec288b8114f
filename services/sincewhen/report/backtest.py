"""The report of a backtest: a page, or one figure."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from sincewhen.report.charts import evidence, lead, of_change
from sincewhen.report.figure import Canvas
from sincewhen.report.judged import NOT_JUDGED, Judged
from sincewhen.report.page import about, change, facts, render
from sincewhen.report.words import ROW, Clock, headline, told, why_refused

SUFFIXES = (".html", ".png")
_DRAWN_MAX, _SAID_MAX = 4, 12  # changes in a figure
_HOW = (
    "Each row is compared with what varies in the golden rows by nature, forward in time: at each alarm nothing of "
    "later rows was used, only this report shows all of them. The windows begin anew after a long pause and after "
    "the end of a change. Since is the middle of the onset's posterior, with its 95 % interval."
)


def drawn(file: Path, suffix: str, verdict: Judged, clock: Clock, golden: int) -> bytes:
    """Of the arrays in `file`, as a file of one of SUFFIXES."""
    canvas = Canvas(verdict, clock)
    return _figure(canvas, golden) if suffix == ".png" else _page(canvas, file, golden).encode()


def _figure(canvas: Canvas, golden: int) -> bytes:
    verdict, charts = canvas.verdict, []
    lines = [" ".join(f"{name}: {value}." for name, value in _looked_at(canvas, golden).items())]
    if verdict.refused is not None:
        lines.append(f"Why, and what would be needed: {why_refused(verdict)}")
    for number, alarm in enumerate(verdict.alarms[:_SAID_MAX], 1):
        said = facts(alarm, canvas)
        lines.append(f"{number}   {told(alarm, verdict, canvas.clock).headline}")
        lines.append("      " + "; ".join(f"{name.lower()} {value}" for name, value in said.items()))
    if verdict.alarms[_DRAWN_MAX:]:
        lines.append(f"Drawn are the first {_DRAWN_MAX} of {len(verdict.alarms)} changes; a report.html shows more.")
    if verdict.profile is not None:
        charts.append(evidence(verdict, lead(verdict.profile.streams)))
    for number, alarm in enumerate(verdict.alarms[:_DRAWN_MAX], 1):
        charts += [replace(chart, title=f"{number}   {chart.title}") for chart in of_change(alarm, verdict, ROW)]
    return canvas.png(charts, headline(verdict, ROW), lines)


def _page(canvas: Canvas, file: Path, golden: int) -> str:
    verdict, clock = canvas.verdict, canvas.clock
    lots = verdict.recording.lot
    days = [clock.day(row) for row in range(verdict.recording.n)] if clock.at_ns is not None else []
    columns = [("Lot", lots.tolist())] if lots is not None else []
    columns += [("Day", days)] if len(set(days)) > 1 else []
    about_profile = {} if verdict.profile is None else about(verdict.profile, ROW)
    return render(
        canvas,
        headline=headline(verdict, ROW),
        source=f"backtest of {file.name}",
        untimed="in the order of the file, which has no times (t)",
        compared=f"Compared with the golden rows, the first {golden:,}, which are taken to be in control.",
        changes=[
            {**change(number, canvas, columns), "before": [], "after": []}
            for number in range(1, len(verdict.alarms) + 1)
        ],
        sheet=[],
        looked_at=list(_looked_at(canvas, golden).items()),
        unreadable=[],
        method={**about_profile, "Release": version("sincewhen")},
        how=_HOW,
        trials=[],
    )


def _looked_at(canvas: Canvas, golden: int) -> dict[str, str]:
    verdict = canvas.verdict
    recording = verdict.recording
    (columns,) = (values.shape[1] for values in recording.layers.values())
    left = int((verdict.states == NOT_JUDGED).sum())
    also = [name.removeprefix("factor:") for name in recording.scalars]
    also += ["lot"] * (recording.lot is not None) + ["t"] * recording.pauses
    said = {
        "Rows": f"{recording.n:,} of {columns} columns" + (f", with {', '.join(also)}" if also else ""),
        "Golden": f"the first {golden:,}, taken to be in control",
        "False alarms": f"one in {verdict.arl0:,.0f} rows in control (ARL0), all streams together",
    }
    if verdict.warnings:
        said["Cautions"] = "; ".join(verdict.warnings)
    return said | ({"Not judged": ROW.count(left)} if left else {})
