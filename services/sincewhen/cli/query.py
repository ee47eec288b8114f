"""Commands that ask a server over HTTP, never its files."""

import json
import os
import shlex
from typing import Any
from urllib.parse import quote

import click
import httpx

DEFAULT_SERVER = "http://127.0.0.1:8099"
_TIMEOUT_S = 120.0
server_option = click.option(
    "--server", envvar="SINCEWHEN_SERVER", default=DEFAULT_SERVER, show_default=True, help="Where it serves."
)
json_option = click.option("--json", "as_json", is_flag=True, help="The API's answer as it is.")


def ask(server: str, method: str, *path: str, **arguments: Any) -> Any:  # noqa: ANN401 - decoded JSON
    """One question to /api/v1. What goes wrong becomes a message that says what to do."""
    answer = request(server, method, *path, **arguments)
    try:
        return answer.json()
    except ValueError as error:
        raise click.ClickException(f"{server} answered with something else than JSON: is it a SinceWhen?") from error


def request(server: str, method: str, *path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
    """The answer, which is no error. path: its parts behind /api/v1, of any characters."""
    token = os.environ.get("SINCEWHEN_TOKEN", "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = "/".join([server.rstrip("/"), "api/v1", *(quote(part, safe="") for part in path)])
    try:
        answer = httpx.request(method, url, headers=headers, timeout=_TIMEOUT_S, **arguments)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise click.ClickException(f"no answer from {server} ({error}): is `sincewhen up` running there?") from error
    if answer.is_error:
        detail = answer.json()["detail"] if "json" in answer.headers.get("content-type", "") else answer.text[:200]
        raise click.ClickException(f"{answer.status_code}: {detail}")
    return answer


@click.command()
@server_option
@json_option
def incidents(server: str, as_json: bool) -> None:  # noqa: FBT001 - click passes flags
    """List incidents, newest first."""
    found = ask(server, "GET", "incidents")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found:
        click.echo("No incident.")
    for item in found:
        click.echo(_line(item))


@click.command()
@click.option("--station", required=True, help="site/area/line/station, or site/area/line, or site.")
@click.option("--at", help="ISO 8601; default: now.")
@server_option
@json_option
def since(station: str, at: str | None, server: str, as_json: bool) -> None:  # noqa: FBT001 - click passes flags
    """Tell whether this station, line or plant was out of control, and since when."""
    found = ask(server, "GET", "since", params={"station": station, **({"at": at} if at else {})})
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found["out_of_control"]:
        click.echo(_line(found))
        if found["new_level"]:
            click.echo("Stable since a recorded change: a new reference is proposed, see `sincewhen stations`.")
        if found["contradicted"]:
            click.echo("It was there before the newest recorded cleaning or replacement, which did not end it.")
        if found["looks_like"]:
            like = found["looks_like"]
            at = "" if like["station_id"] == found["station_id"] else f" at {like['station_id']}"
            click.echo(f"Looks like incident {like['id']}{at} of {like['since'][:10]}.")
        click.echo(found["layers_said"] or "No layer of a model is watched.")
    else:
        click.echo(f"{station}: no incident {'at ' + at if at else 'is open'}")


@click.command()
@click.argument("incident")
@server_option
@json_option
def scope(incident: str, server: str, as_json: bool) -> None:  # noqa: FBT001 - click passes flags
    """Lots, supplier lots, shifts, skus and units that are suspect."""
    found = ask(server, "GET", "incidents", incident, "scope")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"stations      {', '.join(found['stations'])}")
    for kind in ("lots", "supplier_lots", "shifts", "skus"):
        for row in found[kind]:
            click.echo(f"{kind[:-1]:<13} {row['value']:<24} {row['units']:>7} units  {row['first']} .. {row['last']}")
    click.echo(f"{len(found['units'])} units are suspect (--json lists them)")
    click.echo(found["layers_said"] or "No layer of a model is watched.")


@click.command()
@server_option
@json_option
def stations(server: str, as_json: bool) -> None:  # noqa: FBT001 - click passes flags
    """Every view of every station: its state, and what is missing, or what learning may begin with."""
    found = ask(server, "GET", "stations")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found:
        click.echo("NO DATA: no agent has sent a frame yet.")
    for item in found:
        silent = " NO DATA" if item["silent"] else ""
        click.echo(
            f"{item['station_id']}  {item['view']}  {item['state']}{silent}  since {item['since'] or 'never'}  "
            f"{item['frames']} frames, the last {item['last_captured_at'] or 'never'}"
        )
        if item["missing"]:
            click.echo(f"  missing: {', '.join(item['missing'])}")
        if item["proposal"]:
            click.echo(f"  a profile can be built: {_build_command(item, server)}")


def looks_like(cause: str) -> str:
    """A cause as it is said."""
    return "unknown" if cause == "unknown" else f"looks like {cause.replace('_', ' ')}"


def _build_command(item: dict[str, Any], server: str) -> str:
    window = item["proposal"]
    command = ["sincewhen", "profile", "build", "--station", item["station_id"], "--view", item["view"]]
    command += ["--from", window["from"], "--to", window["to"]]
    return shlex.join(command if server == DEFAULT_SERVER else [*command, "--server", server])


def _line(item: dict[str, Any]) -> str:
    until = f" until {item['until']}" if item["until"] else ""
    if item["closed"]:
        until += f" {item['closed']['said']}"
    many = f"  {len(item['stations'])} stations" if len(item["stations"]) > 1 else ""
    return (
        f"{item['id']}  {item['station_id']}{many}  {item['status']}  since {item['since']} "
        f"[{item['since_low']} .. {item['since_high']}]{until}  {item['shape']}  "
        f"cause: {looks_like(item['cause'])}  {item['units_suspect']} units  lots: {', '.join(item['lots'])}"
    )
