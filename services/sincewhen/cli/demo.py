"""`sincewhen demo`: the two acceptance stories through the whole product, on this machine."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Console
from rich.progress import Progress

from sincewhen.cli.places import MADE, OUTPUT, can_be_written, written
from sincewhen.cli.query import looks_like
from sincewhen.demo.play import Demo, DemoError
from sincewhen.stack.broker import Broker, BrokerUnavailable, Ports
from sincewhen.stack.ports import free_port
from sincewhen.stack.stack import Stack, StackUnavailable

_START_S = 60.0
_PORT = 8099


def _made(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """A callback of an option: as `can_be_written`, in a folder that is made."""
    if path is not None:
        with suppress(OSError):  # told by the other
            path.absolute().parent.mkdir(parents=True, exist_ok=True)
    return can_be_written(context, parameter, path)


@click.command()
@click.option("--headless", is_flag=True, help="End when both stories are told; exit code 0 only if both were found.")
@click.option("--json", "report", type=MADE, callback=_made, help="Where to write the result, - for standard output.")
@click.option("--seed", type=click.IntRange(0), help="Of everything random; default: a new one each time.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("build/demo"), show_default=True
)
@click.option("--distributed", is_flag=True, help="Through Kafka and a process for each part; needs Java 17.")
def demo(*, headless: bool, report: Path | None, seed: int | None, folder: Path, distributed: bool) -> None:
    """Two stations, real surfaces, a supplier lot and lens haze: what changed, since when."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: the server does not outlive it
    console.print(f"SinceWhen demonstration, seed {seed}. Everything it makes is in {folder}.")
    served = _stack if distributed else _server
    with served(folder, _port(headless)) as (url, token):
        try:
            result = _play(folder, url, token, seed, console)
        except DemoError as error:
            raise click.ClickException(f"seed {seed}: {error}") from error
        quiet = report == OUTPUT
        _tell(result, quiet=quiet)
        if report is not None:
            written(report, json.dumps(result, indent=2) + "\n")
        if not headless:
            click.echo(f"\nLook at it: {url}   (Ctrl-C ends the demonstration)", err=quiet)
            _until_interrupted()
    sys.exit(0 if result["ok"] else 1)


def _play(folder: Path, url: str, token: str, seed: int, console: Console) -> dict[str, Any]:
    with Progress(console=console) as progress:
        tasks: dict[str, Any] = {}

        def told(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=of)
            progress.update(tasks[what], completed=done)

        result = Demo(folder, url, seed, told).run(token)
        for task in tasks.values():
            progress.update(task, completed=progress.tasks[task].total)
    return result


@contextmanager
def _stack(folder: Path, port: int) -> Iterator[tuple[str, str]]:
    """The distributed product, ended at the end: the console's address and token."""
    broker = Broker(folder.absolute() / "broker", Ports(free_port(), free_port()))
    try:
        with Stack(folder.absolute(), broker, console_port=port) as stack:
            yield stack.url, stack.token
    except (BrokerUnavailable, StackUnavailable) as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _server(folder: Path, port: int) -> Iterator[tuple[str, str]]:
    """A server of its own, ended at the end: its address and token."""
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "sincewhen.cli", "up", "--data", str(folder / "data"), "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603 - our own command
    try:
        _wait(url, process, folder / "server.log")
        yield url, (folder / "data" / "token").read_text().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(int(_START_S / 0.2)):
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise click.ClickException(f"the server did not start: see {log}")


def _port(headless: bool) -> int:  # noqa: FBT001 - the command's flag
    """The usual port where it is free and somebody is to look at it; else any free one."""
    with suppress(OSError), socket.socket() as probe:
        if not headless:
            probe.bind(("127.0.0.1", _PORT))
            return _PORT
    return free_port()


def _tell(result: dict[str, Any], *, quiet: bool) -> None:
    """On standard error where standard output is a file's."""
    lines: list[str] = []
    for story in result["stories"]:
        lines.append(f"\n{story['name']}: began {story['true_since']}")
        if not story["found"]:
            lines.append("  not found")
            continue
        covers = "holds" if story["covered"] else "does not hold"
        lines += [
            f"  found   since {story['since']}, {story['shape']}, {story['delay_frames']} frames after it began",
            f"  between {story['since_low']} and {story['since_high']} (95 %; it {covers} the true start)",
            f"  cause   {looks_like(story['cause'])}",
            f"  lots    {', '.join(story['lots'])}",
        ]
    verdict = "as it must be" if result["ok"] else "NOT as it must be"
    lines.append(f"\nfalse incidents: {result['false_incidents']}; {result['elapsed_s']:.0f} s; {verdict}")
    click.echo("\n".join(lines), err=quiet)


def _until_interrupted() -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        click.echo("")
