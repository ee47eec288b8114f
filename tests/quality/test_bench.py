"""The bench runs from cells to tables, goes on where it was, and measures anew what other code would measure."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import held_out, sources, stations
from benchmarks.cell import Cell, Effort
from benchmarks.subjects import SUBJECTS, cells_of
from sincewhen_schemas.reference import STRENGTHS

REPO = Path(__file__).resolve().parents[2]


def bench(store: Path) -> str:
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--only", "onset", "--only", "lots", "--jobs", "1"]
    done = subprocess.run(
        [*command, "--store", str(store)],
        cwd=REPO,
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
    )
    return done.stdout


def test_a_small_bench_is_measured_once_and_told_in_tables(tmp_path: Path) -> None:
    told = bench(tmp_path)
    assert "3 cells, 0 not measured" in told
    kept = sorted(tmp_path.glob("smoke/*/*.json"))
    assert [path.parent.name for path in kept] == ["lots", "onset", "onset"]
    before = {path: path.stat().st_mtime_ns for path in kept}
    report = (tmp_path / "smoke/README.md").read_text()
    print(report)
    for what in ("step of 3, ar 0", "the whole product, step of 3, ar 0"):
        assert f"| onset, {what}: coverage of the 95 % interval at +50 | 95 % |" in report
    assert (tmp_path / "smoke/coverage.png").stat().st_size > 0
    assert bench(tmp_path) == told
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    cell = json.loads(kept[1].read_text())
    assert cell["seed"] == Cell.of("onset", 0, **cell["params"]).seed
    assert cell["code"] == sources.reached_sha("benchmarks.subjects.onset")


def test_what_a_subject_reaches_is_all_that_it_imports() -> None:
    """Detector and monitor are code under test of a dating subject; the server is not."""
    reached = {path.relative_to(REPO).as_posix() for path in sources.reached("benchmarks.subjects.onset")}
    assert {"services/sincewhen/detect/esr.py", "services/sincewhen/onset/date.py"} <= reached
    assert not any(path.startswith("services/sincewhen/embedded/") for path in reached)


@pytest.mark.parametrize("effort", [Effort.SMOKE, Effort.QUICK])
def test_only_a_full_run_touches_what_is_held_out(effort: Effort, monkeypatch: pytest.MonkeyPatch) -> None:
    """People tune by quick runs."""
    monkeypatch.setattr(stations, "there", lambda: True)
    cells = [cell for subject in SUBJECTS for cell in cells_of(subject, effort)]
    full = [dict(cell.params) for subject in SUBJECTS for cell in cells_of(subject, Effort.FULL)]
    for name, apart in (("product", held_out.PRODUCTS), ("cause", held_out.FAULTS)):
        assert not {dict(cell.params).get(name) for cell in cells} & set(apart)
        assert {params.get(name) for params in full} >= set(apart)


def test_real_faults_have_strengths_that_no_library_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stations, "there", lambda: True)
    cells = [cell for subject in ("names", "images") for cell in cells_of(subject, Effort.FULL)]
    strengths = {cell.get("strength", float) for cell in cells if cell.subject == "story"}
    assert strengths
    assert not strengths & set(STRENGTHS)
