"""`sincewhen scan`: the image archive that a plant already has, before any integration."""

import json
import os
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress, TextColumn

from sincewhen.cli.backtest import as_json
from sincewhen.cli.places import MADE, OUTPUT, all_different, can_be_written, run_length, written
from sincewhen.console.times import from_iso
from sincewhen.processor.backtest import Alarm
from sincewhen.processor.learn import Subject
from sincewhen.report.words import PICTURE, Clock, told
from sincewhen.scan.archive import Archive, read_archive
from sincewhen.scan.cache import FeatureCache
from sincewhen.scan.features import Features, extract, model_key
from sincewhen.scan.judge import Verdict, Window, judge
from sincewhen.scan.report import doubts, left_out, page, title
from sincewhen_edge.models import IMAGE_SIDE, ModelError, load_model
from sincewhen_edge.sources.rows import SourceError, TimeForm

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_SHOWN = 5


@click.command()
@click.argument("directory", type=FOLDER)
@click.option("--index", type=FILE, help="CSV: path, captured_at, then lot, supplier_lot, shift, sku, recipe ...")
@click.option("--model", default="reference", show_default=True, help="Or a TorchScript or ONNX file.")
@click.option("--side", type=click.IntRange(32, 4096), default=IMAGE_SIDE, show_default=True, help="Pixels to it.")
@click.option("--baseline", "given", metavar="FROM..TO", help="ISO dates or times; default: the longest calm stretch.")
@click.option(
    "--out",
    type=MADE,
    callback=can_be_written,
    default=Path("report.html"),
    show_default=True,
    help="- for standard output.",
)
@click.option("--json", "as_file", type=MADE, callback=can_be_written, help="Also as JSON, - for standard output.")
@click.option("--tz", default="UTC", show_default=True, help="Time zone of times that name none, and of the report.")
@click.option("--arl0", type=float, callback=run_length, help="Pictures between false alarms; default: of 10 archives.")
def scan(
    directory: Path,
    index: Path | None,
    model: str,
    side: int,
    given: str | None,
    out: Path,
    as_file: Path | None,
    tz: str,
    arl0: float | None,
) -> None:
    """Find and date the changes in a folder of pictures that is already there; offline, without labels.

    Exit code 0, also where nothing can be judged (the report says why); 2 on bad input.
    """
    all_different({"--index": index, "--out": out, "--json": as_file})
    started = time.monotonic()
    zone = _zone(tz)
    window = None if given is None else _window(given, zone)
    try:
        archive = read_archive(directory, index, TimeForm(zone))
        if window is not None:
            _check(window, archive, zone, index)
        features, archive, subject = _features(archive, model, side)
    except (SourceError, ModelError) as error:
        raise click.UsageError(str(error)) from error
    verdict = judge(features, subject, arl0, window, timed=archive.timed, to_the_day=archive.to_the_day)
    clock = _clock(archive, zone)
    method = {"Model": f"{subject.model_name} {subject.model_version}, {side} pixels"}
    written(out, page(features.pictures, archive, verdict, clock, method, str(directory)))
    if as_file is not None:
        report = result(features, archive, verdict, clock)
        report["elapsed_s"] = round(time.monotonic() - started, 3)
        written(as_file, json.dumps(report, indent=2) + "\n")
    _print(archive, verdict, clock, out, quiet=OUTPUT in {out, as_file})


def result(features: Features, archive: Archive, verdict: Verdict, clock: Clock) -> dict[str, Any]:
    """The documented keys: those of `backtest`, with times, lots and what was not judged."""
    rows = verdict.baseline_rows
    baseline = rows and {"from": clock.iso(rows[0]), "to": clock.iso(rows[1]), "rows": list(rows)}
    return {
        "n": len(features.pictures),
        "d": sum(values.shape[1] for values in features.layers.values()),
        "golden": 0 if verdict.profile is None else verdict.profile.frames,
        "arl0": verdict.arl0,
        "refused": verdict.refused,
        "alarms": [_alarm(alarm, verdict, clock) for alarm in verdict.alarms],
        "baseline": baseline,
        "ordered_by": archive.ordered_by,
        "unreadable": [{"path": name, "reason": reason} for name, reason in archive.unreadable],
        "not_judged": [
            {"reason": item.reason, "count": item.count, "detail": item.detail}
            for item in (*archive.left_out, *verdict.left_out)
        ],
        "warnings": doubts(archive, verdict, clock),
    }


def _alarm(alarm: Alarm, verdict: Verdict, clock: Clock) -> dict[str, Any]:
    known = alarm.known
    return {
        **as_json(alarm),
        "since_at": clock.iso(known.since),
        "since_low_at": clock.iso(known.since_low),
        "since_high_at": clock.iso(known.since_high),
        "until_at": None if alarm.until is None else clock.iso(alarm.until),
        "lots": told(alarm, verdict, clock).lots,
    }


def _clock(archive: Archive, zone: tzinfo) -> Clock:
    pictures = archive.pictures
    at_ns = np.array([picture.at_ns for picture in pictures], np.int64) if archive.timed else None
    return Clock(PICTURE, lambda row: f"picture {row + 1} ({pictures[row].name})", zone, at_ns, archive.to_the_day)


def _features(archive: Archive, model: str, side: int) -> tuple[Features, Archive, Subject]:
    """Every picture through the model, or from the cache; the archive without what could not be read."""
    embed = load_model(model, side)
    cache = FeatureCache(_cache_file(), model_key(embed, side))
    columns = (*Progress.get_default_columns(), TextColumn("{task.completed} pictures"))
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("scan", total=len(archive.pictures))
            features, unreadable = extract(archive.pictures, embed, cache, lambda n: progress.advance(task, n))
    except KeyboardInterrupt:
        click.echo("Stopped; what was done is in the cache, start again to go on.", err=True)
        sys.exit(130)
    finally:
        cache.close()
    seen = replace(
        archive,
        pictures=features.pictures,
        unreadable=[*archive.unreadable, *unreadable],
        warnings=[*archive.warnings, *cache.warnings],
    )
    return features, seen, Subject(model_name=embed.name, model_version=embed.version)


def _cache_file() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sincewhen" / "scan.sqlite"


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise click.UsageError(f"--tz is an IANA name such as Europe/Rome; got {name!r}") from error


def _window(given: str, zone: tzinfo) -> Window:
    """A day as TO is meant to its end."""
    first, _, last = given.partition("..")
    try:
        start, stop = (datetime.fromisoformat(text.strip()) for text in (first, last))
    except ValueError as error:
        rule = "--baseline is FROM..TO, two ISO 8601 dates or times"
        raise click.UsageError(f"{rule}; got {given!r}: write it like 2025-03-01..2025-03-14") from error
    if len(last.strip()) == len("2025-01-01"):
        stop += timedelta(days=1, microseconds=-1)
    start, stop = (at if at.tzinfo else at.replace(tzinfo=zone) for at in (start, stop))
    if start >= stop:
        raise click.UsageError(f"--baseline is FROM..TO with FROM before TO; got {given!r}: swap them")
    return Window(from_iso(start), from_iso(stop))


def _check(window: Window, archive: Archive, zone: tzinfo, index: Path | None) -> None:
    """Before the work: a baseline lies where the archive has pictures."""
    if not archive.timed:
        way_out = "name an --index with captured_at" if index is None else f"add the column captured_at to {index}"
        raise click.UsageError(f"--baseline is FROM..TO in time; this archive has no usable times: {way_out}")
    at_ns = [picture.at_ns for picture in archive.pictures]
    if not any(window.from_ns <= at <= window.to_ns for at in at_ns):
        clock = _clock(archive, zone)
        raise click.UsageError(
            f"--baseline holds pictures; got none, the archive lasts from {clock.place(0)} to "
            f"{clock.place(len(at_ns) - 1)} ({zone}): name a time within"
        )


def _print(archive: Archive, verdict: Verdict, clock: Clock, out: Path, *, quiet: bool) -> None:
    """The gist on the terminal; on standard error where standard output is a file's."""
    lines = [f"{title(verdict)}{'.' if verdict.refused is None else ': ' + verdict.refused}"]
    if verdict.baseline_rows is not None:
        first, last = (clock.place(row) for row in verdict.baseline_rows)
        lines.append(f"Baseline: {first} .. {last}")
    for alarm in verdict.alarms:
        said = told(alarm, verdict, clock)
        still = ", still so in the last picture" if said.until is None else ""
        begin = f"begin {said.interval}" if said.dated else said.interval
        lots = f"; lots {', '.join(said.lots)}" if said.lots else ""
        lines.append(f"- {said.headline} ({begin}){still}; {PICTURE.count(said.rows)}{lots}")
    lines += _few("Not judged", left_out(archive, verdict)) + _few("Caution", doubts(archive, verdict, clock))
    if archive.unreadable:
        lines.append(f"Files that could not be read, listed in the report: {len(archive.unreadable)}")
    if out != OUTPUT:
        lines.append(f"Report: {out}")
    click.echo("\n".join(lines), err=quiet)


def _few(kind: str, said: list[str]) -> list[str]:
    more = [f"{kind}: ... and {len(said) - _SHOWN} more, listed in the report"] if said[_SHOWN:] else []
    return [f"{kind}: {line}" for line in said[:_SHOWN]] + more
