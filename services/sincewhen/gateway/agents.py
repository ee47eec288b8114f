"""Which agent may write which stations.

agents.toml has a table for each:

    [line-pc-4]
    token_sha256 = "9f86d081884c7d65..."
    stations = ["ulm/body/line1/weld-check"]
"""

import re
from collections.abc import Sequence
from pathlib import Path

from sincewhen.access.tokens import Entry, TokenFile, TokensError, hashed, new_token
from sincewhen_schemas.limits import STATION_ID

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_RULE = "an agent's name has small letters, digits, . _ and -"
_FIELDS = 'a token_sha256 = "..." and stations = ["..."]'


class Agent(Entry, frozen=True, forbid_unknown_fields=True):
    stations: tuple[str, ...]


class Agents:
    """Raises TokensError where the file can't be read."""

    def __init__(self, path: Path) -> None:
        self._file = _file(path)
        self._file.entries()

    def admit(self, token: str) -> Agent | None:
        """Whose token it is; None where it is nobody's."""
        found = [agent for agent in self._file.entries().values() if agent.is_of(token)]
        return found[0] if found else None


def add_agent(path: Path, name: str, stations: Sequence[str]) -> str:
    """Make an agent, or give a known one other stations and a new token; the token, which is kept nowhere."""
    if not stations or not all(STATION_ID.fullmatch(station) for station in stations):
        raise TokensError(f"an agent has stations, site/area/line/station each; got {list(stations)}: name its own")
    token = new_token()
    _file(path).keep(name, Agent(hashed(token), tuple(stations)))
    return token


def _file(path: Path) -> TokenFile[Agent]:
    return TokenFile(path, Agent, _NAME, _RULE, _FIELDS)
