"""The core's figures are those of the committed baseline, or better; a lost one is named, with by how much."""

import json
from pathlib import Path

import pytest

from benchmarks import baseline
from benchmarks.baseline import Figure, compare

KNOWN = {"delay, frames": 20.0, "covered, share": 0.95}


def figures(delay: float, covered: float) -> dict[str, Figure]:
    return {"delay, frames": Figure(delay, "lower", 0.5), "covered, share": Figure(covered, "higher", 0.1)}


def test_no_figure_is_worse_than_the_committed_one(capsys: pytest.CaptureFixture[str]) -> None:
    """What is better is told: a new baseline keeps it."""
    change = compare(baseline.committed(), baseline.measured())
    with capsys.disabled():
        for line in change.better:
            print(f"\nbetter than the baseline: {line}: `make bench BENCH=--write-baseline` keeps it")
    assert not change.worse, "\n".join([*change.worse, baseline.WAY_OUT])


def test_worse_and_better_are_told_with_their_size_in_the_figure_s_own_direction() -> None:
    assert compare(KNOWN, figures(20.5, 0.86)) == baseline.Change((), ())
    lost = compare(KNOWN, figures(22, 0.8))
    assert lost.worse == (
        "delay, frames: 22, the baseline has 20; worse by 2, of which 0.5 may be rounding",
        "covered, share: 0.8, the baseline has 0.95; worse by 0.15, of which 0.1 may be rounding",
    )
    assert lost.better == ()
    won = compare(KNOWN, figures(18, 1.06))
    assert won.worse == ()
    assert [line.rpartition("; ")[2] for line in won.better] == ["better by 2", "better by 0.11"]


def test_a_figure_that_is_lost_or_new_or_no_number_is_not_passed_over() -> None:
    assert compare(KNOWN, {}).worse == tuple(f"{name}: in the baseline and no longer measured" for name in KNOWN)
    assert compare({}, figures(20, 0.95)).worse == tuple(f"{name}: not in the baseline" for name in KNOWN)
    assert len(compare(KNOWN, figures(float("nan"), 0.95)).worse) == 1


def test_what_is_written_is_what_is_compared(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    baseline.write(figures(20, 0.95), path)
    assert baseline.committed(path) == KNOWN
    assert list(json.loads(path.read_text())) == list(KNOWN)
