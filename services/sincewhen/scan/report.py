"""A verdict becomes one HTML page that needs nothing else: no script, no other file, no address."""

from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from sincewhen.processor.backtest import Alarm
from sincewhen.scan.archive import Archive
from sincewhen.scan.baseline import Baseline
from sincewhen.scan.evidence import HEIGHT, WIDTH, charts, jpeg_uri, strip, typical
from sincewhen.scan.features import Features
from sincewhen.scan.judge import BASELINE, Verdict, reach, surely_changed
from sincewhen.scan.words import SHAPES, Clock, effects, what

PICTURES_A_SIDE, SHEET_PICTURES = 4, 24
ILLUSTRATED_MAX = 12  # changes with pictures and charts: a page of at most 4 MB
ROWS_SHOWN, NAMED_MAX = 12, 6
_CONTEXT = (
    ("lot", "Lot"),
    ("supplier_lot", "Supplier lot"),
    ("shift", "Shift"),
    ("sku", "Product"),
    ("recipe", "Recipe"),
    ("", "Day"),
)


@dataclass(frozen=True, slots=True)
class Told:
    """What the page and the terminal say of one change."""

    headline: str
    dated: bool  # False: it began before the archive, or with it
    interval: str
    until: str | None
    pictures: int
    lots: list[str]


def told(alarm: Alarm, verdict: Verdict, clock: Clock) -> Told:
    known = alarm.known
    from_the_first = known.since_low <= int(verdict.judged[0])
    when = "from the first pictures on" if from_the_first else f"{SHAPES[known.shape]} since {clock.place(known.since)}"
    rows = reach(alarm, verdict)
    lots = dict.fromkeys(clock.pictures[row].context.get("lot", "") for row in rows)
    return Told(
        headline=f"{what(effects(alarm, verdict), from_the_first=from_the_first)} {when}",
        dated=not from_the_first,
        interval="before this archive begins, or with it" if from_the_first else clock.interval(alarm),
        until=None if alarm.until is None else clock.place(alarm.until),
        pictures=len(rows),
        lots=[lot for lot in lots if lot],
    )


def headline(verdict: Verdict) -> str:
    n = len(verdict.states)
    if verdict.refused is not None:
        return f"{n} picture{'' if n == 1 else 's'}: not enough to judge"
    if not verdict.alarms:
        return f"No change found in {n} pictures"
    return f"{len(verdict.alarms)} change{'s' if verdict.alarms[1:] else ''} found in {n} pictures"


def render(
    features: Features, archive: Archive, verdict: Verdict, clock: Clock, method: dict[str, str], folder: str
) -> str:
    """The page. method: names and values for engineers."""
    environment = Environment(loader=PackageLoader("sincewhen.scan"), autoescape=True, undefined=StrictUndefined)
    rows, columns = verdict.baseline_rows, _columns(clock)
    return environment.get_template("report.html").render(
        headline=headline(verdict),
        folder=folder,
        verdict=verdict,
        span=(clock.place(0), clock.place(len(verdict.states) - 1)) if features.pictures else None,
        zone=str(clock.zone) if clock.timed else "",
        baseline=None if rows is None else (clock.place(rows[0]), clock.place(rows[1])),
        baseline_pictures=int((verdict.states == BASELINE).sum()),
        order=_order(archive),
        warnings=archive.warnings,
        unreadable=archive.unreadable,
        left_out=[*archive.left_out, *verdict.left_out],
        strip=strip(verdict) if features.pictures else [],
        ticks=_ticks(clock),
        changes=[_change(number, alarm, verdict, clock, columns) for number, alarm in enumerate(verdict.alarms, 1)],
        marks=[_mark(alarm, len(verdict.states)) for alarm in verdict.alarms],
        sheet=_sheet(clock) if verdict.refused is not None or not verdict.alarms else [],
        canvas=(WIDTH, HEIGHT),
        method={**method, **_method(verdict, clock)},
        trials=[(clock.place(a), clock.place(b), outcome) for a, b, outcome in _trials(verdict)],
        rows_shown=ROWS_SHOWN,
    )


def _change(
    number: int, alarm: Alarm, verdict: Verdict, clock: Clock, columns: list[tuple[str, list[str]]]
) -> dict[str, Any]:
    said, moved = told(alarm, verdict, clock), effects(alarm, verdict)
    shown: dict[str, Any] = {"before": [], "after": [], "charts": []}
    if number <= ILLUSTRATED_MAX:
        calm = np.flatnonzero(verdict.states == BASELINE)
        shown = {
            "before": _shown(typical(verdict, calm, PICTURES_A_SIDE), clock),
            "after": _shown(typical(verdict, surely_changed(alarm, verdict), PICTURES_A_SIDE), clock),
            "charts": charts(alarm, verdict, moved),
        }
    return {
        "number": number,
        "said": said,
        "named": said.lots[:NAMED_MAX],
        "moved": moved,
        "tables": _tables(reach(alarm, verdict), columns, clock),
        "streams": [stream.replace("factor:", "") for stream in alarm.streams],
        "dating": alarm.known,
        **shown,
    }


def _shown(rows: list[int], clock: Clock) -> list[tuple[str, str]]:
    """Data URI and caption of each picture that can still be read."""
    found = [(jpeg_uri(clock.pictures[row]), clock.short(row)) for row in rows]
    return [(uri, caption) for uri, caption in found if uri is not None]


def _sheet(clock: Clock) -> list[tuple[str, str]]:
    """Pictures evenly over the whole archive."""
    n = len(clock.pictures)
    return _shown(np.unique(np.linspace(0, n - 1, min(n, SHEET_PICTURES)).astype(int)).tolist(), clock)


def _columns(clock: Clock) -> list[tuple[str, list[str]]]:
    """Title and every picture's value of each kind of context; the last is the day, if there are several."""
    days = [clock.day(row) for row in range(len(clock.pictures))]
    days = days if len(set(days)) > 1 else [""] * len(days)
    return [(title, [p.context.get(name, "") for p in clock.pictures] if name else days) for name, title in _CONTEXT]


def _tables(rows: NDArray[np.int64], columns: list[tuple[str, list[str]]], clock: Clock) -> list[dict[str, Any]]:
    """For each kind of context: its values in these pictures, and which part of each value's pictures they are."""
    found: list[dict[str, Any]] = []
    for title, values in columns:
        total = Counter(values)
        by_value: dict[str, list[int]] = {}
        for row in rows.tolist():
            if values[row]:
                by_value.setdefault(values[row], []).append(row)
        if by_value:
            lines = [
                (value, len(of), round(100 * len(of) / total[value]), clock.place(of[0]), clock.place(of[-1]))
                for value, of in by_value.items()
            ]
            found.append({"title": title, "lines": lines})
    return found


def _mark(alarm: Alarm, n: int) -> tuple[float, float, float, float]:
    """Left and width of a change, left and width of its onset's interval, in per cent of all pictures."""
    stop = n if alarm.until is None else alarm.until + 1
    known = alarm.known
    return (
        round(100 * known.since / n, 3),
        round(100 * (stop - known.since) / n, 3),
        round(100 * known.since_low / n, 3),
        round(max(100 * (known.since_high - known.since_low) / n, 0.4), 3),
    )


def _ticks(clock: Clock) -> list[str]:
    n = len(clock.pictures)
    return [clock.short(row) for row in np.linspace(0, n - 1, 4).astype(int)] if n else []


def _order(archive: Archive) -> str:
    words = {
        "index": "by the capture time in the index",
        "exif": "by the camera's time in the picture (EXIF)",
        "file": "by the file's time",
        "name": "by file name, because no usable time was found",
    }
    return ", ".join(f"{count} {words[kind]}" for kind, count in archive.ordered_by.items() if count)


def _trials(verdict: Verdict) -> list[tuple[int, int, str]]:
    judged = verdict.judged
    return [
        (int(judged[min(t.start, len(judged) - 1)]), int(judged[max(0, t.stop - 1)]), t.outcome)
        for t in (verdict.baseline.trials if len(judged) else ())
    ]


def _method(verdict: Verdict, clock: Clock) -> dict[str, str]:
    said = {"Pictures between false alarms (ARL0)": f"{verdict.arl0:.0f}, all streams together"}
    if isinstance(verdict.baseline, Baseline):
        profile = verdict.baseline.profile
        test = profile.self_test
        said["Baseline profile"] = (
            f"{profile.frames} pictures, {profile.lots} lots; A/A on the last {test.frames}: at most "
            f"{max(test.alarms.values(), default=0)} alarms in a stream, {test.alarms_max} allowed"
        )
        said["Streams"] = ", ".join(profile.streams)
        said["Cautions"] = "; ".join(profile.warnings) or "none"
    said["Release"] = version("sincewhen")
    said["Times"] = str(clock.zone) if clock.timed else "none"
    return said
