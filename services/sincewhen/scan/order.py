"""The order of an archive's pictures.

A picture's time is the index's `captured_at`, else EXIF DateTimeOriginal (with SubSec and Offset), else, where the
index dates no picture, the file's own time. A captured_at that can't be read is no time, nor is one before 2000 or over
an hour ahead, nor a file's of a copying. Pictures without a time are left out. Where they are the most, or all times
are equal, the order is by name and no time is claimed.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Literal

import numpy as np

from sincewhen.report.words import PICTURE
from sincewhen_edge.sources.rows import NS

_NAMED_MAX = 3
_BURST_NS, _COPIED_SPAN_NS = 100_000_000, 60 * 10**9

Clock = Literal["index", "exif", "file", "none"]


@dataclass(frozen=True, slots=True)
class Picture:
    path: Path
    name: str  # as the index or the folder says it
    at_ns: int
    clock: Clock
    no_time: str  # why the clock is "none"
    day_only: bool  # captured_at is a date
    size: tuple[int, int]  # width, height
    format: str  # in colour, grey ...
    bytes: int
    mtime_ns: int
    context: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What can't be judged, and why; `count` pictures."""

    reason: str
    count: int
    detail: str


def ordered(
    pictures: list[Picture], left_out: list[LeftOut], warnings: list[str], way_out: str
) -> tuple[list[Picture], bool]:
    """In order of time, without those that have none; by name where those are the most, or all times are equal."""
    by_name = sorted(pictures, key=lambda picture: natural(picture.name))
    untimed = _untimed(by_name)
    dated = [picture for picture in by_name if picture.path not in untimed]
    said = [LeftOut("no time", count, detail) for count, detail in _reasons(by_name, untimed)]
    equal = len(dated) > 1 and len({picture.at_ns for picture in dated}) == 1
    if len(untimed) > len(dated) or equal:
        warnings += [f"{PICTURE.count(item.count)} without a time: {item.detail}" for item in said]
        if equal:
            warnings.append(f"All times are equal ({PICTURE.count(len(dated))}): they do not say when")
        warnings.append(f"The order is by file name: {way_out} for times")
        return by_name, False
    left_out += said
    clocks = {picture.clock for picture in dated}
    if len(clocks) > 1:
        warnings.append(f"Times come from {' and '.join(sorted(clocks))}: where clocks differ, the order is unsure")
    return sorted(dated, key=lambda picture: picture.at_ns), True


def _untimed(pictures: list[Picture]) -> dict[Path, str]:
    """Why pictures have no time, or none like the others'."""
    indexed = sum(picture.clock == "index" for picture in pictures)
    said = sum(picture.clock in {"index", "exif"} for picture in pictures)
    few_days = 2 * sum(picture.day_only for picture in pictures) <= said
    copied = _copied([picture.at_ns for picture in pictures if picture.clock == "file"])
    found: dict[Path, str] = {}
    for picture in pictures:
        if picture.no_time:
            found[picture.path] = picture.no_time
        elif picture.clock == "file" and indexed:
            found[picture.path] = "captured_at is empty, while others have one"
        elif picture.clock == "file" and copied:
            found[picture.path] = "file times are equal or within seconds, as in a copied archive: they do not say when"
        elif picture.day_only and few_days:
            found[picture.path] = "captured_at is a date without a time of day, while others have one"
    return found


def _reasons(pictures: list[Picture], untimed: Mapping[Path, str]) -> Iterator[tuple[int, str]]:
    """How many pictures break each rule, and the first of them."""
    by_rule: dict[str, list[Picture]] = {}
    for picture in pictures:
        if picture.path in untimed:
            by_rule.setdefault(untimed[picture.path].partition("; got ")[0], []).append(picture)
    for broken in by_rule.values():
        names = ", ".join(picture.name for picture in broken[:_NAMED_MAX])
        more = f" and {len(broken) - _NAMED_MAX} more" if broken[_NAMED_MAX:] else ""
        yield len(broken), f"{untimed[broken[0].path]} ({names}{more})"


def say_ties(pictures: list[Picture], zone: tzinfo, warnings: list[str]) -> bool:
    """Whether the times are dates: most lie at the begin of a day. Says so, and where most times are not unique."""
    if 2 * sum(p.clock == "index" and _is_midnight(p.at_ns, zone) for p in pictures) > len(pictures):
        warnings.append("Times are dates without a time of day: within a day the order is by file name")
        return True
    counts = Counter(picture.at_ns for picture in pictures)
    tied = sum(count for count in counts.values() if count > 1)
    if 2 * tied > len(pictures):
        warnings.append(f"{tied} of {len(pictures)} pictures share their time: among those the order is by file name")
    return False


def _is_midnight(at_ns: int, zone: tzinfo) -> bool:
    at = datetime.fromtimestamp(at_ns // NS, zone)
    return at_ns % NS == 0 and (at.hour, at.minute, at.second) == (0, 0, 0)


def _copied(at_ns: list[int]) -> bool:
    if len(at_ns) < 2:  # noqa: PLR2004 - a difference needs two
        return False
    gaps = np.diff(np.sort(np.array(at_ns, np.int64)))
    return bool(gaps.sum() < _COPIED_SPAN_NS or np.median(gaps) < _BURST_NS)


def natural(name: str | Path) -> list[tuple[int, str]]:
    """Sort key: img2 before img10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(name))]
