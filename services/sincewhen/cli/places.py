"""Where a command writes, told before the work, not after it; and how often it may alarm by chance."""

import math
import sys
from collections.abc import Mapping
from pathlib import Path

import click

ARL0_MIN = 2
MADE = click.Path(dir_okay=False, path_type=Path)
OUTPUT = Path("-")  # standard output; what is said to people then goes to standard error


def can_be_written(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    """A callback of an option: the path, or what is wrong with it."""
    if path is None or path == OUTPUT:
        return path
    folder = path.absolute().parent
    if not folder.is_dir():
        raise click.BadParameter(f"it names a file in a folder that is there; got {path}: make {folder} first")
    try:
        new = not path.exists()
        path.open("ab").close()
        if new:
            path.unlink()
    except OSError as error:
        raise click.BadParameter(f"it names a file that can be written; got {path} ({error}): name another") from error
    return path


def can_hold_bytes(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """A callback of an option that names a binary file: as above, and no terminal."""
    if path == OUTPUT and sys.stdout.isatty():
        raise click.BadParameter("it is bytes, which no terminal shows; got -, a terminal: redirect it, or name a file")
    return can_be_written(context, parameter, path)


def run_length(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    """A callback of an option: the frames between false alarms."""
    if value is not None and not ARL0_MIN <= value < math.inf:
        raise click.BadParameter(f"a run length is a finite number of rows, at least {ARL0_MIN}; got {value}")
    return value


def written(path: Path, data: str | bytes) -> None:
    """Write a file, or end with what went wrong and exit code 2."""
    try:
        if path == OUTPUT:
            click.echo(data, nl=False)
        else:
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
    except OSError as error:
        raise click.UsageError(f"{path} can't be written ({error}): make room, or name another") from error


def all_different(places: Mapping[str, Path | None]) -> None:
    """No two of a command's files, by what they are called, are one."""
    seen: dict[Path, str] = {}
    for name, path in places.items():
        if path is not None and (other := seen.setdefault(path.resolve(), name)) != name:
            raise click.UsageError(f"{other} and {name} are different files; got {path} for both: name another")
