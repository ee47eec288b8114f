"""Where a command writes: told before the work, not after it."""

from collections.abc import Mapping
from pathlib import Path

import click

MADE = click.Path(dir_okay=False, path_type=Path)


def can_be_written(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    """A callback of an option: the path, or what is wrong with it."""
    if path is None:
        return None
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


def all_different(places: Mapping[str, Path | None]) -> None:
    """No two of a command's files, by what they are called, are one."""
    seen: dict[Path, str] = {}
    for name, path in places.items():
        if path is not None and (other := seen.setdefault(path.resolve(), name)) != name:
            raise click.UsageError(f"{other} and {name} are different files; got {path} for both: name another")
