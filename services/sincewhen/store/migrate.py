"""Numbered, forward-only DDL. What is applied is remembered with its hash; a changed file is refused."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from sincewhen.store.connect import Connection

_APPLIED = """CREATE TABLE IF NOT EXISTS migrations (number UInt32, sha String)
ENGINE = ReplacingMergeTree ORDER BY number SETTINGS fsync_after_insert = 1"""


RETENTION_DAYS_MAX = 10_000  # beyond 2106 the engine's DateTime wraps around and rows expire at once


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that rows are kept, from their receipt. Incidents never expire."""

    units_days: int = 400
    embeddings_days: int = 14
    dead_letters_days: int = 90

    def __post_init__(self) -> None:
        for name, days in asdict(self).items():
            if not 1 <= days <= RETENTION_DAYS_MAX:
                raise ValueError(f"{name} is 1..{RETENTION_DAYS_MAX}; got {days}")


class MigrationError(Exception):
    """The store and the files do not belong together."""


def ddl_folder() -> Path:
    """The numbered files, from the checkout or the installed distribution."""
    here = Path(__file__).resolve().parents[1] / "clickhouse"
    return here if here.exists() else Path(__file__).resolve().parents[3] / "schemas" / "clickhouse"


def migrate(connection: Connection, retention: Retention, folder: Path | None = None) -> list[str]:
    """Apply what is missing, in order; the names of the files applied now."""
    connection.command(_APPLIED)
    known: Mapping[int, str] = {
        row["number"]: row["sha"] for row in connection.rows("SELECT number, sha FROM migrations FINAL")
    }
    applied = []
    for path in sorted((folder or ddl_folder()).glob("*.sql")):
        number = int(path.name.split("_")[0])
        text = path.read_text()
        sha = hashlib.sha256(text.encode()).hexdigest()
        if number in known:
            if known[number] != sha:
                raise MigrationError(
                    f"{path.name} was applied with other content: DDL is forward-only, add a new number instead"
                )
            continue
        for name, days in asdict(retention).items():
            text = text.replace(f"{{{name}}}", str(days))
        lines = (line for line in text.splitlines() if not line.lstrip().startswith("--"))
        for statement in filter(str.strip, "\n".join(lines).split(";")):
            connection.command(statement)
        connection.command(
            "INSERT INTO migrations VALUES ({number:UInt32}, {sha:String})", {"number": number, "sha": sha}
        )
        applied.append(path.name)
    return applied
