"""What the READMEs say of files, of the past and of the stations' keys is so."""

import inspect
import re
from pathlib import Path

import pytest

from sincewhen.console.views import station_json
from sincewhen.onset.history import ROWS_CALM, ROWS_OPEN, ROWS_SPARSE
from sincewhen.onset.ledger import BLOCK, BLOCKS_MAX, LEVELS
from sincewhen.store.serve.app import STATEMENT_BYTES_MAX
from sincewhen.store.serve.coding import BODY_BYTES_MAX
from sincewhen.store.serve.handle import RESULT_BYTES_MAX

ROOT = Path(__file__).resolve().parents[2]


READMES = [path for path in ROOT.glob("[!.]*/**/*.md") if "build" not in path.parts] + [ROOT / "README.md"]


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_readme_links_to_is_there(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", path.read_text())
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert missing == []


def test_the_past_has_the_rows_and_the_reach_that_are_said() -> None:
    text = " ".join((ROOT / "services" / "README.md").read_text().split())
    reach = (BLOCKS_MAX - 1) * BLOCK * (2**LEVELS - 1)
    assert f"{reach // 10**6} million frames back" in text
    assert f"{ROWS_CALM} rows at full resolution (a slice {ROWS_SPARSE})" in text
    assert f"{ROWS_OPEN:,} while a change is dated" in text


def test_every_key_of_a_station_is_said() -> None:
    text = (ROOT / "README.md").read_text()
    said = text[text.index("\nstations  ") : text.index("\nprofile build  ")]
    keys = re.findall(r'"(\w+)"', said)
    given = re.findall(r'^ +"(\w+)":', inspect.getsource(station_json), re.MULTILINE)
    assert [key for key in keys if key not in {"from", "to"}] == list(dict.fromkeys(given))


def test_the_limits_of_the_served_store_are_those_that_are_said() -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"statements over {STATEMENT_BYTES_MAX // 1024} KiB" in text
    assert f"as long as {BODY_BYTES_MAX // 1024**3} GiB" in text
    rooms = " ".join((ROOT / "services" / "README.md").read_text().split())
    assert f"in one piece, up to {RESULT_BYTES_MAX // 1024**2} MiB" in rooms
