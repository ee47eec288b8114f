"""`sincewhen backtest`: arrays on disk through profile, detectors and onset."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sincewhen.processor.backtest import Alarm, Dating, Recording, Result, run
from sincewhen.profiles.profile import Profile, decode_profile

BAD_INPUT = 2
_ROW_NS = 10**9


class BadArrays(click.ClickException):
    """Arrays that break a rule: exit code 2."""

    exit_code = BAD_INPUT


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--golden", type=click.IntRange(min=1), required=True, help="The first N rows are in control.")
@click.option("--arl0", type=click.FloatRange(min=2), required=True, help="Rows between false alarms in control.")
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the result.")
@click.option("--profile", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A built profile.")
def backtest(file: Path, golden: int, arl0: float, out: Path | None, profile: Path | None) -> None:
    """Find and date the changes in FILE.npz: `x` (n, d), optionally t, lot, confidence, factors, factor_names.

    Exit code 0, also when no profile can be learned (the reason is printed); 2 on bad input.
    """
    started = time.monotonic()
    recording = read_recording(file, golden)
    built = _read_profile(profile) if profile else None
    result = run(recording, golden, arl0, built)
    n, d = recording.layers["x"].shape
    report = {
        "n": n,
        "d": d,
        "golden": golden,
        "arl0": arl0,
        "refused": result.refused,
        "alarms": [as_json(alarm) for alarm in result.alarms],
        "elapsed_s": round(time.monotonic() - started, 3),
    }
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=2) + "\n")
    _print(result)


def as_json(alarm: Alarm) -> dict[str, Any]:
    """The documented keys of one alarm."""
    known = asdict(alarm.first)
    return {
        **known,
        "status": alarm.status,
        "until": alarm.until,
        "cause": "unknown",
        "confirmed": None if alarm.confirmed is None else _without_p_ramp(alarm.confirmed),
    }


def read_recording(file: Path, golden: int) -> Recording:
    """Read and check FILE.npz. Raises BadArrays with the rule, the value, the way out."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            data = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError) as error:
        msg = f"{file} is no .npz of plain arrays ({error}): write it with numpy.savez, strings as str, not object"
        raise BadArrays(msg) from error
    x = data.get("x")
    if x is None or x.ndim != 2 or not x.size or not np.issubdtype(x.dtype, np.number):  # noqa: PLR2004 - a table
        shape = "nothing" if x is None else f"{x.dtype} {x.shape}"
        raise BadArrays(f"`x` is a table of numbers (n, d) with n, d >= 1; got {shape}: save it as x=...")
    if golden >= len(x):
        raise BadArrays(f"--golden is below the number of rows, {len(x)}; got {golden}: leave rows to monitor")
    if not np.isfinite(x).all():
        rows = np.flatnonzero(~np.isfinite(x).all(axis=1))
        raise BadArrays(f"`x` is finite; {len(rows)} rows are not, the first is {rows[0]}: drop or repair them")
    at_ns = _rows("t", data.get("t", np.arange(len(x)) * _ROW_NS), len(x)).astype(np.int64)
    if (np.diff(at_ns) < 0).any():
        row = int(np.argmax(np.diff(at_ns) < 0)) + 1
        raise BadArrays(f"`t` never steps back; it does at row {row}: sort the rows by time")
    lot = data.get("lot")
    return Recording(
        layers={"x": x.astype(np.float32)},
        at_ns=at_ns,
        scalars=_scalars(data, len(x)),
        lot=None if lot is None else _rows("lot", lot, len(x)).astype(str).astype(object),
    )


def _scalars(data: dict[str, NDArray[Any]], n: int) -> dict[str, NDArray[np.float64]]:
    scalars: dict[str, NDArray[np.float64]] = {}
    if "confidence" in data:
        scalars["confidence"] = _rows("confidence", data["confidence"], n).astype(np.float64)
    if "factors" in data:
        factors = _rows("factors", data["factors"], n)
        names = data.get("factor_names", np.arange(factors.shape[1] if factors.ndim > 1 else 0))
        if factors.ndim != 2 or len(names) != factors.shape[1]:  # noqa: PLR2004 - a table
            raise BadArrays(
                f"`factors` is (n, m) with m names in `factor_names`; got {factors.shape} and {len(names)} names"
            )
        for index, name in enumerate(names.astype(str)):
            scalars[f"factor:{name}"] = factors[:, index].astype(np.float64)
    return scalars


def _rows(name: str, values: NDArray[Any], n: int) -> NDArray[Any]:
    if values.ndim == 0 or len(values) != n:
        raise BadArrays(f"`{name}` has one entry a row, {n}; got shape {values.shape}: cut it like `x`")
    return values


def _read_profile(path: Path) -> Profile:
    try:
        return decode_profile(path.read_bytes())
    except ValueError as error:
        raise BadArrays(f"{path} is no profile of this release ({error}): build it again") from error


def _without_p_ramp(dating: Dating) -> dict[str, Any]:
    return {key: value for key, value in asdict(dating).items() if key != "p_ramp"}


def _print(result: Result) -> None:
    if result.refused is not None:
        click.echo(f"No profile: {result.refused}", file=sys.stderr)
        return
    if not result.alarms:
        click.echo("In control: no change found.")
    for alarm in result.alarms:
        known = alarm.confirmed or alarm.first
        until = "" if alarm.until is None else f", until row {alarm.until}"
        click.echo(
            f"Alarm at row {alarm.first.at}: {known.shape} change since row {known.since} "
            f"[{known.since_low}..{known.since_high}]{until} ({alarm.status})"
        )
