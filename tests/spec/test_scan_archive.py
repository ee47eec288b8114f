"""What is in an archive, when each picture was taken, in which order; and what is remembered of it."""

import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sincewhen.scan import archive as scan_archive
from sincewhen.scan.archive import Archive, read_archive
from sincewhen.scan.cache import FeatureCache
from sincewhen.scan.features import Features, extract, opened
from sincewhen_edge.sources.rows import SourceError, TimeForm
from sincewhen_edge.tensors import Value

START = 1_700_000_000


def picture(path: Path, at_s: float = START, **exif: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (16, 12), (len(path.name), *path.name.encode()[:2]))
    tags = image.getexif()
    names = {"taken": 36867, "subsecond": 37521, "offset": 36881}
    tags.get_ifd(0x8769).update({names[name]: value for name, value in exif.items()})
    image.save(path, exif=tags)
    os.utime(path, (at_s, at_s))
    return path


def index(folder: Path, *lines: str) -> Path:
    path = folder / "index.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def names(archive: Archive) -> list[str]:
    return [item.name for item in archive.pictures]


def read(folder: Path, index: Path | None = None, zone: str = "UTC") -> Archive:
    return read_archive(folder, index, TimeForm(ZoneInfo(zone)))


def test_the_index_dates_before_exif_and_each_is_counted(tmp_path: Path) -> None:
    picture(tmp_path / "deep/b.jpg", START, taken="2023:11:14 22:14:00")
    picture(tmp_path / "a.jpg", START, taken="2023:11:14 22:00:00")
    picture(tmp_path / "loose.png", START)
    rows = index(tmp_path, "path,captured_at,lot", f"a.jpg,{START + 200},L1", "deep/b.jpg,,L2")
    archive = read(tmp_path, rows)
    assert archive.ordered_by == {"index": 1, "exif": 1, "file": 0, "name": 0}
    assert names(archive) == ["deep/b.jpg", "a.jpg"]
    assert [item.context for item in archive.pictures] == [{"lot": "L2"}, {"lot": "L1"}]
    (others,) = archive.left_out
    assert (others.reason, others.count) == ("not in the index", 1)
    assert "clocks differ" in archive.warnings[-1]


@pytest.mark.parametrize(
    ("exif", "zone", "second"),
    [
        ({"taken": "2023:11:14 22:13:20"}, "UTC", START),
        ({"taken": "2023:11:14 22:13:20", "subsecond": "25"}, "UTC", START + 0.25),
        ({"taken": "2023:11:14 23:13:20", "offset": "+01:00"}, "Asia/Tokyo", START),
        ({"taken": "2023:11:14 23:13:20"}, "Europe/Rome", START),
    ],
)
def test_exif_times_have_fractions_and_offsets_and_otherwise_the_named_zone(
    tmp_path: Path, exif: dict[str, str], zone: str, second: float
) -> None:
    picture(tmp_path / "a.jpg", START + 999, **exif)
    (found,) = read(tmp_path, zone=zone).pictures
    assert (found.clock, found.at_ns) == ("exif", round(second * 100) * 10**7)


def test_an_exif_time_without_sense_is_none(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", START, taken="0000:00:00 00:00:00")
    assert read(tmp_path).pictures[0].clock == "file"


def test_file_times_of_a_line_order_the_archive(tmp_path: Path) -> None:
    for number in range(12):
        picture(tmp_path / f"{number:02d}.png", START + 60 * (12 - number))
    archive = read(tmp_path)
    assert archive.timed
    assert names(archive)[0] == "11.png"
    assert archive.ordered_by["file"] == 12


@pytest.mark.parametrize("apart_s", [0.0, 0.5])
def test_file_times_of_a_copying_say_nothing_and_names_order_as_people_count(tmp_path: Path, apart_s: float) -> None:
    for number in range(12):
        picture(tmp_path / f"img{number}.png", START + apart_s * (12 - number))
    archive = read(tmp_path)
    assert not archive.timed
    assert names(archive)[1:3] == ["img1.png", "img2.png"]
    assert names(archive)[-1] == "img11.png"
    assert archive.ordered_by["name"] == 12
    assert "copied archive" in archive.warnings[0]


def test_a_few_copied_files_without_other_time_are_left_out(tmp_path: Path) -> None:
    for number in range(6):
        picture(tmp_path / f"{number}.jpg", START, taken=f"2023:11:14 22:1{number}:00")
    picture(tmp_path / "x.png", START)
    picture(tmp_path / "y.png", START)
    archive = read(tmp_path)
    assert archive.timed
    assert [(item.reason, item.count) for item in archive.left_out] == [("no time", 2)]


def test_what_cannot_be_read_is_listed_with_the_reason(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    (tmp_path / "junk.jpg").write_bytes(b"junk")
    (tmp_path / "notes.txt").write_text("no picture")
    rows = index(tmp_path, "path,captured_at", f"good.png,{START}", f"junk.jpg,{START}", f"gone.png,{START}")
    archive = read(tmp_path, rows)
    assert names(archive) == ["good.png"]
    assert [name for name, _ in archive.unreadable] == ["junk.jpg", "gone.png"]
    assert archive.unreadable[0][1] == "cannot identify it as a picture"
    assert "No such file" in archive.unreadable[1][1]


def test_a_picture_counts_once_by_its_first_row_however_its_path_is_written(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "deep/b.png")
    rows = ("a.png,1,L1", "./a.png,2,L2", f"{tmp_path}/a.png,3,L3", "deep/b.png,4,L4", "deep/../a.png,5,L5")
    archive = read(tmp_path, index(tmp_path, "path,captured_at,lot", *rows))
    assert [(item.name, item.context["lot"]) for item in archive.pictures] == [("a.png", "L1"), ("deep/b.png", "L4")]
    assert [(item.reason, item.count) for item in archive.left_out] == [("named again", 3)]


def test_a_path_out_of_the_folder_is_not_read_but_a_link_in_it_is_followed(tmp_path: Path) -> None:
    picture(tmp_path / "other/a.png")
    picture(tmp_path / "archive/b.png")
    (tmp_path / "archive/link").symlink_to(tmp_path / "other")
    rows = ("b.png", "link/a.png", "../other/a.png", f"{tmp_path}/other/a.png")
    archive = read(tmp_path / "archive", index(tmp_path, "path", *rows))
    assert names(archive) == ["b.png", "link/a.png"]
    assert [name for name, _ in archive.unreadable] == ["../other/a.png", f"{tmp_path}/other/a.png"]
    assert "lies outside of" in archive.unreadable[0][1]
    assert archive.left_out == []


def test_a_mask_that_another_column_names_is_not_missed_in_the_index(tmp_path: Path) -> None:
    for name in ("a.png", "masks/a.png", "loose.png"):
        picture(tmp_path / name)
    archive = read(tmp_path, index(tmp_path, "path,mask,captured_at", f"a.png,masks/a.png,{START}"))
    assert [(item.reason, item.count) for item in archive.left_out] == [("not in the index", 1)]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (None, r"holds pictures \(png, jpg, bmp, tif, webp\); got none: name the folder"),
        (["path,captured_at"], "names a picture a line in its column 'path'; got none: add lines"),
        (
            ["path", "a.png", "b.png"],
            r"got 2 that can't be read, the first is a.png \(No such file.*the paths of .* start",
        ),
    ],
)
def test_an_archive_without_a_picture_is_refused_with_the_way_out(
    tmp_path: Path, lines: list[str] | None, words: str
) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(SourceError, match=words):
        read(tmp_path, None if lines is None else index(tmp_path, *lines))


def test_without_times_the_way_to_them_depends_on_whether_there_is_an_index(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    assert "name an --index with captured_at" in read(tmp_path).warnings[-1]
    assert "give captured_at in index.csv" in read(tmp_path, index(tmp_path, "path", "a.png", "b.png")).warnings[-1]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("file,captured_at", "has a column 'path'; got file, captured_at: name it so"),
        ("path;captured_at", "has a column 'path'; got path;captured_at: separate columns with commas"),
    ],
)
def test_an_index_without_paths_is_refused_with_the_way_out(tmp_path: Path, header: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read(tmp_path, index(tmp_path, header, f"a.png{header[4]}{START}"))


def dated(folder: Path, *captured_at: str, file_s: float = START) -> Archive:
    """Pictures 0.png, 1.png ... of these times in an index, file times a minute apart."""
    for number in range(len(captured_at)):
        picture(folder / f"{number}.png", file_s + 60 * number)
    return read(folder, index(folder, "path,captured_at", *(f"{n}.png,{at}" for n, at in enumerate(captured_at))))


@pytest.mark.parametrize(
    ("captured_at", "words"),
    [
        ("yesterday", "a time is ISO 8601 or epoch seconds; got 'yesterday' (1.png)"),
        ("2025-13-45", "a time is ISO 8601 or epoch seconds; got '2025-13-45' (1.png)"),
        ("0", "captured_at is 2000-01-01 or later; got 0 (1.png)"),
        ("2125-10-09T08:00:00", "captured_at is at most 1 h ahead of this PC's clock; got 2125-10-09T08:00:00 (1.png)"),
        ("", "captured_at is empty, while others have one (1.png)"),
        ("2025-10-09", "captured_at is a date without a time of day, while others have one (1.png)"),
    ],
)
def test_a_picture_without_a_time_that_can_be_is_left_out_and_named(
    tmp_path: Path, captured_at: str, words: str
) -> None:
    archive = dated(tmp_path, "2025-10-09T08:00", captured_at, "2025-10-09T07:00")
    assert names(archive) == ["2.png", "0.png"]
    assert [(item.reason, item.count, item.detail) for item in archive.left_out] == [("no time", 1, words)]
    assert archive.warnings == []


def test_times_that_can_not_be_read_are_one_caution_with_a_count_and_an_example(tmp_path: Path) -> None:
    archive = dated(tmp_path, *(f"09.10.2025 08:0{n}" for n in range(5)))
    assert not archive.timed
    said, order = archive.warnings
    assert said.startswith(
        "5 pictures without a time: a time is ISO 8601 or epoch seconds; got '09.10.2025 08:00' (0.png"
    )
    assert said.endswith("2.png and 2 more)")
    assert "give captured_at in index.csv, like 2025-03-01T10:00:00, for times" in order


def test_file_times_before_2000_are_none(tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / f"{number}.png", 60 * number if number == 1 else START + 600 * number)
    archive = read(tmp_path)
    assert names(archive) == ["0.png", "2.png"]
    assert "2000-01-01 or later; got 1970-01-01T00:01:00.000000Z (1.png)" in archive.left_out[0].detail


def test_equal_times_do_not_say_when(tmp_path: Path) -> None:
    archive = dated(tmp_path, *["2025-10-09"] * 3)
    assert not archive.timed
    assert "All times are equal (3 pictures)" in archive.warnings[0]


def test_dates_order_days_and_names_order_within_a_day(tmp_path: Path) -> None:
    archive = dated(tmp_path, "2025-10-10", "2025-10-09", "2025-10-10", "2025-10-09T00:00:00")
    assert (archive.timed, archive.to_the_day) == (True, True)
    assert names(archive) == ["1.png", "3.png", "0.png", "2.png"]
    assert archive.warnings == ["Times are dates without a time of day: within a day the order is by file name"]


def test_half_of_the_times_being_dates_they_are_left_out_not_shown_as_midnight(tmp_path: Path) -> None:
    archive = dated(tmp_path, "2025-10-10", "2025-10-09T08:00", "2025-10-09", "2025-10-09T09:00")
    assert names(archive) == ["1.png", "3.png"]
    assert archive.left_out[0].count == 2


def test_times_that_most_pictures_share_are_told(tmp_path: Path) -> None:
    archive = dated(tmp_path, *(f"2025-10-09T08:0{n // 2}" for n in range(5)))
    assert (archive.timed, archive.to_the_day) == (True, False)
    assert "4 of 5 pictures share their time: among those the order is by file name" in archive.warnings[0]


def test_lines_without_a_path_are_one_caution(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    archive = read(tmp_path, index(tmp_path, "path,lot", "a.png,1", ",2", ",3"))
    assert archive.warnings[0] == "index.csv: 2 lines name no path and are left out, the first is line 3"


def test_paths_of_an_index_may_have_backslashes(tmp_path: Path) -> None:
    picture(tmp_path / "deep/a.png")
    picture(tmp_path / "masks/a.png")
    archive = read(tmp_path, index(tmp_path, "path,mask", ".\\deep\\a.png,masks\\a.png"))
    assert names(archive) == [".\\deep\\a.png"]
    assert (archive.unreadable, archive.left_out) == ([], [])


def test_a_link_that_leads_nowhere_is_unreadable(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    assert read(tmp_path).unreadable == [("b.png", "No such file or directory")]


def test_pictures_of_another_format_than_the_rest_are_told(tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / f"{number}.png", START + 60 * number)
    Image.new("1", (16, 12)).save(tmp_path / "0_mask.png")
    archive = read(tmp_path)
    assert archive.warnings[0].startswith(
        "Not in colour like the rest are 1 of 4 pictures, the first, 0_mask.png, is black and white: if they are masks"
    )


def test_an_archive_above_the_limit_is_thinned_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_archive, "PICTURES_MAX", 5)
    for number in range(12):
        picture(tmp_path / f"{number:02d}.png", START + 60 * number)
    archive = read(tmp_path)
    assert names(archive) == ["00.png", "03.png", "06.png", "09.png"]
    assert archive.left_out[0].count == 8


class Counting:
    """A model that counts what it is shown."""

    name, version = "counting", "1"

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, images: Sequence[Image.Image]) -> tuple[dict[str, NDArray[np.float32]], Value]:
        self.seen += len(images)
        return {"mean": np.stack([np.asarray(image, np.float32).mean(axis=(0, 1)) for image in images])}, None


def scanned(folder: Path, cache: Path, model: str = "m") -> tuple[Features, int, list[str]]:
    store, embed = FeatureCache(cache, model), Counting()
    features, _ = extract(read_archive(folder, None, TimeForm(UTC)).pictures, embed, store, lambda _: None)
    store.close()
    return features, embed.seen, store.warnings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(20):
        picture(tmp_path / "archive" / f"{number}.png", START + 60 * number)
    return tmp_path / "archive"


def test_a_second_scan_asks_the_model_nothing_and_gives_the_same(tmp_path: Path, folder: Path) -> None:
    cache = tmp_path / "c" / "scan.sqlite"
    first, seen, _ = scanned(folder, cache)
    again, none, warnings = scanned(folder, cache)
    assert (seen, none, warnings) == (20, 0, [])
    assert np.array_equal(first.layers["mean"], again.layers["mean"])
    assert all(np.array_equal(first.factors[name], again.factors[name], equal_nan=True) for name in first.factors)
    assert scanned(folder, cache, "another model")[1] == 20


def test_a_changed_picture_is_seen_again_and_a_moved_one_is_not(tmp_path: Path, folder: Path) -> None:
    cache = tmp_path / "scan.sqlite"
    scanned(folder, cache)
    Image.new("RGB", (16, 12), (250, 0, 0)).save(folder / "3.png")
    moved = folder.rename(tmp_path / "moved")
    assert scanned(moved, cache)[1] == 1


def test_a_damaged_cache_is_rebuilt_with_a_warning(tmp_path: Path, folder: Path) -> None:
    cache = tmp_path / "scan.sqlite"
    cache.write_bytes(b"no database at all " * 100)
    features, seen, warnings = scanned(folder, cache)
    assert (seen, len(features.pictures)) == (20, 20)
    assert "is rebuilt" in warnings[0]
    assert scanned(folder, cache)[1:] == (0, [])


def test_a_damaged_row_is_made_again(tmp_path: Path, folder: Path) -> None:
    cache = tmp_path / "scan.sqlite"
    scanned(folder, cache)
    with sqlite3.connect(cache) as connection:
        connection.execute("UPDATE features SET row = x'0011223344' WHERE sha = (SELECT MIN(sha) FROM features)")
    connection.close()
    assert scanned(folder, cache)[1] == 1


def test_without_a_place_for_the_cache_the_scan_goes_on(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    _, seen, warnings = scanned(folder, tmp_path / "file" / "scan.sqlite")
    assert seen == 20
    assert "can't be resumed" in warnings[0]


def test_sixteen_bits_of_grey_are_scaled_not_clipped(tmp_path: Path) -> None:
    deep = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    Image.fromarray(deep).save(tmp_path / "deep.tif")
    (found,) = read(tmp_path).pictures
    assert np.array_equal(np.asarray(opened(found))[:, :, 0].ravel(), np.arange(256))
