"""Rows of a sensor's or robot's log as frames with signals only."""

from collections.abc import Callable, Sequence

from sincewhen_edge.agent import EdgeAgent
from sincewhen_edge.sources.pace import Pace
from sincewhen_edge.sources.rows import Row, Rows, number, numeric
from sincewhen_edge.spool import Progress
from sincewhen_schemas.frames import CONTEXT_FIELDS


def play(
    agent: EdgeAgent, rows: Rows, unsent: Sequence[tuple[Row, Progress]], pace: Pace, told: Callable[[int], None]
) -> None:
    """Send `unsent`, rows of `rows`.

    A column of numbers is a signal, a context column is context, any other an attribute; what is no number is missing.
    """
    columns = tuple(name for name in rows.columns if name not in CONTEXT_FIELDS and numeric(rows.rows, name))
    for row, progress in unsent:
        pace.wait(row.captured_at_ns)
        agent.observe(
            signals={name: number(row.values.get(name, "")) for name in columns},
            captured_at_ns=row.captured_at_ns,
            attributes={name: value for name, value in row.values.items() if name not in columns},
            progress=progress,
            wait=True,
        )
        told(1)
