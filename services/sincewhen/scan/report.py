"""The page of a scan: what was found in an archive, with pictures before and after."""

from importlib.metadata import version
from typing import Any

import numpy as np

from sincewhen.processor.learn import FRAMES_MIN
from sincewhen.report.figure import Canvas
from sincewhen.report.judged import BASELINE, surely_changed
from sincewhen.report.page import ILLUSTRATED_MAX, ROWS_SHOWN, about, change, render
from sincewhen.report.words import PICTURE, Clock, headline
from sincewhen.scan.archive import Archive
from sincewhen.scan.baseline import Baseline
from sincewhen.scan.judge import Verdict
from sincewhen.scan.order import Picture
from sincewhen.scan.thumbnails import jpeg_uri, typical

PICTURES_A_SIDE, SHEET_PICTURES = 4, 24
_CONTEXT = (
    ("lot", "Lot"),
    ("supplier_lot", "Supplier lot"),
    ("shift", "Shift"),
    ("sku", "Product"),
    ("recipe", "Recipe"),
    ("", "Day"),
)
_HOW = (
    "Each picture goes through the model; its layers and its image factors are compared with what varies in the "
    "baseline by nature. One pass forward in time by the baseline's profile, also over what lies before the baseline: "
    "what is already so in the first pictures began at an unknown time before them. A long pause begins the windows "
    "anew. The baseline is chosen by segments of constant subgroup means, finest first; a candidate must pass the A/A "
    "self-test and stay in control by its own profile, grows over what is in control beside it, and the longest is "
    "taken."
)


def page(
    pictures: list[Picture], archive: Archive, verdict: Verdict, clock: Clock, method: dict[str, str], folder: str
) -> str:
    """method: names and values for engineers."""
    canvas, columns = Canvas(verdict, clock), _columns(pictures, clock)
    sheet = verdict.refused is not None or not verdict.alarms
    return render(
        canvas,
        headline=title(verdict),
        source=f"scan of {folder}",
        untimed="in the order of file names: no usable times",
        compared=_compared(verdict, clock),
        changes=[
            {**change(number, canvas, columns), **_sides(number, pictures, verdict, clock)}
            for number in range(1, len(verdict.alarms) + 1)
        ],
        sheet=_shown(_evenly(len(pictures)), pictures, clock) if sheet else [],
        looked_at=_looked_at(archive, verdict, clock),
        unreadable=archive.unreadable,
        method={**method, **_method(verdict, clock)},
        how=_HOW,
        trials=[(clock.place(a), clock.place(b), outcome) for a, b, outcome in _trials(verdict)],
    )


def title(verdict: Verdict) -> str:
    """The gist in one line."""
    baseline = verdict.baseline
    doubted = isinstance(baseline, Baseline) and baseline.steady is not None
    return headline(verdict, PICTURE) + (", against a baseline that changes in itself" if doubted else "")


def _mixed(verdict: Verdict, clock: Clock) -> list[str]:
    """That a named baseline changes in itself."""
    baseline = verdict.baseline
    if not isinstance(baseline, Baseline) or baseline.steady is None:
        return []
    first, stop = baseline.steady
    if first < stop:
        ends = " to ".join(clock.place(int(verdict.judged[row])) for row in (first, stop - 1))
        steady = f"{stop - first:,} stay the same, from {ends}"
    else:
        steady = f"no {FRAMES_MIN} in a row stay the same"
    said = f"The named baseline changes in itself: of its {PICTURE.count(baseline.stop - baseline.start)} {steady}"
    hides = "A change inside of a baseline hides itself and whatever is like it"
    return [f"{said}. {hides}: name a time that stays the same, or leave --baseline out"]


def _compared(verdict: Verdict, clock: Clock) -> str:
    if verdict.baseline_rows is None:
        return ""
    first, last = (clock.place(row) for row in verdict.baseline_rows)
    pictures = int((verdict.states == BASELINE).sum())
    said = f"Compared with the baseline, {PICTURE.count(pictures)} from {first} to {last}"
    if not verdict.baseline.trials:
        return " ".join([f"{said}.", *(f"Caution. {caution}." for caution in _mixed(verdict, clock))])
    best = "the longest stretch of this archive that stays the same. If you know a better one, name it with --baseline."
    return f"{said}: {best}"


def _sides(number: int, pictures: list[Picture], verdict: Verdict, clock: Clock) -> dict[str, Any]:
    """Typical pictures of the baseline and of a change."""
    if number > ILLUSTRATED_MAX:
        return {"before": [], "after": []}
    calm, changed = np.flatnonzero(verdict.states == BASELINE), surely_changed(verdict.alarms[number - 1], verdict)
    return {
        side: _shown(typical(verdict, rows, PICTURES_A_SIDE), pictures, clock)
        for side, rows in (("before", calm), ("after", changed))
    }


def _shown(rows: list[int], pictures: list[Picture], clock: Clock) -> list[tuple[str, str]]:
    """Data URI and caption of each picture that can still be read."""
    found = [(jpeg_uri(pictures[row]), clock.short(row)) for row in rows]
    return [(uri, caption) for uri, caption in found if uri is not None]


def _evenly(n: int) -> list[int]:
    """Pictures over the whole archive."""
    rows: list[int] = np.unique(np.linspace(0, n - 1, min(n, SHEET_PICTURES)).astype(int)).tolist()
    return rows


def _columns(pictures: list[Picture], clock: Clock) -> list[tuple[str, list[str]]]:
    """Title and every picture's value of each kind of context; the last is the day, if there are several."""
    days = [clock.day(row) for row in range(len(pictures))]
    days = days if len(set(days)) > 1 else [""] * len(days)
    return [(title, [p.context.get(name, "") for p in pictures] if name else days) for name, title in _CONTEXT]


def doubts(archive: Archive, verdict: Verdict, clock: Clock) -> list[str]:
    """Everything that makes this verdict less sure, the most important first."""
    learned = () if verdict.profile is None else verdict.profile.warnings
    return [*_mixed(verdict, clock), *archive.warnings, *sorted(learned, key=lambda said: "is left out" in said)]


def left_out(archive: Archive, verdict: Verdict) -> list[str]:
    """What was not judged, and why."""
    return [
        f"{PICTURE.count(item.count)} ({item.reason}): {item.detail}" for item in (*archive.left_out, *verdict.left_out)
    ]


def _looked_at(archive: Archive, verdict: Verdict, clock: Clock) -> list[tuple[str, str]]:
    warnings = doubts(archive, verdict, clock)
    more = len(warnings) - ROWS_SHOWN
    return [
        ("Order", _order(archive) or "no picture found"),
        *(("Caution", warning) for warning in warnings[:ROWS_SHOWN]),
        *([("Caution", f"... and {more} more; --json lists all")] if more > 0 else []),
        *(("Not judged", said) for said in left_out(archive, verdict)),
        ("Unreadable", str(len(archive.unreadable) or "none")),
    ]


def _order(archive: Archive) -> str:
    words = {
        "index": "by the capture time in the index",
        "exif": "by the camera's time in the picture (EXIF)",
        "file": "by the file's time",
        "name": "by file name, because no usable time was found",
    }
    return ", ".join(f"{count:,} {words[kind]}" for kind, count in archive.ordered_by.items() if count)


def _trials(verdict: Verdict) -> list[tuple[int, int, str]]:
    judged = verdict.judged
    return [
        (int(judged[min(t.start, len(judged) - 1)]), int(judged[max(0, t.stop - 1)]), t.outcome)
        for t in (verdict.baseline.trials if len(judged) else ())
    ]


def _method(verdict: Verdict, clock: Clock) -> dict[str, str]:
    said = {"Pictures between false alarms (ARL0)": f"{verdict.arl0:.0f}, all streams together"}
    if isinstance(verdict.baseline, Baseline):
        said |= about(verdict.baseline.profile, PICTURE)
    said["Release"] = version("sincewhen")
    said["Times"] = clock.zoned or "none"
    return said
