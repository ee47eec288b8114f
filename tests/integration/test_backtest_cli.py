"""`sincewhen backtest` as a user runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from sincewhen.cli.__main__ import main
from sincewhen_testing.streams import direction, noise


def arrays(folder: Path, **changed: np.ndarray) -> Path:
    rng = np.random.default_rng(7)
    x = noise(rng, 3400, 16)
    x[2900:] += 3 * direction(rng, 16)
    columns = {
        "x": x,
        "t": np.arange(len(x)) * 10**9,
        "lot": np.array([f"L{i // 200}" for i in range(len(x))]),
        "confidence": rng.uniform(0.8, 1, len(x)),
        "factors": rng.standard_normal((len(x), 2)),
        "factor_names": np.array(["brightness", "contrast"]),
        **changed,
    }
    file = folder / "stream.npz"
    np.savez(file, **columns)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle for a column
    return file


def run(file: Path, *extra: str) -> tuple[int, str, dict[str, object]]:
    out = file.parent / "out.json"
    result = CliRunner().invoke(main, ["backtest", str(file), "--arl0", "10000", "--json", str(out), *extra])
    return result.exit_code, result.output, json.loads(out.read_text()) if out.exists() else {}


def test_a_change_is_reported_with_the_documented_keys(tmp_path: Path) -> None:
    code, text, report = run(arrays(tmp_path), "--golden", "2400")
    assert code == 0
    assert set(report) == {"n", "d", "golden", "arl0", "refused", "alarms", "elapsed_s"}
    assert report["refused"] is None
    alarms = report["alarms"]
    assert isinstance(alarms, list)
    (alarm,) = alarms
    assert set(alarm) == {
        "at", "status", "since", "since_low", "since_high", "shape", "p_ramp", "until", "cause", "confirmed"
    }  # fmt: skip
    assert set(alarm["confirmed"]) == {"at", "since", "since_low", "since_high", "shape"}
    assert abs(alarm["confirmed"]["since"] - 2900) <= 3
    assert alarm["at"] < 2930
    assert "since row" in text


def test_too_few_golden_rows_are_no_error_but_a_reason(tmp_path: Path) -> None:
    code, text, report = run(arrays(tmp_path), "--golden", "23")
    assert code == 0
    assert "too_few_frames" in str(report["refused"])
    assert report["alarms"] == []
    assert "No profile" in text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x": np.zeros(5)}, "`x` is a table"),
        ({"x": np.full((3400, 4), np.nan)}, "the first is 0"),
        ({"t": np.arange(3400)[::-1]}, "steps back; it does at row 1"),
        ({"t": np.arange(7)}, "`t` has one entry a row, 3400"),
        ({"factors": np.zeros((3400, 3))}, "`factors` is (n, m)"),
        ({"lot": np.array(["a"])}, "`lot` has one entry a row"),
    ],
)
def test_bad_arrays_say_the_rule_the_value_and_the_way_out(
    tmp_path: Path, changed: dict[str, np.ndarray], words: str
) -> None:
    code, text, _ = run(arrays(tmp_path, **changed), "--golden", "2400")
    assert code == 2
    assert words in " ".join(text.split())


def test_a_file_that_is_no_archive_and_golden_rows_without_a_rest_are_refused(tmp_path: Path) -> None:
    junk = tmp_path / "junk.npz"
    junk.write_bytes(b"junk")
    assert run(junk, "--golden", "10")[0] == 2
    assert run(arrays(tmp_path), "--golden", "3400")[0] == 2
