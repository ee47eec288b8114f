"""Who may ask. `default` has the admin token of the data folder and may do everything; the others only read.

Readers are in users.toml of the data folder:

    [grafana]
    token_sha256 = "9f86d081884c7d65..."
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sincewhen.access.tokens import Entry, TokenFile, hashed, new_token
from sincewhen.store.serve.refusal import AUTHENTICATION_FAILED, REQUIRED_PASSWORD, Refused

ADMIN = "default"
_NAME = re.compile(rf"(?!{ADMIN}$)[a-z][a-z0-9_-]{{0,63}}")
_RULE = f"a reader's name has small letters, digits, - and _ and is not {ADMIN!r}"


@dataclass(frozen=True, slots=True)
class User:
    name: str
    reads_only: bool


class Users:
    """Those of one data folder. Raises TokensError where the file can't be read."""

    def __init__(self, folder: Path, admin_token: str) -> None:
        self._file, self._admin = _file(folder), Entry(hashed(admin_token))
        self._file.entries()

    def admit(self, headers: Mapping[str, str], query: Mapping[str, str]) -> User:
        """The user that a request names and proves to be. Raises Refused."""
        name, token = _credentials(headers, query)
        known = {ADMIN: self._admin, **self._file.entries()}
        if not token:
            raise Refused(
                REQUIRED_PASSWORD, f"user {name!r} needs a token: {ADMIN!r} the one in DIR/token, others their own"
            )
        candidates = [name] if name is not None else list(known)
        for candidate in candidates:
            if known.get(candidate, Entry(hashed(new_token()))).is_of(token):
                return User(candidate, candidate != ADMIN)
        raise Refused(AUTHENTICATION_FAILED, f"{name}: Authentication failed: no such user, or the token is not theirs")


def add_reader(folder: Path, name: str) -> str:
    """Make a reader, or give a known one a new token; the token, which is kept nowhere."""
    token = new_token()
    _file(folder).keep(name, Entry(hashed(token)))
    return token


def _file(folder: Path) -> TokenFile[Entry]:
    return TokenFile(folder / "users.toml", Entry, _NAME, _RULE, 'a token_sha256 = "..."')


def _credentials(headers: Mapping[str, str], query: Mapping[str, str]) -> tuple[str | None, str]:
    """Name (None: whose token it is) and token, from where ClickHouse takes them."""
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return headers.get("x-clickhouse-user", ADMIN), headers.get("x-clickhouse-key", "")
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return None, given.strip()
    if scheme.lower() == "basic":
        try:
            name, _, token = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Refused(AUTHENTICATION_FAILED, "Authorization: Basic is base64 of name:token") from error
        return name or ADMIN, token
    return query.get("user", ADMIN), query.get("password", "")
