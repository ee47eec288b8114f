"""`sincewhen scan` as a user runs it: what it says where nothing can be judged, and what it refuses."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from sincewhen.cli.__main__ import main


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def scan(folder: Path, *extra: str) -> Result:
    out = folder.parent / "out" / "report.html"
    out.parent.mkdir(exist_ok=True)
    return CliRunner().invoke(main, ["scan", str(folder), "--side", "32", "--out", str(out), *extra])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four product photos and a file that is none."""
    made = tmp_path / "archive"
    made.mkdir()
    rng = np.random.default_rng(3)
    for number in range(4):
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), np.uint8)).save(made / f"{number}.png")
    (made / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return made


def test_a_few_photos_are_insufficient_with_the_reason_and_a_contact_sheet(folder: Path) -> None:
    result = scan(folder, "--json", "-")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert {"n", "d", "golden", "arl0", "refused", "alarms", "elapsed_s"} < set(report)
    assert "at least 550 pictures" in report["refused"]
    assert "4 can be judged: add at least 546 more" in report["refused"]
    assert (report["alarms"], report["baseline"], report["golden"]) == ([], None, 0)
    assert report["ordered_by"] == {"index": 0, "exif": 0, "file": 0, "name": 4}
    assert [item["path"] for item in report["unreadable"]] == ["broken.jpg"]
    assert "copied archive" in report["warnings"][0]
    assert "can not be judged" in result.stderr
    page = (folder.parent / "out" / "report.html").read_text()
    assert page.count("data:image/jpeg") == 4
    assert "broken.jpg" in page


def test_a_folder_without_a_picture_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    result = scan(tmp_path / "archive")
    assert result.exit_code == 2
    assert "got none: name the folder that holds them" in " ".join(result.output.replace("│", "").split())


def test_the_page_goes_to_standard_output_and_what_is_said_to_standard_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    result = scan(folder, "--out", "-")
    assert result.exit_code == 0
    assert result.stdout.startswith("<!doctype html>")
    assert result.stdout.rstrip().endswith("</html>")
    assert "can not be judged" in result.stderr
    assert not (folder.parent / "-").exists()
    both = scan(folder, "--out", "-", "--json", "-")
    assert both.exit_code == 2
    assert "--out and --json are different files" in " ".join(both.output.replace("│", "").split())


def test_a_named_baseline_that_holds_too_little_is_refused_in_the_report(folder: Path) -> None:
    index = folder / "index.csv"
    index.write_text("path,captured_at\n" + "".join(f"{n}.png,2025-03-0{n + 1}T10:00\n" for n in range(4)))
    result = scan(folder, "--index", str(index), "--baseline", "2025-03-02..2025-03-03")
    assert result.exit_code == 0
    assert "--baseline holds 2 of the 4 that can be judged: name a longer time" in " ".join(result.output.split())


def test_a_named_baseline_without_a_picture_is_told_before_the_work_with_the_times_that_there_are(folder: Path) -> None:
    index = folder / "index.csv"
    index.write_text("path,captured_at\n" + "".join(f"{n}.png,2025-03-0{n + 1}T10:00\n" for n in range(4)))
    zone = ("--index", str(index), "--tz", "Europe/Rome", "--model", "missing.pt")
    result = scan(folder, *zone, "--baseline", "2024-03-02..2024-03-03")
    assert result.exit_code == 2
    said = " ".join(result.output.replace("│", "").split())
    assert "got none, the archive lasts from 2025-03-01 10:00:00 to 2025-03-04 10:00:00 (Europe/Rome)" in said


class Patches:
    """A model that is quick: the means of 16 patches."""

    name, version = "patches", "1"

    def __call__(self, images: Sequence[Image.Image]) -> tuple[dict[str, NDArray[np.float32]], None]:
        grey = np.stack([np.asarray(image.convert("L"), np.float32) for image in images])
        return {"patches": grey.reshape(len(images), 4, 4, 4, 4).mean(axis=(2, 4)).reshape(len(images), 16)}, None


def brightened(folder: Path, first: int, last: int) -> Path:
    """1,200 pictures a second apart of noise, some of them brighter; their index."""
    folder.mkdir()
    rng = np.random.default_rng(5)
    rows = ["path,captured_at"]
    for number in range(1200):
        patches = np.kron(rng.normal(0, 30, (4, 4)), np.ones((4, 4))) + (25 if first <= number < last else 0)
        pixels = (128 + patches + rng.normal(0, 9, (16, 16))).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png", compress_level=1)
        rows.append(f"{number}.png,{1_760_000_000 + number}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return folder / "index.csv"


def test_a_named_baseline_that_hides_a_change_is_doubted_on_the_console_in_the_page_and_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sincewhen.cli.scan.load_model", lambda *_: Patches())
    index = brightened(tmp_path / "archive", 0, 100)
    found = tmp_path / "scan.json"
    times = "2025-10-09T08:53:20..2025-10-09T09:08:20"
    result = scan(tmp_path / "archive", "--index", str(index), "--baseline", times, "--json", str(found))
    assert result.exit_code == 0, result.output
    words = (
        r"changes in itself: of its 901 pictures 7\d\d stay the same, from 2025-10-09 08:55:\d\d to 2025-10-09 09:08:20"
    )
    page = (tmp_path / "out" / "report.html").read_text()
    for said in (" ".join(result.output.split()), page, " ".join(json.loads(found.read_text())["warnings"])):
        assert re.search(words, said), said
        assert "A change inside of a baseline hides itself" in said, said
    assert "Compared with the baseline, 901 pictures" in page
    assert "No change found in 1,200 pictures, against a baseline that changes in itself" in page


def test_the_json_has_the_shape_and_the_dates_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sincewhen.cli.scan.load_model", lambda *_: Patches())
    index = brightened(tmp_path / "archive", 900, 1000)
    result = scan(tmp_path / "archive", "--index", str(index), "--json", "-")
    assert result.exit_code == 0, result.output
    (alarm,) = json.loads(result.stdout)["alarms"]
    final = alarm["final"]
    assert set(final) == {"at", "since", "since_low", "since_high", "shape"}
    assert final["shape"] == "transient"
    for name in ("since", "since_low", "since_high"):
        at = datetime.fromisoformat(alarm[f"{name}_at"])
        assert at.timestamp() == 1_760_000_000 + final[name]
    assert re.search(r"for a short time, from 2025-10-09 09:08:\d\d until 09:\d\d:\d\d \(begin ", result.stderr)


def test_what_is_less_sure_and_what_is_left_out_are_on_the_console_and_in_the_open_part_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sincewhen.cli.scan.load_model", lambda *_: Patches())
    index = brightened(tmp_path / "archive", 900, 1000)
    header, *rows = index.read_text().splitlines()
    untimed = [f"{row.partition(',')[0]},yesterday" if number % 10 == 0 else row for number, row in enumerate(rows)]
    shifts = [f"{row},{'early' if number < 950 else 'late'}" for number, row in enumerate(untimed)]
    index.write_text("\n".join([f"{header},shift", *shifts]) + "\n")
    result = scan(tmp_path / "archive", "--index", str(index), "--json", str(tmp_path / "scan.json"))
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    page = (tmp_path / "out" / "report.html").read_text()
    opened = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    assert "1 change found in 1,080 pictures" in said
    assert "Not judged: 120 pictures (no time): a time is ISO 8601 or epoch seconds; got 'yesterday' (0.png" in said
    found = json.loads((tmp_path / "scan.json").read_text())
    less_sure = "factor:offset_y is slower than the golden frames can show: its alarms are less sure"
    assert less_sure == found["warnings"][0]
    assert f"Caution: {less_sure}" in said
    assert f"<dt>Caution</dt><dd>{less_sure}" in opened
    assert "<summary>Which shifts</summary>" in page


def test_dates_without_a_time_of_day_are_shown_as_such_and_with_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sincewhen.cli.scan.load_model", lambda *_: Patches())
    index = brightened(tmp_path / "archive", 900, 1200)
    rows = (f"{number}.png,2025-10-{9 + number // 500:02d}" for number in range(1200))
    index.write_text("\n".join(["path,captured_at", *rows]) + "\n")
    zone = ("--tz", "Europe/Rome", "--baseline", "2025-10-09..2025-10-09")
    result = scan(tmp_path / "archive", "--index", str(index), *zone, "--json", "-")
    assert result.exit_code == 0, result.output
    assert "--baseline holds 500" in json.loads(result.stdout)["refused"]
    result = scan(tmp_path / "archive", "--index", str(index), *zone[:2], "--json", "-")
    (alarm,) = json.loads(result.stdout)["alarms"]
    assert alarm["since_at"] == "2025-10-10"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "since 2025-10-10, picture 90" in result.stderr
    assert "Caution: Times are dates without a time of day: within a day the order is by file name" in result.stderr
    for text in (result.stdout, result.stderr, page):
        assert not re.search(r"10-\d\d[ T]\d\d:", text)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--baseline", "yesterday"), "got 'yesterday': write it like 2025-03-01..2025-03-14"),
        (("--baseline", "2025-03-02..2025-03-01"), "FROM before TO; got '2025-03-02..2025-03-01': swap them"),
        (
            ("--baseline", "2025-03-01..2025-03-02"),
            "this archive has no usable times: name an --index with captured_at",
        ),
        (("--tz", "Atlantis"), "--tz is an IANA name"),
        (("--index", "missing.csv"), "does not exist"),
        (("--model", "missing.pt"), "TorchScript file that is there; got missing.pt: name one"),
        (("--arl0", "1"), "--arl0"),
        (("--arl0", "nan"), "a run length is a finite number of rows, at least 2; got nan"),
        (("--json", "/dev/full"), "/dev/full can't be written"),
        (("--json", "nowhere/scan.json"), "it names a file in a folder that is there; got nowhere/scan.json: make"),
    ],
)
def test_bad_input_says_the_rule_and_ends_with_2(folder: Path, extra: tuple[str, ...], words: str) -> None:
    result = scan(folder, *extra)
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", "").split())


def test_a_missing_folder_and_an_index_without_paths_are_bad_input(tmp_path: Path, folder: Path) -> None:
    assert scan(tmp_path / "nowhere").exit_code == 2
    index = folder / "index.csv"
    index.write_text("file\n0.png\n")
    result = scan(folder, "--index", str(index))
    assert result.exit_code == 2
    assert "has a column 'path'; got file" in " ".join(result.output.split())
