"""`sincewhen scan` as a user runs it: what it says where nothing can be judged, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
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


def test_an_empty_folder_still_gets_a_report(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    result = scan(tmp_path / "archive")
    assert result.exit_code == 0
    assert "0 pictures can not be judged" in (tmp_path / "out" / "report.html").read_text()


def test_a_named_baseline_that_holds_too_little_is_refused_in_the_report(folder: Path) -> None:
    index = folder / "index.csv"
    index.write_text("path,captured_at\n" + "".join(f"{n}.png,2025-03-0{n + 1}T10:00\n" for n in range(4)))
    result = scan(folder, "--index", str(index), "--baseline", "2025-03-02..2025-03-03")
    assert result.exit_code == 0
    assert "needs at least 550 golden frames; got 2" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--baseline", "yesterday"), "--baseline is FROM..TO"),
        (("--baseline", "2025-03-02..2025-03-01"), "FROM before TO"),
        (("--baseline", "2025-03-01..2025-03-02"), "this archive has no usable times"),
        (("--tz", "Atlantis"), "--tz is an IANA name"),
        (("--index", "missing.csv"), "does not exist"),
        (("--model", "missing.pt"), "missing.pt"),
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
