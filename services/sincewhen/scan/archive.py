"""An archive of pictures: what is there, when each was taken, in which order. Reads names, headers and the index."""

import csv
import math
import os
import re
import struct
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sincewhen.console.times import iso
from sincewhen.scan.order import Clock, LeftOut, Picture, natural, ordered, say_ties
from sincewhen_edge.fit import TIMES, untimely
from sincewhen_edge.sources.images import SUFFIXES
from sincewhen_edge.sources.rows import SourceError, TimeForm

PICTURES_MAX = 50_000  # of more, every k-th: 50,000 are half an hour of a small model on one core and 600 MB
READ_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)  # Pillow's
_KINDS = "png, jpg, bmp, tif, webp"
_EXIF, _TAKEN, _SUBSECOND, _OFFSET = 0x8769, 36867, 37521, 36881
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_LIKE = "like 2025-03-01T10:00:00"
_FORMATS = {"1": "black and white", "P": "of a palette", "PA": "of a palette"}  # masks often are
_FORMATS |= dict.fromkeys(("RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"), "in colour")  # others are grey


@dataclass(frozen=True, slots=True)
class Archive:
    pictures: list[Picture]  # in order
    timed: bool  # whether times say when; otherwise the order is by name
    to_the_day: bool  # times are dates; within a day the order is by name
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
    found = sorted((p for p in directory.rglob("*") if p.suffix.lower() in SUFFIXES and _is_file(p)), key=natural)
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
    now_ns = time.time_ns()
    for path, row in kept:
        name = row.get("path") or str(path.relative_to(directory))
        try:
            pictures.append(_picture(path, name, row, form, now_ns))
        except READ_ERRORS as error:
            unreadable.append((name, told(error, path)))
    if not pictures:
        raise SourceError(_none_read(directory, index, unreadable))
    way_out = "name an --index with captured_at" if index is None else f"give captured_at in {index.name}, {_LIKE},"
    in_order, timed = ordered(pictures, left_out, warnings, way_out)
    to_the_day = timed and say_ties(in_order, form.zone, warnings)
    _say_formats(in_order, warnings)
    return Archive(in_order, timed, to_the_day, unreadable, left_out, warnings)


def told(error: BaseException, path: Path) -> str:
    """An error without the path, which is said beside it."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = text.replace(f"image file {str(path)!r}", "it as a picture")
    return text.replace(repr(str(path)), "the file") or type(error).__name__


def _is_file(path: Path) -> bool:
    """Also a link that leads nowhere, so that it is told."""
    return path.is_file() or (path.is_symlink() and not path.exists())


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
        path = _at(root, row["path"])
        if not path.is_relative_to(root):
            unreadable.append((row["path"], f"it lies outside of {directory}: scan a folder that holds it"))
            continue
        twice += path in rows
        rows.setdefault(path, row)
        told_of.update(_at(root, value) for value in row.values() if Path(value).suffix.lower() in SUFFIXES)
    if twice:
        left_out.append(LeftOut("named again", twice, f"{index.name} names them before: the first row counts"))
    unnamed = {path.resolve() for path in found if _plain(path.absolute()) not in told_of}
    others = len(unnamed - {path.resolve() for path in rows})
    if others:
        left_out.append(LeftOut("not in the index", others, f"{index.name} does not name them"))
    return list(rows.items())


def _at(root: Path, written: str) -> Path:
    """Where a path of the index leads; Windows writes it with backslashes."""
    path = _plain(root / written)
    return path if "\\" not in written or path.exists() else _plain(root / written.replace("\\", "/"))


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
            header = lines.fieldnames or []
            if "path" not in header:
                got = ", ".join(header) or "an empty file"
                way_out = "separate columns with commas" if re.search(r"path *[;\t|]", got) else "name it so"
                raise SourceError(f"{index} has a column 'path'; got {got}: {way_out}")
            nameless: list[int] = []
            for number, line in enumerate(lines, start=2):
                row = {key: value for key, value in line.items() if key and value}
                if "path" in row:
                    yield row
                else:
                    nameless.append(number)
            if nameless:
                said = f"lines name no path and are left out, the first is line {nameless[0]}"
                warnings.append(f"{index.name}: {len(nameless)} {said}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{index} cannot be read: {error}; name a UTF-8 CSV file with a header") from error


def _picture(path: Path, name: str, row: Mapping[str, str], form: TimeForm, now_ns: int) -> Picture:
    status = path.stat()
    with Image.open(path) as file:
        size, mode = file.size, file.mode
        taken = _exif_ns(file, form)
    captured_at = row.get("captured_at", "").strip()
    at_ns, no_time = status.st_mtime_ns, ""
    clock: Clock = "file"
    if captured_at:
        at_ns, clock, no_time = _indexed(captured_at, form)
    elif taken is not None and untimely(taken, now_ns) is None:
        at_ns, clock = taken, "exif"
    reason = None if no_time else untimely(at_ns, now_ns)
    if reason is not None:
        no_time = f"{TIMES[reason]}; got {captured_at or iso(at_ns)}"
    return Picture(
        path=path,
        name=name,
        at_ns=at_ns,
        clock="none" if no_time else clock,
        no_time=no_time,
        day_only=_DAY.fullmatch(captured_at) is not None,
        size=size,
        format=_FORMATS.get(mode, "grey"),
        bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        context={key: value for key, value in row.items() if key not in {"path", "captured_at"}},
    )


def _indexed(captured_at: str, form: TimeForm) -> tuple[int, Clock, str]:
    """Epoch ns, its clock, and why there is none."""
    try:
        return form.ns(captured_at), "index", ""
    except (ValueError, OverflowError) as error:
        return 0, "none", f"{error}"


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


def _say_formats(pictures: list[Picture], warnings: list[str]) -> None:
    (usual, count), *others = Counter(picture.format for picture in pictures).most_common()
    if others:
        other = next(picture for picture in pictures if picture.format != usual)
        rest = len(pictures) - count
        warnings.insert(
            0,
            f"Not {usual} like the rest are {rest} of {len(pictures)} pictures, the first, {other.name}, is "
            f"{other.format}: if they are masks, name the pictures alone in an --index",
        )
