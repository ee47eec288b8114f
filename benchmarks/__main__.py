"""`python -m benchmarks`: measure what is not measured yet, then write the tables. See README.md."""

import os
import sys
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before numpy starts its threads
REPO = Path(__file__).resolve().parents[1]
_OURS = [str(REPO), str(REPO / "tests")]
sys.path[:0] = [path for path in _OURS if path not in sys.path]
_GIVEN = os.environ.get("PYTHONPATH")
os.environ["PYTHONPATH"] = os.pathsep.join(
    [*_OURS, *([_GIVEN] if _GIVEN else [])]
)  # of the processes that share the work

import click  # noqa: E402 - threads and paths are set before
from rich.console import Console  # noqa: E402 - as above
from rich.progress import MofNCompleteColumn, Progress  # noqa: E402 - as above

from benchmarks import baseline  # noqa: E402 - threads and paths are set before
from benchmarks.cell import Cell, Effort  # noqa: E402 - as above
from benchmarks.report import write_report  # noqa: E402 - as above
from benchmarks.subjects import ALONE, ASKED_FOR, MODULES, SUBJECTS, cells_of  # noqa: E402 - as above
from benchmarks.work import Found, Missing, Store, finish  # noqa: E402 - as above


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(SUBJECTS)), help="A subject; may be given several times.")
@click.option("--quick", "effort", flag_value="quick", help="Small counts: a few minutes, wide spreads.")
@click.option("--smoke", "effort", flag_value="smoke", help="The least that runs: no figure means anything.")
@click.option("--share", default="1/1", metavar="I/N", help="Measure the I-th of N parts of the cells.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Processes.")
@click.option("--write-baseline", is_flag=True, help="Only measure the figures of tests/quality/baseline.json anew.")
@click.option("--alibi", is_flag=True, help="Also alibi-detect's online MMD, in an environment of its own.")
@click.option("--store", type=click.Path(path_type=Path), default=REPO / "build/bench", help="Where cells are kept.")
@click.option("--out", type=click.Path(path_type=Path), help="Where tables go; of a full run benchmarks/results.")
def main(
    only: tuple[str, ...],
    effort: str | None,
    share: str,
    jobs: int,
    *,
    write_baseline: bool,
    alibi: bool,
    store: Path,
    out: Path | None,
) -> None:
    """Measure the product; finished cells are kept, so that a stopped run goes on."""
    if write_baseline:
        _write_baseline()
        return
    how_much = Effort[(effort or "full").upper()]
    cells = _cells((*(only or SUBJECTS), *(ASKED_FOR if alibi else ())), how_much)
    part, parts = (int(number) for number in share.split("/"))
    kept = Store(store / how_much.name.lower(), MODULES)
    _measure(cells[part - 1 :: parts], kept, jobs)
    out = out or (REPO / "benchmarks/results" if how_much is Effort.FULL else store / how_much.name.lower())
    every = _cells((*SUBJECTS, *ASKED_FOR), how_much)
    found = [known for cell in every if (known := kept.get(cell)) is not None]
    missing = sum(kept.get(cell) is None for cell in (cells if only else _cells(tuple(SUBJECTS), how_much)))
    write_report(found, missing, how_much, out)
    click.echo(f"{out / 'README.md'}: {len(found)} cells, {missing} not measured; {how_much.name.lower()}")


def _write_baseline() -> None:
    found = baseline.measured()
    change = baseline.compare(baseline.committed(), found)
    for line in (*change.worse, *change.better):
        click.echo(line)
    baseline.write(found)
    click.echo(f"{baseline.PATH}: {len(found)} figures, {len(change.worse)} worse, {len(change.better)} better.")


def _cells(names: tuple[str, ...], effort: Effort) -> list[Cell]:
    """Each once, though several subjects want it."""
    return list(dict.fromkeys(cell for name in names for cell in cells_of(name, effort)))


def _measure(cells: list[Cell], kept: Store, jobs: int) -> None:
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("bench", total=len(cells))
            progress.advance(task, sum(kept.get(cell) is not None for cell in cells))

            def told(found: Found | Missing) -> None:
                progress.update(task, advance=1, description=found.cell.subject)
                if isinstance(found, Missing):
                    progress.console.print(f"{found.cell} is left out: {found.reason}")

            finish(cells, kept, jobs, ALONE, told)
    except KeyboardInterrupt:
        click.echo("Stopped; what was done is kept, start again to go on.", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
