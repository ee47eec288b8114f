"""Rows of a CSV with their capture times, in order of time."""

import csv
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from pathlib import Path

NS = 10**9


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


def read_rows(path: Path, time_column: str, form: TimeForm, needed: tuple[str, ...] = ()) -> Rows:
    """Read a CSV with a header. Raises SourceError; a line that breaks a rule is left out with the reason."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _read(csv.reader(file), path, time_column, form, needed)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read: {error}; name a UTF-8 CSV file with a header") from error


def _read(lines: Iterator[list[str]], path: Path, time_column: str, form: TimeForm, needed: tuple[str, ...]) -> Rows:
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
        if len(line) != len(header):
            left_out.append(f"line {number}: {len(header)} columns; got {len(line)}")
            continue
        values = {name: value for name, value in zip(header, line, strict=True) if value}
        try:
            captured_at_ns = form.ns(values.pop(time_column, ""))
        except (ValueError, OverflowError) as error:
            left_out.append(f"line {number}: {error}")
            continue
        missing = [name for name in needed if name not in values]
        if missing:
            left_out.append(f"line {number}: {missing[0]} is empty")
            continue
        rows.append(Row(number, captured_at_ns, values))
    rows.sort(key=lambda row: row.captured_at_ns)
    return Rows(rows, left_out, tuple(name for name in header if name != time_column))


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
