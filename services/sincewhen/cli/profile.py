"""`sincewhen profile`: what in-control looks like, asked of a server over HTTP."""

import getpass
import json
from pathlib import Path

import click

from sincewhen.cli.places import MADE, OUTPUT, can_hold_bytes, written
from sincewhen.cli.query import ask, request, server_option


def _user() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError) as error:
        raise click.UsageError("--by says who decided it; this command's user has no name: give one") from error


@click.group()
def profile() -> None:
    """What in-control looks like: build, list, show, activate, export."""


@profile.command()
@click.option("--station", required=True)
@click.option("--view", default="main", show_default=True)
@click.option("--from", "from_", required=True, help="ISO 8601")
@click.option("--to", required=True, help="ISO 8601")
@click.option(
    "--reference",
    metavar="SHA|newest|none",
    default="newest",
    show_default=True,
    help="The reference set whose causes it names; newest: of this view and model version.",
)
@server_option
def build(station: str, view: str, from_: str, to: str, reference: str, server: str) -> None:
    """Learn a profile from a window of production; prints what to look at before activating it."""
    body = {"station": station, "view": view, "from": from_, "to": to, "reference": reference}
    click.echo(json.dumps(ask(server, "POST", "profiles", json=body), indent=2))


@profile.command(name="list")
@server_option
def list_(server: str) -> None:
    """All profiles."""
    for item in ask(server, "GET", "profiles"):
        active = "active" if item["active"] else ""
        click.echo(f"{item['sha']}  {item['station_id']}  {item['view']}  {item['frames']} frames  {active}")
        for said in item["activations"]:
            click.echo(
                f"  activated {said['at']} by {said['by'] or 'nobody named'}: {said['why'] or 'no reason given'}"
            )


@profile.command()
@click.argument("sha")
@server_option
def show(sha: str, server: str) -> None:
    """One profile: frames, lots, streams, warnings, A/A."""
    click.echo(json.dumps(ask(server, "GET", "profiles", sha), indent=2))


@profile.command()
@click.argument("sha")
@click.option("--why", required=True, help="Kept with the profile and shown on the station's page.")
@click.option("--by", default=_user, show_default="the user of this command", help="Who decided it.")
@server_option
def activate(sha: str, why: str, by: str, server: str) -> None:
    """Watch the station by this profile from now on; what is open there ends by it."""
    done = ask(server, "POST", "profiles", sha, "activate", json={"reason": why, "by": by})
    click.echo(f"{done['station_id']} {done['view']} is watched by {sha} from now on.")


@profile.command()
@click.argument("sha")
@click.option(
    "--out", type=MADE, callback=can_hold_bytes, required=True, help="Where to write it, - for standard output."
)
@server_option
def export(sha: str, out: Path, server: str) -> None:
    """Write a profile to a file, for `sincewhen backtest --profile`."""
    body = request(server, "GET", "profiles", sha, "body").content
    written(out, body)
    click.echo(f"{sha}: {len(body)} bytes to {out}", err=out == OUTPUT)
