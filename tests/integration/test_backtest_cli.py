"""`sincewhen backtest` as a user runs it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from sincewhen.cli.__main__ import main
from sincewhen.profiles.profile import decode_profile, encode_profile
from sincewhen_schemas.reference import encode_reference
from sincewhen_testing.recorded import CHANGED, D, N, arrays, changed_rows
from sincewhen_testing.references import pinned
from sincewhen_testing.station import GOLDEN, changes, learned, stream
from sincewhen_testing.streams import direction, mixing


def run(file: Path, *extra: str) -> tuple[int, str, dict[str, Any]]:
    """Exit code, what it said on one line, the report."""
    out = file.parent / "out.json"
    result = CliRunner().invoke(main, ["backtest", str(file), "--arl0", "10000", "--json", str(out), *extra])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    said = " ".join(result.output.split())
    return result.exit_code, said, json.loads(out.read_text(), parse_constant=pytest.fail) if out.exists() else {}


def test_a_change_is_reported_with_the_documented_keys(tmp_path: Path) -> None:
    code, text, report = run(arrays(tmp_path), "--golden", "2400")
    assert code == 0
    assert set(report) == {"n", "d", "golden", "arl0", "refused", "alarms", "warnings", "elapsed_s"}
    assert report["refused"] is None
    alarms = report["alarms"]
    assert isinstance(alarms, list)
    (alarm,) = alarms
    assert set(alarm) == {
        "at", "status", "since", "since_low", "since_high", "shape", "p_ramp", "until", "cause", "confirmed",
        "final",
    }  # fmt: skip
    assert set(alarm["confirmed"]) == set(alarm["final"]) == {"at", "since", "since_low", "since_high", "shape"}
    assert abs(alarm["confirmed"]["since"] - 2900) <= 3
    assert alarm["at"] < 2930
    assert alarm["cause"] == "unknown"
    assert "since row" in text


def test_the_result_goes_to_standard_output_and_what_is_said_to_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = ["backtest", str(arrays(tmp_path)), "--golden", "2400", "--arl0", "10000", "--json", "-"]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)["alarms"]) == 1
    assert "Alarm at row" in result.stderr
    assert not (tmp_path / "-").exists()


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
        ({"x": np.ones((N, 4), complex)}, "got complex128 (3400, 4): save it as x=..."),
        ({"x": np.full((N, 4), np.nan)}, "the first is 0"),
        ({"x": np.where(np.arange(N) == 9, 1e39, 0.5)[:, None]}, "`x` is finite and within ±1e+15; 1 rows are not"),
        ({"t": np.arange(N)[::-1]}, "steps back; it does at row 1"),
        (
            {"x": changed_rows()[0] + 1e8},
            "`x` varies far more than float32 rounds it; got a deviation of 1 about values of",
        ),
        (
            {"x": (changed_rows()[0] + 1e8).astype(np.float32)},
            "rounded to 8: subtract each column's mean, or scale `x`",
        ),
        ({"x": changed_rows()[0] * 1e-35}, "or scale `x`"),
        ({"t": 1_760_000_000 + np.arange(N) / 25}, "usually 0.04 apart: multiply seconds by 10^9"),
        ({"t": np.arange(N)}, "`t` is nanoseconds, rows at least 1000 apart; got 0..3399, usually 1 apart"),
        ({"t": np.arange(7)}, "`t` has one entry a row, 3400"),
        ({"t": np.full(N, np.nan)}, "`t` is epoch nanoseconds, finite and below 2^62; got NaN only"),
        ({"t": np.full(N, "2026-03-01")}, "`t` is numbers; got <U10"),
        (
            {"t": np.arange(N).astype("datetime64[ns]")},
            "`t` is numbers; got datetime64[ns]: save t.astype('datetime64[ns]').astype('int64')",
        ),
        ({"factors": np.zeros((N, 3))}, "`factors` is (n, m)"),
        ({"factors": np.full((N, 2), np.inf)}, "`factors` are within"),
        ({"factor_names": np.array("brightness")}, "got m = 2 and <U10 () of names"),
        ({"factor_names": np.array(["glare", "glare"])}, "`factor_names` are different names; got glare, glare"),
        ({"lot": np.array(["a"])}, "`lot` has one entry a row"),
        ({"lot": np.full((N, 2), "a")}, "`lot` has one entry a row, 3400; got shape (3400, 2)"),
        ({"lot": np.full(N, 0.5)}, "`lot` is strings; got float64"),
        ({"confidence": np.full(N, "high")}, "`confidence` is numbers; got <U4"),
        ({"confidence": np.full((N, 2), 0.5)}, "`confidence` has one entry a row, 3400; got shape (3400, 2)"),
        ({"confidence": np.full(N, 90.0)}, "`confidence` is in 0..1, NaN = not measured; got 90..90"),
    ],
)
def test_bad_arrays_say_the_rule_the_value_and_the_way_out(
    tmp_path: Path, changed: dict[str, np.ndarray], words: str
) -> None:
    code, text, report = run(arrays(tmp_path, **changed), "--golden", "2400")
    assert code == 2
    assert words in text
    assert report == {}


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**-90, 2.0**30])
def test_the_unit_of_the_numbers_does_not_matter(tmp_path: Path, scale: float) -> None:
    rng = np.random.default_rng(4)
    x = changed_rows()[0] @ mixing(rng, D, 80) + 0.3 * rng.standard_normal((N, 80))
    x = x.astype(np.float32).astype(np.float64)
    factors = rng.standard_normal((N, 2))
    factors[2600:2700, 0] += 4
    _, _, plain = run(arrays(tmp_path, x=x, factors=factors, lot=None), "--golden", "2400")
    _, _, scaled = run(arrays(tmp_path, x=x * scale, factors=factors * scale, lot=None), "--golden", "2400")
    assert len(plain["alarms"]) >= 2
    assert {**scaled, "elapsed_s": 0} == {**plain, "elapsed_s": 0}


def test_what_makes_a_profile_less_sure_is_said_on_the_terminal_in_the_report_and_as_json(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    factors = np.zeros((N, 2))
    _, text, report = run(arrays(tmp_path, factors=factors), "--golden", "2400", "--report", str(page))
    words = "factor:brightness is left out: it is one value in 100% of the golden frames"
    assert f"Caution: {words}" in text
    assert words in " ".join(report["warnings"])
    assert words in page.read_text()


@pytest.mark.parametrize("lacks", ["confidence", "brightness"])
def test_what_most_newest_rows_lack_is_insufficient_data_and_no_calm(tmp_path: Path, lacks: str) -> None:
    rng, page = np.random.default_rng(9), tmp_path / "report.html"
    factors, confidence = rng.standard_normal((N, 1)), rng.uniform(0.4, 0.6, N)
    (factors[:, 0] if lacks == "brightness" else confidence)[2700:] = np.nan
    file = arrays(tmp_path, factors=factors, factor_names=np.array(["brightness"]), confidence=confidence)
    _, text, report = run(file, "--golden", "2400", "--report", str(page))
    rows = f"{N - 2700:,} of {N - 2400:,} watched rows lack it and were judged without it"
    words = f"{lacks} has insufficient data from row 2720 on: {rows}"
    assert words in report["warnings"]
    assert f"Caution: {words}" in text
    assert words in page.read_text()


def test_a_report_on_a_full_disk_is_told_and_ends_with_2(tmp_path: Path) -> None:
    full = tmp_path / "report.html"
    full.symlink_to("/dev/full")
    code, text, _ = run(arrays(tmp_path), "--golden", "2400", "--report", str(full))
    assert code == 2
    assert "report.html can't be written" in text


def test_rows_that_do_not_vary_say_so_in_words_that_fit_arrays(tmp_path: Path) -> None:
    code, text, report = run(arrays(tmp_path, x=np.ones((N, 4)), confidence=None, factors=None), "--golden", "2400")
    assert code == 0
    assert "nothing_varies" in str(report["refused"])
    assert "got none that does" in text
    assert "agent" not in text


def test_a_file_that_is_no_whole_archive_and_golden_rows_without_a_rest_are_refused(tmp_path: Path) -> None:
    whole = arrays(tmp_path).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    torn = bytearray(whole)
    torn[2000] ^= 255
    (tmp_path / "torn.npz").write_bytes(torn)
    (tmp_path / "junk.npz").write_bytes(b"junk")
    np.save(tmp_path / "one.npy", np.zeros((N, 4)))
    for name, words in (
        ("cut.npz", "is a whole .npz archive"),
        ("torn.npz", "Bad CRC-32"),
        ("junk.npz", "is a whole .npz archive"),
        ("one.npy", "write it again with numpy.savez"),
    ):
        code, text, _ = run(tmp_path / name, "--golden", "10")
        assert code == 2, name
        assert words in text, text
    assert run(arrays(tmp_path), "--golden", "3400")[0] == 2


@pytest.mark.parametrize("value", ["nan", "inf", "1", "-5"])
def test_a_run_length_is_finite_and_at_least_2(tmp_path: Path, value: str) -> None:
    code, text, _ = run(arrays(tmp_path), "--golden", "2400", "--arl0", value)
    assert code == 2
    assert "a run length is a finite number of rows, at least 2" in text


@pytest.mark.parametrize("option", ["--json", "--report", "--profile-out"])
def test_a_place_that_can_not_be_written_is_told_before_the_work(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "junk.npz").write_bytes(b"junk")  # would be told first if the place were looked at later
    for place, words in (
        (tmp_path / "nowhere" / "out.html", "it names a file in a folder that is there"),
        (tmp_path / "file" / "out.html", "it names a file in a folder that is there"),
        (Path("/proc/out.html"), "it names a file that can be written"),
    ):
        code, text, _ = run(tmp_path / "junk.npz", "--golden", "10", option, str(place))
        assert code == 2
        assert words in text
    assert not (tmp_path / "nowhere").exists()


def test_a_profile_that_it_wrote_is_used_again_and_finds_the_same(tmp_path: Path) -> None:
    file, kept = arrays(tmp_path), tmp_path / "p.profile"
    code, _, first = run(file, "--golden", "2400", "--profile-out", str(kept))
    assert code == 0
    code, _, second = run(file, "--golden", "2400", "--profile", str(kept))
    assert code == 0
    assert second["alarms"] == first["alarms"]
    assert run(file, "--golden", "2400", "--profile", str(kept), "--profile-out", str(kept))[0] == 2
    few = tmp_path / "few.profile"
    assert run(file, "--golden", "23", "--profile-out", str(few))[0] == 0
    assert not few.exists()


def test_a_profile_is_used_whatever_its_one_layer_is_called_and_says_what_it_can_not_watch(tmp_path: Path) -> None:
    data = stream(61)
    kept = tmp_path / "p.profile"
    kept.write_bytes(encode_profile(learned(data)[1]))  # of the layer "head" and of brightness
    file = tmp_path / "stream.npz"
    np.savez(file, x=data[0].astype(np.float32))
    code, text, report = run(file, "--golden", "2000", "--profile", str(kept))
    assert code == 0
    assert "Alarm at row 26" in text, report
    assert "Not watched, because factor:brightness of the profile is not in the rows" in text


def test_a_profile_of_several_layers_is_used_where_one_has_the_columns_of_x(tmp_path: Path) -> None:
    data = stream(61)
    one, many, file = tmp_path / "one.profile", tmp_path / "many.profile", tmp_path / "stream.npz"
    profile = learned(data)[1]
    one.write_bytes(encode_profile(profile))
    early = learned((data[0][:, :8], data[1], data[2]))[1]
    streams = {stream.replace("head", "early"): scalar for stream, scalar in early.scalars.items()}
    both = replace(
        profile,
        layers={"early": early.layers["head"], **profile.layers},
        scalars={**streams, **profile.scalars},
    )
    many.write_bytes(encode_profile(both))
    np.savez(file, x=data[0].astype(np.float32))
    _, _, alone = run(file, "--golden", "2000", "--profile", str(one))
    code, text, report = run(file, "--golden", "2000", "--profile", str(many))
    assert code == 0
    assert "`x` is taken for the layer 'head', the one of 24 columns" in text
    assert report["alarms"] == alone["alarms"] != []


def test_a_profile_that_does_not_fit_is_bad_input_and_not_in_control(tmp_path: Path) -> None:
    file, other, many = arrays(tmp_path), tmp_path / "other.profile", tmp_path / "many.profile"
    profile = learned(stream(61))[1]
    other.write_bytes(encode_profile(profile))
    several = dict.fromkeys(("early", "middle", "head"), profile.layers["head"])
    many.write_bytes(encode_profile(replace(profile, layers=several)))
    wide = tmp_path / "wide.npz"
    np.savez(wide, x=np.zeros((N, 24), np.float32))
    for rows, kept, has in (
        (file, other, "has 'head' of 24: save"),
        (wide, many, "has 'early' of 24, 'middle' of 24, 'head' of 24: save"),
    ):
        code, text, _ = run(rows, "--golden", "2400", "--profile", str(kept))
        assert code == 2
        assert "--profile has exactly one layer of the" in text
        assert has in text
        assert "In control" not in text


def test_a_torn_profile_or_reference_set_is_bad_input(tmp_path: Path) -> None:
    file, torn = arrays(tmp_path), tmp_path / "torn"
    whole = encode_profile(learned(stream(61))[1])
    rng = np.random.default_rng(3)
    for _ in range(200):
        body = bytearray(whole[: int(rng.integers(1, len(whole)))] if rng.random() < 0.5 else whole)
        body[int(rng.integers(0, len(body)))] ^= 1 << int(rng.integers(8))
        with pytest.raises(ValueError, match="damaged or too old"):
            decode_profile(bytes(body))
    torn.write_bytes(whole[:1000])
    assert run(file, "--golden", "2400", "--profile", str(torn))[0] == 2
    code, text, _ = run(file, "--golden", "2400", "--reference", str(torn))
    assert code == 2
    assert "a reference set is a whole .npz file" in text


def test_a_reference_set_gives_the_change_its_name(tmp_path: Path) -> None:
    x, move = changed_rows()
    rng = np.random.default_rng(9)
    known, kept, out = tmp_path / "set.npz", tmp_path / "set8.npz", tmp_path / "p.profile"
    known.write_bytes(encode_reference(pinned(x[:32], {"haze": move, "dirt": direction(rng, D)})))
    code, text, report = run(arrays(tmp_path), "--golden", "2400", "--reference", str(known), "--profile-out", str(out))
    assert code == 0
    alarms = report["alarms"]
    assert isinstance(alarms, list)
    assert [alarm["cause"] for alarm in alarms] == ["haze"]
    assert "looks like haze" in text
    assert len(decode_profile(out.read_bytes()).reference_sha) == 16
    kept.write_bytes(encode_reference(pinned(x[:32, :8], {"haze": move[:8]})))
    code, text, _ = run(arrays(tmp_path), "--golden", "2400", "--reference", str(kept))
    assert code == 2
    assert "--reference has exactly one layer of the 16 columns of `x`" in text


@pytest.mark.parametrize("shape", ["step", "ramp"])
def test_an_alarm_is_the_same_when_the_file_ends_right_after_it(tmp_path: Path, shape: str) -> None:
    """And its confirmation when the file ends right after that: nothing reads ahead."""
    x, move = changed_rows()
    if shape == "ramp":
        x[CHANGED:] += (np.minimum(np.arange(N - CHANGED) / 60, 1) - 1)[:, None] * 3 * move
    _, _, whole = run(arrays(tmp_path, x=x), "--golden", "2400")
    (alarm,) = whole["alarms"]
    assert alarm["confirmed"] is not None
    for last in (alarm["at"], alarm["confirmed"]["at"]):
        with np.load(arrays(tmp_path, x=x)) as columns:
            kept = {name: v if name == "factor_names" else v[: last + 1] for name, v in columns.items()}
        code, _, cut = run(arrays(tmp_path, **kept), "--golden", "2400")
        assert code == 0
        (same,) = cut["alarms"]
        for key in ("at", "since", "since_low", "since_high", "shape", "p_ramp"):
            assert same[key] == alarm[key], key
        assert same["confirmed"] == (None if last == alarm["at"] else alarm["confirmed"])
        assert (same["status"], same["until"]) == ("provisional" if last == alarm["at"] else "confirmed", None)
    with np.load(arrays(tmp_path, x=x)) as columns:
        kept = {name: v if name == "factor_names" else v[: alarm["at"]] for name, v in columns.items()}
    assert run(arrays(tmp_path, **kept), "--golden", "2400")[2]["alarms"] == []


@pytest.mark.parametrize("alike", [True, False])
def test_a_change_that_was_there_twice_before_is_recurring(tmp_path: Path, alike: bool) -> None:  # noqa: FBT001 - parametrized
    file, page = tmp_path / "stream.npz", tmp_path / "out.html"
    np.savez(file, x=changes(95, (True, alike, True))[0].astype(np.float32))
    code, text, report = run(file, "--golden", str(GOLDEN), "--report", str(page))
    assert code == 0
    assert len(report["alarms"]) == 3
    assert text.count("recurring change since row") == alike
    assert ("not for the first time" in page.read_text()) == alike
    shapes = [alarm["final"]["shape"] for alarm in report["alarms"]]
    assert (shapes[2] == "recurring") == alike
    assert "recurring" not in shapes[:2] + [alarm["shape"] for alarm in report["alarms"]]
    for alarm, shape in zip(report["alarms"], shapes, strict=True):
        final = alarm["final"]
        assert f"{shape} change since row {final['since']} [{final['since_low']}..{final['since_high']}]" in text
    if alike:
        assert "recurring change since row 3500" in text


@pytest.mark.parametrize("frames", [30, 120])
def test_a_change_that_was_soon_over_is_transient_wherever_it_is_told(tmp_path: Path, frames: int) -> None:
    x, move = changed_rows()
    x[CHANGED + frames :] -= 3 * move
    page = tmp_path / "out.html"
    _, text, report = run(arrays(tmp_path, x=x), "--golden", "2400", "--report", str(page))
    (alarm,) = report["alarms"]
    assert (alarm["status"], alarm["final"]["shape"]) == ("ended", "transient")
    assert alarm["shape"] != "transient", "at the alarm nobody knows"
    assert "transient change since row" in text
    assert re.search(r"for a short time, from \+0:\d\d:\d\d until \+0:\d\d:\d\d<", page.read_text())
