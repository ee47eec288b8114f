"""A private TOML file of names, each with a token's hash: tokens are 256 random bits, so no salt is needed.

The file is read again when it changes; who is deleted there is refused from then on. A token itself is kept nowhere.
"""

import hashlib
import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import msgspec


class TokensError(Exception):
    """The file or a name does not follow the rules."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token_sha256: str

    def is_of(self, token: str) -> bool:
        """In a time that does not tell how much of it is right."""
        return hmac.compare_digest(self.token_sha256, hashed(token))


E = TypeVar("E", bound=Entry)


@dataclass(slots=True)
class TokenFile(Generic[E]):
    """name: what names are like, and rule: in words. fields: what an entry has, in words. Raises TokensError."""

    path: Path
    kind: type[E]
    name: re.Pattern[str]
    rule: str
    fields: str
    _stamp: tuple[int, int, int] | None = None
    _entries: Mapping[str, E] = field(default_factory=dict)

    def entries(self) -> Mapping[str, E]:
        """By name, as the file says now; none where there is none."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._stamp, self._entries = None, {}
            return self._entries
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)  # the last: a clock may not have ticked since
        if stamp != self._stamp:
            self._entries, self._stamp = self._read(), stamp
        return self._entries

    def keep(self, name: str, entry: E) -> None:
        """Under that name, in place of what it had."""
        self._check([name])
        entries = {**self.entries(), name: entry}
        text = "".join(f'["{key}"]\n{_lines(entries[key])}' for key in sorted(entries))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        written = self.path.with_suffix(".new")
        written.unlink(missing_ok=True)
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        written.replace(self.path)

    def _read(self) -> dict[str, E]:
        try:
            entries = msgspec.convert(tomllib.loads(self.path.read_text(encoding="utf-8")), dict[str, self.kind])  # type: ignore[name-defined]  # read by msgspec
        except (OSError, ValueError) as error:
            raise TokensError(f"{self.path} has a [name] and {self.fields} each; {error}: mend that entry") from error
        self._check(entries)
        return entries

    def _check(self, names: Iterable[str]) -> None:
        if wrong := [name for name in names if not self.name.fullmatch(name)]:
            raise TokensError(f"{self.rule}; got {', '.join(map(repr, wrong))} for {self.path}")


def new_token() -> str:
    return secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _lines(entry: Entry) -> str:
    """JSON of text and of lists of it is TOML."""
    told = msgspec.to_builtins(entry)
    return "".join(f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in told.items())
