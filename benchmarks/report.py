"""The report: README.md with the design's table and everything that was measured, and its plots."""

import platform
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from benchmarks import held_out
from benchmarks.book import NO, NONE, UNSURE, YES, Book, Row
from benchmarks.cell import Effort
from benchmarks.plots import draw
from benchmarks.sources import reached_sha
from benchmarks.subjects import MODULES
from benchmarks.subjects.story import STRENGTHS
from benchmarks.tables import detection, distributed, plant, telling
from benchmarks.work import Found

TABLES = (detection, telling, plant, distributed)
HEAD = ("quantity", "line / peer", "ours", "ratio", "90 %", "runs", "target", "met")
_SAID = {
    Effort.FULL: "A full run.",
    Effort.QUICK: "A **quick** run: small counts, wide spreads, a quarter of the golden frames for real pictures.",
    Effort.SMOKE: "A **smoke** run: no figure means anything.",
}


def write_report(found: Sequence[Found], missing: int, effort: Effort, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    book = Book(tuple(found))
    rows = [row for tables in TABLES for row in tables.rows(book) if row.ours != "-"]
    plots = draw(book, out)
    (out / "README.md").write_text("\n".join(_text(book, rows, plots, missing, effort)) + "\n")


def _text(book: Book, rows: list[Row], plots: list[str], missing: int, effort: Effort) -> list[str]:
    counts = {met: sum(row.met == met for row in rows) for met in (YES, UNSURE, NO, NONE)}
    head = (
        f"Written by `make bench`. {_SAID[effort]} {len(book.found)} cells, {missing} not measured. Every row is from "
        "one configuration, the product's defaults; thresholds at a *realised* ARL are searched for every method on "
        "the same frames in control. Lines know what no plant knows."
    )
    met = (
        f"Targets met: {counts[YES]}; missed, but within the spread: {counts[UNSURE]}; not met: {counts[NO]}; reported "
        f"without a target: {counts[NONE]}. Intervals are 90 %: bootstrap over profiles, Clopper-Pearson of shares, "
        "Poisson of counts. A median of whole frames may have an interval of one value."
    )
    apart = (
        f"Held out from any tuning: products {', '.join(held_out.PRODUCTS)}, faults {', '.join(held_out.FAULTS)}. Like "
        "every fault these two are in each station's library, but for the rows that say off the library. Real faults "
        f"have strengths between the library's whole ones: {', '.join(f'{strength:g}' for strength in STRENGTHS)}."
    )
    body = _table([list(HEAD), *([str(value) for value in astuple(row)] for row in rows)])
    lines = ["# Measured", "", head, "", met, "", apart, "", *body]
    for name in plots:
        lines += ["", f"![{name}]({name}.png)"]
    for tables in TABLES:
        for title, table in tables.details(book):
            lines += ["", f"## {title}", "", *_table(table)]
    return [*lines, "", "## Cells", "", *_cells(book), "", f"Python {platform.python_version()}, {platform.machine()}."]


def _cells(book: Book) -> list[str]:
    table = [["subject", "cells", "minutes of one core", "code under test", "seeds"]]
    for subject in dict.fromkeys(item.cell.subject for item in book.found):
        own = book.of(subject)
        seeds = sorted({item.cell.seed for item in own})
        told = ", ".join(map(str, seeds[:3])) + (f", ... {seeds[-1]}" if len(seeds) > 3 else "")  # noqa: PLR2004 - as many as fit
        minutes = sum(item.seconds for item in own) / 60
        table.append([subject, str(len(own)), f"{minutes:.1f}", reached_sha(MODULES[subject]), told])
    rule = "A cell's seed is four bytes of the SHA-256 of subject, parameters and repetition; build/bench has them all."
    return [rule, "", *_table(table)]


def _table(rows: list[list[str]]) -> list[str]:
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]
