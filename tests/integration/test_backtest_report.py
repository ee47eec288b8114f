"""`sincewhen backtest --report`: what a quality engineer sees, in a real browser and in a picture."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from sincewhen.cli.__main__ import main
from sincewhen_schemas.reference import encode_reference
from sincewhen_testing.needs import chromium
from sincewhen_testing.recorded import CHANGED, N, arrays, changed_rows
from sincewhen_testing.references import pinned

SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
START_NS = 1_760_000_000 * 10**9
HOUR_NS = 3600 * 10**9


def report(file: Path, suffix: str, *extra: str, golden: int = 2400) -> tuple[Result, Path]:
    out = file.parent / f"report{suffix}"
    line = ["backtest", str(file), "--golden", str(golden), "--arl0", "10000", "--report", str(out)]
    return CliRunner().invoke(main, [*line, *extra]), out


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(params=list(SIZES))
def read(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Callable[[Path], str]]:
    """The visible text of a page that asks for nothing else, whose pictures are all there, without sideways scroll."""
    width, height = SIZES[request.param]
    page = browser.new_page(viewport={"width": width, "height": height})
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))
    page.on("console", lambda message: asked.append(message.text))

    def text(file: Path) -> str:
        page.goto(file.as_uri())
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        drawn = page.evaluate("Array.from(document.images, i => [i.complete && i.naturalWidth, i.clientWidth])")
        for natural, shown in drawn:
            assert natural > 0
            assert 0.7 < shown / natural < 1.1  # drawn for this screen: letters of 12 points as 11 to 18 pixels
        return " ".join(page.locator("body").inner_text().split())

    yield text
    page.close()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    x, _ = changed_rows()
    return arrays(tmp_path_factory.mktemp("calm"), x=x[:CHANGED], t=None, lot=None, confidence=None, factors=None)


def several(folder: Path) -> Path:
    """Two changes with times, a night between them, lots, and a factor that goes with the first."""
    x, move = changed_rows()
    x[2600:2750] += 4 * np.roll(move, 3)
    factors = np.random.default_rng(8).standard_normal((N, 2))
    factors[2600:2750, 0] -= 4
    t = START_NS + np.arange(N) * 10**9
    t[2820:] += 8 * HOUR_NS
    lot = np.array([f"L{row // 100}" for row in range(N)])
    return arrays(folder, x=x, t=t, factors=factors, lot=lot)


def test_a_page_says_what_since_when_until_and_how_far(read: Callable[[Path], str], tmp_path: Path) -> None:
    said, out = report(several(tmp_path), ".html")
    assert said.exit_code == 0, said.output
    text = read(out)
    assert f"2 changes found in {N:,} rows" in text
    assert "2025-10-09 08:53:20" in text
    assert "(UTC)" in text
    assert re.search(
        r"1 The frames became darker for a short time, from 2025-10-09 09:3\d:\d\d until 09:3\d:\d\d ", text
    )
    assert re.search(r"2 What the model sees changed suddenly since 2025-10-09 17:4\d:\d\d", text), text
    for words in (
        "(95 % sure)",
        "rows later",
        "still so in the last row",
        "Shape transient",
        "Shape abrupt",
        "unknown: no reference set of known faults",
        "Status ended",
        "Status refined, and not over at the end of the data",
        "2 lots: L26, L27",
        "Evidence of a change, ln Z. Dashed: alarm at ln ARL0 = 11.0, this stream's share: one false alarm in 60,000.",
        "What the model sees: distance along this change.",
        "The same around its onset.",
        "Band: as far as lots differ by nature.",
        "Brightness. Each point: mean of about 22 rows.",
        "with confidence, brightness, contrast, lot, t",
        "(-3.9); in brackets: standard deviations of a row in the golden rows",
        "golden rows in control out of control, with the number of the change since, 95 % Evidence",
        "out of control since, 95 % alarm outside end long pause golden rows Which lots Lot",
        "out of control since, 95 % alarm outside long pause golden rows Which lots For engineers",
        "one in 10,000 rows in control (ARL0)",
    ):
        assert words in text
    page = out.read_text()
    assert "<script" not in page
    assert not re.search(r"(src|href|srcset)=\"(?!data:)", page)


def test_rows_without_times_and_lots_are_numbered(read: Callable[[Path], str], tmp_path: Path) -> None:
    said, out = report(arrays(tmp_path, t=None, lot=None), ".html")
    assert said.exit_code == 0, said.output
    text = read(out)
    assert f"row 0 to row {N - 1}, in the order of the file" in text
    assert re.search(r"since row 29\d\d", text)
    assert re.search(r"between row 2\d+ and row 29\d\d \(95 % sure\)|known to the row \(95 % sure\)", text)
    assert "Band: the usual range of such means." in text
    assert "Cautions spe:x is left out: nothing lies outside of its 16 axes; fewer than 10 golden lots" in text
    assert "as far as lots differ" not in text


def test_times_that_count_from_somewhere_are_no_dates(read: Callable[[Path], str], tmp_path: Path) -> None:
    said, out = report(arrays(tmp_path, t=5 * HOUR_NS + np.arange(N) * 10**10), ".html")
    assert said.exit_code == 0, said.output
    text = read(out)
    assert "+0:00:00 to +9:26:30 (hours:minutes:seconds after the first)" in text
    assert re.search(r"since \+8:03:[0-5]\d", text)
    assert re.search(r"Since \+8:03:\d\d, (between \+8:0\d:\d\d and \+8:0\d:\d\d|known to the row) \(95 % sure\)", text)
    assert "1970" not in text
    assert "Day" not in text


def test_a_known_fault_is_named(read: Callable[[Path], str], tmp_path: Path) -> None:
    x, move = changed_rows()
    known = tmp_path / "set.npz"
    known.write_bytes(encode_reference(pinned(x[:32], {"colour_cast": move})))
    said, out = report(arrays(tmp_path), ".html", "--reference", str(known))
    assert said.exit_code == 0, said.output
    text = read(out)
    assert "Looks like colour cast" in text
    assert "a likeness to a known fault is no proof of it" in text
    assert "no cause" not in text


def test_no_change_is_said_and_shown(read: Callable[[Path], str], calm: Path) -> None:
    said, out = report(calm, ".html")
    assert said.exit_code == 0, said.output
    text = read(out)
    assert f"No change found in {CHANGED:,} rows" in text
    for shown_elsewhere in ("not judged", "out of control", "long pause", "since, 95 %"):
        assert shown_elsewhere not in text
    assert "golden rows" in text
    assert "Evidence of a change" in text


def test_a_refusal_says_why_and_what_to_do(read: Callable[[Path], str], calm: Path) -> None:
    said, out = report(calm, ".html", golden=500)
    assert said.exit_code == 0, said.output
    text = read(out)
    assert f"{CHANGED:,} rows can not be judged" in text
    assert "Too few frames: a profile needs at least 550 golden frames; got 500: record 50 more." in text


@pytest.mark.parametrize("golden", [500, 2400])
@pytest.mark.parametrize("make", [lambda folder: arrays(folder, t=None), several])
def test_a_figure_is_one_picture_with_all_of_it(make: Callable[[Path], Path], golden: int, tmp_path: Path) -> None:
    said, out = report(make(tmp_path), ".png", golden=golden)
    assert said.exit_code == 0, said.output
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        assert picture.width == 2100
        grey = np.asarray(picture.convert("L"))
    assert grey.min() < 60  # words and lines survive greyscale
    for part in np.array_split(grey, 4):
        assert part.std() > 5  # no part of it is blank
    alarm_red = grey[(np.asarray(Image.open(out).convert("RGB")) == (0xB3, 0x26, 0x1E)).all(axis=2)]
    assert (len(alarm_red) > 1000) == (golden == 2400)


def test_a_change_that_only_the_confidence_shows_has_its_chart(read: Callable[[Path], str], tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    confidence = rng.uniform(0.8, 1, N)
    confidence[CHANGED:] -= 0.15
    x = rng.standard_normal((N, 16))
    said, out = report(arrays(tmp_path, x=x, confidence=confidence, lot=None), ".html")
    assert said.exit_code == 0, said.output
    text = read(out)
    assert "The confidence of the model changed suddenly" in text
    assert "Evidence of a change in confidence, ln Z." in text
    assert "Confidence. Each point" in text


def test_names_of_letters_that_the_font_lacks_are_no_warning(tmp_path: Path) -> None:
    factors = np.random.default_rng(8).standard_normal((N, 2))
    factors[CHANGED:, 0] += 4
    names = np.array(["明るさ", "ぼけ"])
    said, _ = report(arrays(tmp_path, factors=factors, factor_names=names), ".png")
    assert said.exit_code == 0, said.output
    assert "Warning" not in said.output


def test_names_are_neither_markup_nor_formulas(read: Callable[[Path], str], tmp_path: Path) -> None:
    file = arrays(tmp_path, lot=np.array([f"<b>$\\q$ {row // 100}" for row in range(N)]))
    said, out = report(file, ".html")
    assert said.exit_code == 0, said.output
    assert "5 lots: <b>$\\q$ 29, <b>$\\q$ 30" in read(out)
    said, out = report(file, ".png")
    assert said.exit_code == 0, said.output


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("report.pdf", "a report ends in .html or .png; got {}: name it so"),
        ("report", "a report ends in .html or .png; got {}: name it so"),
        ("nowhere/report.html", "it names a file in a folder that is there; got {}: make {folder} first"),
    ],
)
def test_a_report_that_can_not_be_is_told_before_the_work(tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "junk.npz").write_bytes(b"junk")  # would be told first if the place were looked at later
    out = tmp_path / place
    line = ["backtest", str(tmp_path / "junk.npz"), "--golden", "10", "--arl0", "100", "--report", str(out)]
    said = CliRunner().invoke(main, line)
    assert said.exit_code == 2
    assert words.format(out, folder=out.parent) in " ".join(said.output.split())
    assert not out.exists()


def test_no_two_files_of_one_run_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "junk.npz").write_bytes(b"junk")
    out = tmp_path / "out.html"
    line = ["backtest", str(tmp_path / "junk.npz"), "--golden", "10", "--arl0", "100", "--report", str(out)]
    for option, place, words in (
        ("--json", str(out), "--json and --report are different files"),
        ("--profile-out", str(tmp_path / "." / "out.html"), "--report and --profile-out are different files"),
        ("--json", str(tmp_path / "junk.npz"), "FILE.npz and --json are different files"),
    ):
        said = CliRunner().invoke(main, [*line, option, place])
        assert said.exit_code == 2
        assert words in " ".join(said.output.split())
    assert not out.exists()
    assert (tmp_path / "junk.npz").read_bytes() == b"junk"
