"""An archive of pictures: what is there, when each was taken, in which order. Reads names, headers and the index.

A picture's time is the index's `captured_at`, else EXIF DateTimeOriginal (with SubSec and Offset), else the file's own
time. A copied archive has file times of the copying: then the order is by name and no time is claimed.
"""

import csv
import math
import os
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from sincewhen_edge.sources.images import SUFFIXES
from sincewhen_edge.sources.rows import SourceError, TimeForm

PICTURES_MAX = 50_000  # of more, every k-th: 50,000 are half an hour of a small model on one core and 600 MB
READ_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)  # Pillow's
_KINDS = "png, jpg, bmp, tif, webp"
_BURST_NS, _COPIED_SPAN_NS = 100_000_000, 60 * 10**9
_EXIF, _TAKEN, _SUBSECOND, _OFFSET = 0x8769, 36867, 37521, 36881

Clock = Literal["index", "exif", "file"]


@dataclass(frozen=True, slots=True)
class Picture:
    path: Path
    name: str  # as the index or the folder says it
    at_ns: int
    clock: Clock
    size: tuple[int, int]  # width, height
    bytes: int
    mtime_ns: int
    context: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What can't be judged, and why; `count` pictures."""

    reason: str
    count: int
    detail: str


@dataclass(frozen=True, slots=True)
class Archive:
    pictures: list[Picture]  # in order
    timed: bool  # whether times say when; otherwise the order is by name
    unreadable: list[tuple[str, str]]  # name and reason
    left_out: list[LeftOut]
    warnings: list[str]

    @property
    def ordered_by(self) -> dict[str, int]:
        """How many pictures each clock has ordered; `name` where none could."""
        if not self.timed:
            return {"index": 0, "exif": 0, "file": 0, "name": len(self.pictures)}
        counts = Counter(picture.clock for picture in self.pictures)
        return {"index": counts["index"], "exif": counts["exif"], "file": counts["file"], "name": 0}


def read_archive(directory: Path, index: Path | None, form: TimeForm) -> Archive:
    """Find, date and order. With an index, its rows are the archive. Raises SourceError where there is no picture."""
    found = sorted((p for p in directory.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()), key=_natural)
    left_out: list[LeftOut] = []
    warnings: list[str] = []
    unreadable: list[tuple[str, str]] = []
    if index is None:
        rows: list[tuple[Path, dict[str, str]]] = [(path, {}) for path in found]
    else:
        rows = _listed(directory, index, found, left_out, warnings, unreadable)
    every = max(1, math.ceil(len(rows) / PICTURES_MAX))
    kept = rows[::every]
    if every > 1:
        detail = f"a scan takes at most {PICTURES_MAX} pictures: one in {every} was taken"
        left_out.append(LeftOut("thinned out", len(rows) - len(kept), detail))
    pictures: list[Picture] = []
    for path, row in kept:
        name = row.get("path") or str(path.relative_to(directory))
        try:
            pictures.append(_picture(path, name, row, form, warnings))
        except READ_ERRORS as error:
            unreadable.append((name, told(error, path)))
    if not pictures:
        raise SourceError(_none_read(directory, index, unreadable))
    way_out = "name an --index with captured_at" if index is None else f"give captured_at in {index.name}"
    ordered, timed = _ordered(pictures, left_out, warnings, way_out)
    return Archive(ordered, timed, unreadable, left_out, warnings)


def told(error: BaseException, path: Path) -> str:
    """An error without the path, which is said beside it."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.replace(repr(str(path)), "the file") or type(error).__name__


def _listed(
    directory: Path,
    index: Path,
    found: list[Path],
    left_out: list[LeftOut],
    warnings: list[str],
    unreadable: list[tuple[str, str]],
) -> list[tuple[Path, dict[str, str]]]:
    """The first row of each picture that the index names; paths are compared as written, so links are followed."""
    root = _plain(directory.absolute())
    rows: dict[Path, dict[str, str]] = {}
    told_of: set[Path] = set()  # in any column: masks
    twice = 0
    for row in _index(index, warnings):
        path = _plain(root / row["path"])
        if not path.is_relative_to(root):
            unreadable.append((row["path"], f"it lies outside of {directory}: scan a folder that holds it"))
            continue
        twice += path in rows
        rows.setdefault(path, row)
        told_of.update(_plain(root / value) for value in row.values() if Path(value).suffix.lower() in SUFFIXES)
    if twice:
        left_out.append(LeftOut("named again", twice, f"{index.name} names them before: the first row counts"))
    unnamed = {path.resolve() for path in found if _plain(path.absolute()) not in told_of}
    others = len(unnamed - {path.resolve() for path in rows})
    if others:
        left_out.append(LeftOut("not in the index", others, f"{index.name} does not name them"))
    return list(rows.items())


def _plain(path: Path) -> Path:
    """Without `..`, whatever links are on the way."""
    return Path(os.path.normpath(path))


def _none_read(directory: Path, index: Path | None, unreadable: list[tuple[str, str]]) -> str:
    if unreadable:
        name, reason = unreadable[0]
        way_out = "name another folder" if index is None else f"name the folder that the paths of {index} start from"
        got = f"{len(unreadable)} that can't be read, the first is {name} ({reason})"
        return f"{directory} holds pictures; got {got}: {way_out}"
    if index is not None:
        return f"{index} names a picture a line in its column 'path'; got none: add lines, or scan without --index"
    return f"{directory} holds pictures ({_KINDS}); got none: name the folder that holds them"


def _index(index: Path, warnings: list[str]) -> Iterator[dict[str, str]]:
    try:
        with index.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file)
            if "path" not in (lines.fieldnames or []):
                got = ", ".join(lines.fieldnames or []) or "an empty file"
                raise SourceError(f"{index} has a column 'path'; got {got}: name it so")
            for number, line in enumerate(lines, start=2):
                row = {key: value for key, value in line.items() if key and value}
                if "path" in row:
                    yield row
                else:
                    warnings.append(f"{index.name}, line {number}: it names no path and is left out")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{index} cannot be read: {error}; name a UTF-8 CSV file with a header") from error


def _picture(path: Path, name: str, row: Mapping[str, str], form: TimeForm, warnings: list[str]) -> Picture:
    status = path.stat()
    at_ns = status.st_mtime_ns
    clock: Clock = "file"
    with Image.open(path) as file:
        size = file.size
        taken = _exif_ns(file, form)
    if taken is not None:
        at_ns, clock = taken, "exif"
    if "captured_at" in row:
        try:
            at_ns, clock = form.ns(row["captured_at"]), "index"
        except (ValueError, OverflowError) as error:
            warnings.append(f"{name}: {error}; its {'EXIF' if clock == 'exif' else 'file'} time is used")
    context = {key: value for key, value in row.items() if key not in {"path", "captured_at"}}
    return Picture(path, name, at_ns, clock, size, status.st_size, status.st_mtime_ns, context)


def _exif_ns(file: Image.Image, form: TimeForm) -> int | None:
    """DateTimeOriginal, or None where it is not there or makes no sense."""
    try:
        tags = file.getexif().get_ifd(_EXIF)
        day, _, clock = str(tags[_TAKEN]).strip("\0 ").partition(" ")
        fraction = re.sub(r"\D", "", str(tags.get(_SUBSECOND, "")))[:6]
        offset = str(tags.get(_OFFSET, "")).strip("\0 ")
        return form.ns(f"{day.replace(':', '-')}T{clock}{'.' + fraction if fraction else ''}{offset}")
    except (KeyError, OverflowError, AttributeError, *READ_ERRORS):
        return None


def _ordered(
    pictures: list[Picture], left_out: list[LeftOut], warnings: list[str], way_out: str
) -> tuple[list[Picture], bool]:
    """In order of time; by name where most times are of a copying, and then times say nothing."""
    by_name = sorted(pictures, key=lambda picture: _natural(picture.name))
    copied = _copied([picture.at_ns for picture in pictures if picture.clock == "file"])
    dated = [picture for picture in by_name if not (copied and picture.clock == "file")]
    undated = len(pictures) - len(dated)
    if copied:
        warnings.append(
            f"{undated} file times are equal or within seconds, as in a copied archive: they do not say when"
        )
    if undated > len(dated):
        warnings.append(f"The order is by file name: {way_out} for times")
        return by_name, False
    if undated:
        left_out.append(LeftOut("no time", undated, "neither index nor EXIF time, and the file's is of a copying"))
    clocks = {picture.clock for picture in dated}
    if len(clocks) > 1:
        warnings.append(f"Times come from {' and '.join(sorted(clocks))}: where clocks differ, the order is unsure")
    return sorted(dated, key=lambda picture: picture.at_ns), True


def _copied(at_ns: list[int]) -> bool:
    if len(at_ns) < 2:  # noqa: PLR2004 - a difference needs two
        return False
    gaps = np.diff(np.sort(np.array(at_ns, np.int64)))
    return bool(gaps.sum() < _COPIED_SPAN_NS or np.median(gaps) < _BURST_NS)


def _natural(name: str | Path) -> list[tuple[int, str]]:
    """Sort key: img2 before img10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(name))]
