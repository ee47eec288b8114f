"""Commands that ask a server over HTTP, never its files."""

import json
import os
from typing import Any

import click
import httpx

_TIMEOUT_S = 120.0
server_option = click.option(
    "--server", envvar="SINCEWHEN_SERVER", default="http://127.0.0.1:8099", show_default=True, help="Where it serves."
)
json_option = click.option("--json", "as_json", is_flag=True, help="The API's answer as it is.")


def ask(server: str, method: str, path: str, **arguments: Any) -> Any:  # noqa: ANN401 - decoded JSON
    """One request. What goes wrong becomes a message that says what to do."""
    token = os.environ.get("SINCEWHEN_TOKEN", "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.request(method, f"{server}{path}", headers=headers, timeout=_TIMEOUT_S, **arguments)
    except httpx.HTTPError as error:
        raise click.ClickException(f"no answer from {server} ({error}): is `sincewhen up` running there?") from error
    if answer.is_error:
        detail = answer.json()["detail"] if "json" in answer.headers.get("content-type", "") else answer.text[:200]
        raise click.ClickException(f"{answer.status_code}: {detail}")
    return answer.json()


@click.command()
@server_option
@json_option
def incidents(server: str, as_json: bool) -> None:  # noqa: FBT001 - click passes flags
    """List incidents, newest first."""
    found = ask(server, "GET", "/api/v1/incidents")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found:
        click.echo("No incident.")
    for item in found:
        click.echo(_line(item))


@click.command()
@click.option("--station", required=True, help="site/area/line/station")
@click.option("--at", help="ISO 8601; default: now.")
@server_option
@json_option
def since(station: str, at: str | None, server: str, as_json: bool) -> None:  # noqa: FBT001 - click passes flags
    """Tell whether this station was out of control, and since when."""
    found = ask(server, "GET", "/api/v1/since", params={"station": station, **({"at": at} if at else {})})
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found["out_of_control"]:
        click.echo(_line(found))
    else:
        click.echo(f"{station}: no incident {'at ' + at if at else 'is open'}")


@click.command()
@click.argument("incident")
@server_option
@json_option
def scope(incident: str, server: str, as_json: bool) -> None:  # noqa: FBT001 - click passes flags
    """Lots, supplier lots, shifts, skus and units that are suspect."""
    found = ask(server, "GET", f"/api/v1/incidents/{incident}/scope")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for kind in ("lots", "supplier_lots", "shifts", "skus"):
        for row in found[kind]:
            click.echo(f"{kind[:-1]:<13} {row['value']:<24} {row['units']:>7} units  {row['first']} .. {row['last']}")
    click.echo(f"{len(found['units'])} units are suspect (--json lists them)")


@click.group()
def profile() -> None:
    """What in-control looks like: build, list, show, activate."""


@profile.command()
@click.option("--station", required=True)
@click.option("--view", default="main", show_default=True)
@click.option("--from", "from_", required=True, help="ISO 8601")
@click.option("--to", required=True, help="ISO 8601")
@server_option
def build(station: str, view: str, from_: str, to: str, server: str) -> None:
    """Learn a profile from a window of production; prints what to look at before activating it."""
    body = {"station": station, "view": view, "from": from_, "to": to}
    click.echo(json.dumps(ask(server, "POST", "/api/v1/profiles", json=body), indent=2))


@profile.command(name="list")
@server_option
def list_(server: str) -> None:
    """All profiles."""
    for item in ask(server, "GET", "/api/v1/profiles"):
        active = "active" if item["active"] else ""
        click.echo(f"{item['sha']}  {item['station_id']}  {item['view']}  {item['frames']} frames  {active}")


@profile.command()
@click.argument("sha")
@server_option
def show(sha: str, server: str) -> None:
    """One profile: frames, lots, streams, warnings, A/A."""
    click.echo(json.dumps(ask(server, "GET", f"/api/v1/profiles/{sha}"), indent=2))


@profile.command()
@click.argument("sha")
@click.option("--reason", required=True)
@server_option
def activate(sha: str, reason: str, server: str) -> None:
    """Watch the station by this profile from now on."""
    done = ask(server, "POST", f"/api/v1/profiles/{sha}/activate", json={"reason": reason})
    click.echo(f"{done['station_id']} {done['view']} is watched by {sha} from now on.")


def _line(item: dict[str, Any]) -> str:
    until = f" until {item['until']}" if item["until"] else ""
    return (
        f"{item['id']}  {item['station_id']}  {item['status']}  since {item['since']} "
        f"[{item['since_low']} .. {item['since_high']}]{until}  {item['shape']}  "
        f"{item['units_suspect']} units  lots: {', '.join(item['lots'])}"
    )
