"""Which agent may write which stations.

agents.toml has a token's hash each (256 random bits: no salt is needed):

    [line-pc-4]
    token_sha256 = "9f86d081884c7d65..."
    stations = ["ulm/body/line1/weld-check"]

The file is read again when it changes; who is deleted there is refused from then on.
"""

import hashlib
import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from sincewhen_schemas.limits import STATION_ID

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


class AgentsError(Exception):
    """agents.toml, a name or a station does not follow the rules."""


class Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token_sha256: str
    stations: tuple[str, ...]


class Agents:
    """Raises AgentsError where the file can't be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._agents: Mapping[str, Agent] = {}
        self._reload()

    def admit(self, token: str) -> Agent | None:
        """Whose token it is; None where it is nobody's."""
        self._reload()
        given = _hashed(token)
        found = [agent for agent in self._agents.values() if hmac.compare_digest(agent.token_sha256, given)]
        return found[0] if found else None

    def _reload(self) -> None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._agents = None, {}
            return
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._agents, self._stamp = _read(self._path), stamp


def add_agent(path: Path, name: str, stations: Sequence[str]) -> str:
    """Make an agent, or give a known one other stations and a new token; the token, which is kept nowhere."""
    if not _NAME.fullmatch(name):
        raise AgentsError(f"an agent's name has small letters, digits, . _ and -; got {name!r}")
    if not stations or not all(STATION_ID.fullmatch(station) for station in stations):
        raise AgentsError(f"an agent has stations, site/area/line/station each; got {list(stations)}: name its own")
    token = secrets.token_urlsafe(32)
    agents = {**(_read(path) if path.exists() else {}), name: Agent(_hashed(token), tuple(stations))}
    text = "".join(
        f'["{key}"]\ntoken_sha256 = "{agent.token_sha256}"\nstations = {msgspec.json.encode(agent.stations).decode()}\n'
        for key, agent in sorted(agents.items())
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".new")
    written.unlink(missing_ok=True)
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    written.replace(path)
    return token


def _read(path: Path) -> dict[str, Agent]:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), dict[str, Agent])
    except (OSError, ValueError) as error:
        raise AgentsError(
            f'{path} has a [name], a token_sha256 = "..." and stations = ["..."] each; {error}: mend that entry'
        ) from error


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
