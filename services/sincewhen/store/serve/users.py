"""Who may ask. `default` has the admin token of the data folder and may do everything; the others only read.

Readers are in users.toml of the data folder, a token's hash each (tokens are 256 random bits: no salt is needed):

    [grafana]
    token_sha256 = "9f86d081884c7d65..."

The file is read again when it changes; who is deleted there is refused from then on.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sincewhen.store.serve.refusal import AUTHENTICATION_FAILED, REQUIRED_PASSWORD, Refused

ADMIN = "default"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class UsersError(Exception):
    """users.toml or a name does not follow the rules."""


class _Reader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token_sha256: str


@dataclass(frozen=True, slots=True)
class User:
    name: str
    reads_only: bool


class Users:
    """Those of one data folder. Raises UsersError where the file can't be read."""

    def __init__(self, folder: Path, admin_token: str) -> None:
        self._path, self._admin = folder / "users.toml", _hashed(admin_token)
        self._stamp: tuple[int, int] | None = None
        self._readers: Mapping[str, _Reader] = {}
        self._reload()

    def admit(self, headers: Mapping[str, str], query: Mapping[str, str]) -> User:
        """The user that a request names and proves to be. Raises Refused."""
        name, token = _credentials(headers, query)
        self._reload()
        known = {ADMIN: self._admin, **{reader: entry.token_sha256 for reader, entry in self._readers.items()}}
        if not token:
            raise Refused(
                REQUIRED_PASSWORD, f"user {name!r} needs a token: {ADMIN!r} the one in DIR/token, others their own"
            )
        given = _hashed(token)
        candidates = [name] if name is not None else list(known)
        for candidate in candidates:
            if hmac.compare_digest(known.get(candidate, _hashed(secrets.token_urlsafe())), given):
                return User(candidate, candidate != ADMIN)
        raise Refused(AUTHENTICATION_FAILED, f"{name}: Authentication failed: no such user, or the token is not theirs")

    def _reload(self) -> None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._readers = None, {}
            return
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._readers, self._stamp = _read(self._path), stamp


def add_reader(folder: Path, name: str) -> str:
    """Make a reader, or give a known one a new token; the token, which is kept nowhere."""
    if not _NAME.fullmatch(name) or name == ADMIN:
        raise UsersError(f"a reader's name has small letters, digits, - and _ and is not {ADMIN!r}; got {name!r}")
    path = folder / "users.toml"
    readers = _read(path) if path.exists() else {}
    token = secrets.token_urlsafe(32)
    readers[name] = _Reader(_hashed(token))
    text = "".join(f'[{key}]\ntoken_sha256 = "{reader.token_sha256}"\n' for key, reader in sorted(readers.items()))
    folder.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".new")
    written.unlink(missing_ok=True)
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    written.replace(path)
    return token


def _read(path: Path) -> dict[str, _Reader]:
    try:
        readers = msgspec.convert(tomllib.loads(path.read_text()), dict[str, _Reader])
    except (OSError, ValueError) as error:
        raise UsersError(
            f'{path} has a [name] and a token_sha256 = "..." each; {error}: mend it or delete it'
        ) from error
    if wrong := [name for name in readers if not _NAME.fullmatch(name) or name == ADMIN]:
        raise UsersError(f"a reader's name has small letters, digits, - and _ and is not {ADMIN!r}; {path} has {wrong}")
    return readers


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


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
