"""Rows of a sensor's or robot's log as frames with signals only."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from sincewhen_edge.agent import EdgeAgent
from sincewhen_edge.sources.pace import Pace
from sincewhen_edge.sources.rows import Rows, number, numeric
from sincewhen_schemas.frames import CONTEXT_FIELDS


def signals_source(path: Path, view: str, rows: Rows) -> str:
    """The name under which a log's progress is kept."""
    first = repr(rows.rows[0]) if rows.rows else ""
    return "signals:" + hashlib.sha256(f"{path.resolve()}\0{view}\0{first}".encode()).hexdigest()[:32]


def play(agent: EdgeAgent, rows: Rows, source: str, pace: Pace, told: Callable[[int], None]) -> tuple[str, ...]:
    """Send the rows behind the stored progress; returns the columns that are signals.

    A column of numbers is a signal, a context column is context, any other an attribute; what is no number is missing.
    """
    columns = tuple(name for name in rows.columns if name not in CONTEXT_FIELDS and numeric(rows.rows, name))
    done = agent.spool.progress(source)
    told(done)
    for position, row in enumerate(rows.rows[done:], start=done + 1):
        pace.wait(row.captured_at_ns)
        agent.observe(
            signals={name: number(row.values.get(name, "")) for name in columns},
            captured_at_ns=row.captured_at_ns,
            attributes={name: value for name, value in row.values.items() if name not in columns},
            progress=(source, position),
            wait=True,
        )
        told(1)
    return columns
