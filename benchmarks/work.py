"""Cells that are not measured yet are measured, in parallel; each finished one is a file, so that a run goes on.

Format: FOLDER/SUBJECT/KEY.json with `params`, `repetition`, `seed`, `code` (the sha of what the subject reaches),
`seconds` and `figures`. KEY is a hash of subject, parameters, seed and code: other code measures anew.
"""

import hashlib
import importlib
import json
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cell import Cell, Figures
from benchmarks.outside import PeerMissingError
from benchmarks.sources import reached_sha


@dataclass(frozen=True, slots=True)
class Found:
    """What a cell gave."""

    cell: Cell
    figures: Figures
    seconds: float


@dataclass(frozen=True, slots=True)
class Missing:
    """A cell that can't be measured here, and why."""

    cell: Cell
    reason: str


@dataclass(frozen=True, slots=True)
class Store:
    """Finished cells on disk; `modules` names the module that measures a subject."""

    folder: Path
    modules: dict[str, str]

    def get(self, cell: Cell) -> Found | None:
        path = self._path(cell)
        if not path.exists():
            return None
        kept = json.loads(path.read_text())
        return Found(cell, kept["figures"], kept["seconds"])

    def put(self, found: Found) -> None:
        cell, path = found.cell, self._path(found.cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {
            "params": dict(cell.params), "repetition": cell.repetition, "seed": cell.seed,
            "code": reached_sha(self.modules[cell.subject]), "seconds": found.seconds, "figures": found.figures,
        }  # fmt: skip
        path.with_suffix(".part").write_text(json.dumps(kept))
        path.with_suffix(".part").rename(path)

    def _path(self, cell: Cell) -> Path:
        code = reached_sha(self.modules[cell.subject])
        key = hashlib.sha256(json.dumps([cell.subject, cell.params, cell.seed, code]).encode()).hexdigest()[:16]
        return self.folder / cell.subject / f"{key}.json"


def finish(
    cells: Iterable[Cell], store: Store, jobs: int, alone: set[str], told: Callable[[Found | Missing], None]
) -> None:
    """Measure what the store lacks. Subjects of `alone` measure time: they come last and have the machine."""
    todo = [cell for cell in cells if store.get(cell) is None]
    together = [cell for cell in todo if cell.subject not in alone]
    one_by_one = [cell for cell in todo if cell.subject in alone]
    for some, processes in ((together, jobs), (one_by_one, 1)):
        for found in _measured(some, store, processes):
            if isinstance(found, Found):
                store.put(found)
            told(found)


def _measured(cells: list[Cell], store: Store, jobs: int) -> Iterator[Found | Missing]:
    work = [(cell, store.modules[cell.subject]) for cell in cells]
    if jobs == 1 or len(work) < 2:  # noqa: PLR2004 - one needs no pool
        yield from (_measure(cell, module) for cell, module in work)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting = [pool.submit(_measure, cell, module) for cell, module in work]
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _measure(cell: Cell, module: str) -> Found | Missing:
    began = time.perf_counter()
    try:
        figures: Figures = importlib.import_module(module).measure(cell)
    except PeerMissingError as error:
        return Missing(cell, str(error))
    return Found(cell, figures, time.perf_counter() - began)
