"""Rows of a CSV with their capture times, in order of time."""

import csv
import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from pathlib import Path

from sincewhen_edge.fit import TIMES, untimely
from sincewhen_edge.spool import Progress

NS = 10**9
_SECONDS_MAX = 10**12  # a number beyond is no time; as an int of ns it could have a million digits


class SourceError(ValueError):
    """A source can't be read at all."""


@dataclass(frozen=True, slots=True)
class Row:
    line: int  # in the file, the header is 1
    captured_at_ns: int
    values: Mapping[str, str]  # without the time; no empty ones


@dataclass(frozen=True, slots=True)
class Rows:
    rows: list[Row]  # by captured_at, file order where equal
    left_out: list[str]  # why a line has no row
    columns: tuple[str, ...]  # without the time


@dataclass(frozen=True, slots=True)
class TimeForm:
    """How a time column is read: ISO 8601 or epoch seconds; with `unit_s`, a number of such units since `start`."""

    zone: tzinfo  # of ISO times that name none
    unit_s: float | None = None
    start_ns: int = 0

    def ns(self, text: str) -> int:
        """UTC epoch ns. Raises ValueError."""
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite():
            if abs(number) > _SECONDS_MAX:
                raise ValueError(f"a time is at most {_SECONDS_MAX} away from its start; got {text[:40]!r}")
            return (
                round(number * NS) if self.unit_s is None else self.start_ns + round(float(number) * self.unit_s * NS)
            )
        if self.unit_s is not None:
            raise ValueError(f"a time of units of {self.unit_s} s is a number; got {text!r}")
        try:
            at = datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"a time is ISO 8601 or epoch seconds; got {text!r}") from error
        at = at if at.tzinfo else at.replace(tzinfo=self.zone)
        return int(at.timestamp()) * NS + at.microsecond * 1000


def read_rows(path: Path, time_column: str, form: TimeForm, now_ns: int, needed: tuple[str, ...] = ()) -> Rows:
    """Read a CSV with a header. Raises SourceError; a line that breaks a rule is left out with the reason."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _read(csv.reader(file), path, time_column, form, now_ns, needed)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read: {error}; name a UTF-8 CSV file with a header") from error


def source_of(kind: str, *parts: str) -> str:
    """The name under which a source's progress is kept: another one where any part is another."""
    return f"{kind}:" + hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def unsent(path: Path, rows: Sequence[Row], sent: Progress) -> list[tuple[Row, Progress]]:
    """The rows behind those sent, each with the progress it makes.

    Raises SourceError where the first rows are no longer those that were sent: nothing could then go on behind them
    without leaving one out or sending one twice.
    """
    digest = ""
    found: list[tuple[Row, Progress]] = []
    same = sent.position <= len(rows)
    for position, row in enumerate(rows, start=1):
        said = f"{digest} {row.captured_at_ns} {sorted(row.values.items())!r}"
        digest = hashlib.sha256(said.encode()).hexdigest()[:32]
        if position > sent.position:
            found.append((row, Progress(sent.source, position, digest)))
        elif position == sent.position:
            same = digest == sent.digest
    if not same:
        raise SourceError(
            f"the first {sent.position} rows of {path}, by time, were sent before and have changed since: one among "
            "them is new, changed or gone; put new rows into a file of their own, or send all of this file again with "
            "another --spool"
        )
    return found


def _read(
    lines: Iterator[list[str]], path: Path, time_column: str, form: TimeForm, now_ns: int, needed: tuple[str, ...]
) -> Rows:
    header = next(lines, [])
    for name in (time_column, *needed):
        if name not in header:
            raise SourceError(f"{path} has a column {name!r}; got {', '.join(header) or 'an empty file'}: name it so")
    if len(set(header)) < len(header):
        raise SourceError(f"a column's name stands once in {path}; got {', '.join(header)}: rename one")
    rows: list[Row] = []
    left_out: list[str] = []
    for number, line in enumerate(lines, start=2):
        if not line:
            continue
        try:
            rows.append(_row(number, line, header, time_column, form, now_ns, needed))
        except (ValueError, OverflowError) as error:
            left_out.append(f"line {number}: {error}")
    rows.sort(key=lambda row: row.captured_at_ns)
    return Rows(rows, left_out, tuple(name for name in header if name != time_column))


def _row(
    number: int,
    line: list[str],
    header: list[str],
    time_column: str,
    form: TimeForm,
    now_ns: int,
    needed: tuple[str, ...],
) -> Row:
    """Raises ValueError or OverflowError: why there is none."""
    if len(line) != len(header):
        raise ValueError(f"{len(header)} columns; got {len(line)}")
    values = {name: value for name, value in zip(header, line, strict=True) if value}
    said = values.pop(time_column, "")
    captured_at_ns = form.ns(said)
    reason = untimely(captured_at_ns, now_ns)
    if reason is not None:
        raise ValueError(f"{TIMES[reason]}; got {said}")
    missing = [name for name in needed if name not in values]
    if missing:
        raise ValueError(f"{missing[0]} is empty")
    return Row(number, captured_at_ns, values)


def number(text: str) -> float:
    """A decimal number; NaN where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def numeric(rows: list[Row], column: str) -> bool:
    """Whether a column holds numbers: all of its first 100 values are."""
    values = itertools.islice((row.values[column] for row in rows if column in row.values), 100)
    found = [not math.isnan(number(value)) or value.lower() == "nan" for value in values]
    return bool(found) and all(found)
