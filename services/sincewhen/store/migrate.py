"""Numbered, forward-only DDL. What is applied is remembered with its hash; a changed file is refused.

How long rows are kept is configuration, set anew each time: rows expire by it when their part is merged next.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from sincewhen.plant import Retention
from sincewhen.store.connect import Connection

_APPLIED = """CREATE TABLE IF NOT EXISTS migrations (number UInt32, sha String)
ENGINE = ReplacingMergeTree ORDER BY number SETTINGS fsync_after_insert = 1"""


_TTL = {
    "frames": "toDateTime(received_at) + INTERVAL {units_days} DAY",
    "embeddings": "toDateTime(received_at) + INTERVAL {embeddings_days} DAY DELETE WHERE NOT sampled, "
    "toDateTime(received_at) + INTERVAL {units_days} DAY",
    "subgroups": "toDateTime(first_at) + INTERVAL {units_days} DAY",
    "dead_letters": "toDateTime(received_at) + INTERVAL {dead_letters_days} DAY",
}


class MigrationError(Exception):
    """The store and the files do not belong together."""


def ddl_folder() -> Path:
    """The numbered files, from the checkout or the installed distribution."""
    here = Path(__file__).resolve().parents[1] / "clickhouse"
    return here if here.exists() else Path(__file__).resolve().parents[3] / "schemas" / "clickhouse"


def migrate(connection: Connection, retention: Retention, folder: Path | None = None) -> list[str]:
    """Apply what is missing, in order, and set how long rows are kept; the names of the files applied now."""
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
        lines = (line for line in text.splitlines() if not line.lstrip().startswith("--"))
        for statement in filter(str.strip, "\n".join(lines).split(";")):
            connection.command(statement)
        connection.command(
            "INSERT INTO migrations VALUES ({number:UInt32}, {sha:String})", {"number": number, "sha": sha}
        )
        applied.append(path.name)
    for table, ttl in _TTL.items():
        days = ttl.format(**asdict(retention))
        connection.command(f"ALTER TABLE {table} MODIFY TTL {days} SETTINGS materialize_ttl_after_modify = 0")
    return applied
