"""`sincewhen backtest`: arrays on disk through profile, detectors and onset."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC
from pathlib import Path
from typing import Any

import click

from sincewhen.cli.arrays import LAYER, BadArrays, read_recording
from sincewhen.cli.places import MADE, OUTPUT, all_different, can_be_written, can_hold_bytes, run_length, written
from sincewhen.detect.naming import UNKNOWN
from sincewhen.processor.backtest import Alarm, Dating, Recording, Result, run
from sincewhen.processor.learn import Refusal, Subject, build_profile
from sincewhen.profiles.profile import Profile, decode_profile, encode_profile
from sincewhen.profiles.streams import SQUARED
from sincewhen.report.backtest import SUFFIXES, drawn
from sincewhen.report.judged import judged_rows
from sincewhen.report.words import ROW, Clock
from sincewhen_schemas.reference import decode_reference, reference_sha

_GIVEN = click.Path(exists=True, dir_okay=False, path_type=Path)


def _is_report(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() not in SUFFIXES:
        raise click.BadParameter(f"a report ends in {' or '.join(SUFFIXES)}; got {path}: name it so")
    return can_be_written(context, parameter, path)


@click.command()
@click.argument("file", type=_GIVEN)
@click.option("--golden", type=click.IntRange(min=1), required=True, help="The first N rows are in control.")
@click.option("--arl0", type=float, required=True, callback=run_length, help="Rows between false alarms in control.")
@click.option(
    "--json", "out", type=MADE, callback=can_be_written, help="Where to write the result, - for standard output."
)
@click.option("--report", type=MADE, callback=_is_report, help="A page (.html) or a figure (.png) of the result.")
@click.option("--profile", "given", type=_GIVEN, help="A built profile; default: learn one from the golden rows.")
@click.option("--reference", type=_GIVEN, help="A reference set of the same model: what changes look like, by name.")
@click.option("--profile-out", type=MADE, callback=can_hold_bytes, help="Where to write the profile it learned.")
def backtest(
    file: Path,
    golden: int,
    arl0: float,
    out: Path | None,
    report: Path | None,
    given: Path | None,
    reference: Path | None,
    profile_out: Path | None,
) -> None:
    """Find and date the changes in FILE.npz: `x` (n, d), optionally t, lot, confidence, factors, factor_names.

    Exit code 0, also when no profile can be learned (the reason is printed); 2 on bad input.
    """
    if given and (reference or profile_out):
        raise click.UsageError("--profile is built already; --reference and --profile-out are for one that is learned")
    all_different(
        {
            "FILE.npz": file,
            "--profile": given,
            "--reference": reference,
            "--json": out,
            "--report": report,
            "--profile-out": profile_out,
        }
    )
    started = time.monotonic()
    recording = read_recording(file, golden)
    n, d = recording.layers[LAYER].shape
    recording, profile = _with_profile(recording, d, given) if given else _learned(recording, d, golden, reference)
    result = run(recording, golden, arl0, profile)
    found = {
        "n": n,
        "d": d,
        "golden": golden,
        "arl0": arl0,
        "refused": result.refused,
        "alarms": [as_json(alarm) for alarm in result.alarms],
        "warnings": list(result.warnings),
        "elapsed_s": round(time.monotonic() - started, 3),
    }
    if out:
        written(out, json.dumps(found, indent=2, allow_nan=False) + "\n")
    if profile_out and isinstance(profile, Profile):
        written(profile_out, encode_profile(profile))
    if report:
        clock = Clock(ROW, lambda row: f"row {row}", UTC, recording.at_ns if recording.pauses else None)
        written(report, drawn(file, report.suffix.lower(), judged_rows(recording, golden, arl0, result), clock, golden))
    _print(result, quiet=OUTPUT in {out, profile_out})


def as_json(alarm: Alarm) -> dict[str, Any]:
    """The documented keys of one alarm."""
    known = asdict(alarm.first)
    return {
        **known,
        "status": alarm.status,
        "until": alarm.until,
        "cause": alarm.cause,
        "confirmed": None if alarm.confirmed is None else _without_p_ramp(alarm.confirmed),
        "final": _without_p_ramp(alarm.known),
    }


def _with_profile(recording: Recording, d: int, path: Path) -> tuple[Recording, Profile]:
    """A built profile, and the rows as the layer that it judges."""
    try:
        profile = decode_profile(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadArrays(f"{path} is no profile of this release ({error}): build it again") from error
    dims = {name: len(layer.basis.center) for name, layer in profile.layers.items()}
    way_out = "save the rows of one of them as `x`, or build a profile from such rows"
    layer = _layer_of(dims, d, "--profile", path, way_out)
    profile = profile.of_layer(layer)
    if len(dims) > 1:
        click.echo(f"`x` is taken for the layer {layer!r}, the one of {d} columns.", err=True)
    missing = sorted({name for name in profile.scalars if not name.startswith(SQUARED)} - set(recording.scalars))
    if missing:
        click.echo(f"Not watched, because {', '.join(missing)} of the profile is not in the rows.", err=True)
    return _as_layer(recording, layer), profile


def _learned(recording: Recording, d: int, golden: int, path: Path | None) -> tuple[Recording, Profile | Refusal]:
    """A profile from the golden rows, with the causes of a reference set, and the rows as the layer of that set."""
    if path is None:
        return recording, build_profile(recording.take(slice(golden)).golden())
    try:
        encoded = path.read_bytes()
        reference = decode_reference(encoded)
    except (OSError, ValueError) as error:
        raise BadArrays(f"--reference {path}: {error}") from error
    dims = {name: values.shape[1] for name, values in reference.clean.items()}
    layer = _layer_of(dims, d, "--reference", path, "build it with the model and the layer that made `x`")
    recording = _as_layer(recording, layer)
    subject = Subject(reference.station_id, reference.view, reference.model_name, reference.model_version)
    rows = recording.take(slice(golden)).golden()
    return recording, build_profile(rows, subject, reference, reference_sha(encoded))


def _layer_of(dims: Mapping[str, int], d: int, option: str, path: Path, way_out: str) -> str:
    """The layer that `x` is of: by its columns, or by its name where several have them."""
    fitting = [name for name, width in dims.items() if width == d]
    if LAYER in fitting:
        return LAYER
    if len(fitting) != 1:
        raise BadArrays(
            f"{option} has exactly one layer of the {d} columns of `x`, or one of them named {LAYER!r}; {path} has "
            f"{_layers(dims)}: {way_out}"
        )
    return fitting[0]


def _as_layer(recording: Recording, name: str) -> Recording:
    return replace(recording, layers={name: recording.layers[LAYER]})


def _layers(dims: Mapping[str, int]) -> str:
    return ", ".join(f"{name!r} of {width}" for name, width in dims.items()) or "none"


def _without_p_ramp(dating: Dating) -> dict[str, Any]:
    return {key: value for key, value in asdict(dating).items() if key != "p_ramp"}


def _print(result: Result, *, quiet: bool) -> None:
    """On standard error where standard output is a file's."""
    if result.refused is not None:
        click.echo(f"No profile: {result.refused}", file=sys.stderr)
        return
    for warning in result.warnings:
        click.echo(f"Caution: {warning}", err=True)
    if not result.alarms:
        click.echo("In control: no change found.", err=quiet)
    for alarm in result.alarms:
        known = alarm.known
        until = "" if alarm.until is None else f", until row {alarm.until}"
        cause = "" if alarm.cause == UNKNOWN else f", looks like {alarm.cause.replace('_', ' ')}"
        click.echo(
            f"Alarm at row {alarm.first.at}: {known.shape} change since row {known.since} "
            f"[{known.since_low}..{known.since_high}]{until}{cause} ({alarm.status})",
            err=quiet,
        )
