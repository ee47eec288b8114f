"""`sincewhen-edge`: archives, logs and folders to the server, as if they came from the line."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TextColumn

from sincewhen_edge import SettingsError, SpoolError
from sincewhen_edge.agent import EdgeAgent
from sincewhen_edge.models import IMAGE_SIDE, ModelError, load_model
from sincewhen_edge.reference.build import COPIES, Place, build, pinned
from sincewhen_edge.reference.send import SendError, send
from sincewhen_edge.settings import (
    DEFAULT_SERVER,
    LimitSettings,
    ModelSettings,
    Settings,
    SpoolSettings,
    complete,
    read_text,
)
from sincewhen_edge.sources import signals as signal_rows
from sincewhen_edge.sources.images import BATCH_IMAGES, archive_shots, folder_shots, play
from sincewhen_edge.sources.pace import Pace
from sincewhen_edge.sources.rows import Row, Rows, SourceError, TimeForm, read_rows, source_of, unsent
from sincewhen_edge.spool import Progress
from sincewhen_schemas.frames import PURPOSES
from sincewhen_schemas.kafka import written_in
from sincewhen_schemas.reference import reference_sha

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_SHOWN = 5
_DRAIN_S = 5.0
_OUTPUT = Path("-")  # standard output
_NICENESS = 10  # of work off the line's path on a line PC


def _common(command: F) -> F:
    for option in (
        click.option("--station", required=True, help="site/area/line/station"),
        click.option("--view", default="main", show_default=True, help="Camera or sensor of the station."),
        click.option(
            "--server",
            envvar="SINCEWHEN_SERVER",
            default=DEFAULT_SERVER,
            show_default=True,
            help="Or SINCEWHEN_SERVER.",
        ),
        click.option(
            "--kafka",
            type=FILE,
            help="Instead of --server: a TOML file with a table [kafka]. Set no SINCEWHEN_SERVER then.",
        ),
        click.option(
            "--spool",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Default: one a station, in XDG_STATE_HOME.",
        ),
        click.option("--agent-id", default="", help="Default: this PC's name."),
        click.option("--purpose", type=click.Choice(PURPOSES), default="production", show_default=True),
    ):
        command = option(command)
    return command


def _paced(command: F) -> F:
    for option in (
        click.option("--fast", is_flag=True, help="As fast as possible; default: as the capture times say."),
        click.option("--rate", type=click.FloatRange(0, min_open=True), help="Frames a second."),
        click.option("--tz", default="UTC", show_default=True, help="Time zone of times that name none."),
    ):
        command = option(command)
    return command


def _modelled(command: F) -> F:
    command = click.option("--model", default="reference", show_default=True, help="Or a TorchScript or .onnx file.")(
        command
    )
    side = click.IntRange(32, 4096)
    return click.option("--side", type=side, default=IMAGE_SIDE, show_default=True, help="Pixels to the model.")(
        command
    )


@click.group()
@click.version_option(package_name="sincewhen")
def main() -> None:
    """The edge agent of SinceWhen."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")


@main.command()
@click.argument("directory", type=FOLDER)
@click.option("--index", required=True, type=FILE, help="CSV: path, captured_at, context columns, attributes.")
@_modelled
@_common
@_paced
def images(directory: Path, index: Path, model: str, side: int, **common: Any) -> None:  # noqa: ANN401 - click's options
    """Send a folder of images with a CSV of context; started again, it goes on after the last spooled row."""
    pace, form = _pace(common)
    rows = _checked(lambda: read_rows(index, "captured_at", form, time.time_ns(), needed=("path",)))
    embed = _checked(lambda: load_model(model, side))
    named = (common["station"], common["view"], embed.name, embed.version)
    source = source_of("images", *named, str(directory.resolve()), str(index.resolve()))
    batch = BATCH_IMAGES if pace.rate == 0 else 1
    problems = list(rows.left_out)
    with _agent(common, ModelSettings(name=embed.name, version=embed.version)) as agent:
        left = _unsent(index, rows, agent, source)
        with _bar(common["station"], len(left)) as told:
            play(agent, archive_shots(directory, left), embed, pace, told, batch, problems)
    _report(problems)


@main.command()
@click.argument("file", type=FILE)
@click.option("--time", "time_column", required=True, help="The column with ISO 8601 times, epoch seconds, or a count.")
@click.option(
    "--unit-s", type=click.FloatRange(0, min_open=True), help="The time column counts units of so many seconds ..."
)
@click.option("--start", help="... from here on (ISO 8601).")
@_common
@_paced
def signals(file: Path, time_column: str, unit_s: float | None, start: str | None, **common: Any) -> None:  # noqa: ANN401 - click's options
    """Send the rows of a sensor's or robot's log; started again, it goes on after the last spooled row."""
    pace, form = _pace(common)
    if (unit_s is None) != (start is None):
        raise click.UsageError("--unit-s and --start go together: a count needs both")
    if start is not None:
        form = TimeForm(form.zone, unit_s, _checked(lambda: form.ns(start)))
    rows = _checked(lambda: read_rows(file, time_column, form, time.time_ns()))
    source = source_of("signals", common["station"], common["view"], str(file.resolve()))
    with _agent(common, ModelSettings()) as agent:
        left = _unsent(file, rows, agent, source)
        with _bar(common["station"], len(left)) as told:
            signal_rows.play(agent, rows, left, pace, told)
    _report(rows.left_out)


@main.command()
@click.argument("directory", type=FOLDER)
@click.option("--context", multiple=True, metavar="NAME=VALUE", help="Said of every frame: lot=..., line_speed=...")
@_modelled
@_common
def folder(directory: Path, context: tuple[str, ...], model: str, side: int, **common: Any) -> None:  # noqa: ANN401 - click's options
    """Send new image files as they appear, until Ctrl-C; captured_at is the file's time."""
    said = dict(item.partition("=")[::2] for item in context)
    if "" in said or len(said) < len(context) or not all("=" in item for item in context):
        raise click.UsageError(f"--context is NAME=VALUE, each name once; got {' '.join(context)}")
    embed = _checked(lambda: load_model(model, side))
    stop = threading.Event()
    unreadable: list[str] = []
    with _agent(common, ModelSettings(name=embed.name, version=embed.version)) as agent:
        source = source_of("folder", common["station"], common["view"], str(directory.resolve()))
        shots = folder_shots(directory, agent.spool.progress(source), dict(said), stop, unreadable)
        with _bar(common["station"], None) as told:
            try:
                play(agent, shots, embed, Pace(0), told, 1, unreadable)
            except KeyboardInterrupt:
                stop.set()
    _report(unreadable)


@main.group()
def reference() -> None:
    """The reference set of a station: pinned images of its own, clean and under camera faults."""


@reference.command("build")
@click.argument("directory", type=FOLDER)
@click.option("--station", required=True, help="site/area/line/station")
@click.option("--view", default="main", show_default=True, help="Camera or sensor of the station.")
@click.option("--regime", default="", help="sku|recipe; default: the station has one.")
@_modelled
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="The same seed, the same faults."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    help="Write the set here, - for standard output ...",
)
@click.option("--server", help="... and, or, send it there; SINCEWHEN_SERVER alone sends nothing.")
def build_reference(
    directory: Path,
    station: str,
    view: str,
    regime: str,
    model: str,
    side: int,
    seed: int,
    out: Path | None,
    server: str | None,
) -> None:
    """Run 8 to 64 pinned full-size images of DIRECTORY and their corrupted copies through the model.

    Runs at low priority on one core, so that a line PC is not slowed.
    """
    if not (out or server):
        raise click.UsageError("a reference set goes to --out FILE, --server URL, or both; got neither: name one")
    if out and not out.absolute().parent.is_dir():
        raise click.UsageError(f"--out is a file in a folder that is there; got {out}: make the folder first")
    if out == _OUTPUT and sys.stdout.isatty():
        raise click.UsageError(
            "--out is bytes, which no terminal shows; got -, a terminal: redirect it, or name a file"
        )
    asked = Settings(station_id=station, view=view, server=server or DEFAULT_SERVER)
    settings = _checked(lambda: complete(asked, _environment()))
    if hasattr(os, "nice"):  # not on Windows
        os.nice(_NICENESS)
    files = _checked(lambda: pinned(directory))
    embed = _checked(lambda: load_model(model, side))
    with _bar(station, COPIES * len(files)) as told:
        place = Place(station, view, regime)
        encoded = _checked(lambda: build(files, place, embed, seed, time.time_ns(), told))
    try:
        if out == _OUTPUT:
            click.echo(encoded, nl=False)
        elif out:
            out.write_bytes(encoded)
        if server:
            send(settings, encoded)
    except (OSError, SendError) as error:
        kept = f" (the set is in {_name(out)})" if out and isinstance(error, SendError) else ""
        raise click.ClickException(f"{error}{kept}") from error
    where = " and ".join(name for name in (out and _name(out), server) if name)
    said = f"{reference_sha(encoded)}: {len(files)} images, {len(encoded)} bytes, to {where}"
    click.echo(said, err=out == _OUTPUT)


def _name(out: Path) -> str:
    return "standard output" if out == _OUTPUT else str(out)


def _pace(common: dict[str, Any]) -> tuple[Pace, TimeForm]:
    if common["fast"] and common["rate"]:
        raise click.UsageError("--fast or --rate, not both")
    try:
        zone: tzinfo = ZoneInfo(common["tz"])
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise click.UsageError(f"--tz is an IANA name such as Europe/Rome; got {common['tz']!r}") from error
    return Pace(0 if common["fast"] else common["rate"]), TimeForm(zone)


@contextmanager
def _agent(common: dict[str, Any], model: ModelSettings) -> Iterator[EdgeAgent]:
    """An agent that is drained and closed at the end; Ctrl-C leaves what waits in the spool."""
    written = Settings(
        station_id=common["station"],
        view=common["view"],
        server=common["server"],
        kafka=_checked(lambda: written_in(str(common["kafka"]), read_text)) if common["kafka"] else None,
        agent_id=common["agent_id"],
        purpose=common["purpose"],
        model=model,
        spool=SpoolSettings(path=str(common["spool"] or "")),
        limits=LimitSettings(factors_core_share=1.0, close_s=60.0),
    )
    agent = _checked(lambda: EdgeAgent(complete(written, _environment())))
    try:
        yield agent
        agent.flush()
        while not agent.publisher.drain(_DRAIN_S):
            waiting = agent.spool.depth()
            if agent.publisher.problem:
                click.echo(f"{waiting.records} records wait: {agent.publisher.problem} (Ctrl-C keeps them)", err=True)
        refused = agent.spool.refused()[-agent.publisher.refused :] if agent.publisher.refused else []
    except KeyboardInterrupt:
        click.echo("Stopped; what was not sent waits in the spool, start again to go on.", err=True)
        sys.exit(130)
    except SpoolError as error:
        raise click.ClickException(str(error)) from error
    finally:
        agent.close()
    left_out = {reason: n for reason, n in agent.counts.items() if reason != "captured"}
    if left_out:
        click.echo(f"left out: {left_out}", err=True)
    if "spool_unwell" in left_out:
        raise click.ClickException(f"the spool {agent.settings.spool_path} took not all: see to its disk, start again")
    if refused:
        raise click.ClickException(
            f"the server never takes {agent.publisher.refused} records, the last because of {refused[-1][1]}; they are "
            f"kept in {agent.settings.spool_path}: when that is mended, send again with another --spool"
        )


def _environment() -> dict[str, str]:
    """All that the commands' settings take from the environment: click has read the rest."""
    names = ("SINCEWHEN_TOKEN", "SINCEWHEN_KAFKA_SERVERS", "SINCEWHEN_KAFKA_PASSWORD")
    return {name: os.environ.get(name, "") for name in names}


def _unsent(path: Path, rows: Rows, agent: EdgeAgent, source: str) -> list[tuple[Row, Progress]]:
    sent = agent.spool.progress(source)
    found: list[tuple[Row, Progress]] = _checked(lambda: unsent(path, rows.rows, sent))
    if sent.position:
        click.echo(
            f"{sent.position} of {len(rows.rows)} rows were sent before and are left out: to send them again, name "
            "another --spool",
            err=True,
        )
    return found


@contextmanager
def _bar(station: str, total: int | None) -> Iterator[Callable[[int], None]]:
    columns = (*Bar.get_default_columns(), TextColumn("{task.completed} frames"))
    with Bar(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(station, total=total)
        yield lambda n: progress.advance(task, n)


def _checked(make: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it makes
    try:
        return make()
    except (SettingsError, SpoolError, SourceError, ModelError, ValueError) as error:
        raise click.UsageError(str(error)) from error


def _report(problems: list[str]) -> None:
    """What was left out, and exit code 1, once everything else is sent."""
    for line in problems[:_SHOWN]:
        click.echo(line, err=True)
    if problems:
        more = f" (the first {_SHOWN} are shown)" if len(problems) > _SHOWN else ""
        raise click.ClickException(f"{len(problems)} rows or images could not be used{more}; everything else was sent")


if __name__ == "__main__":
    main()
