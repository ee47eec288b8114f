"""What a test needs beyond Python packages. Missing: skipped with what to install; with CI=true that is a failure."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sincewhen.stack.broker import jars_folder

_REPO = Path(__file__).resolve().parents[2]


def shared_data() -> Path:
    """The folder of real images and streams, which is not part of the project."""
    place = Path(os.environ.get("SINCEWHEN_SHARED", _REPO.parent / "shared")) / "data"
    if not (place / "MANIFEST.md").exists():
        _missing(f"no test data in {place}: name its parent folder in SINCEWHEN_SHARED")
    return place


def chromium() -> str:
    """The browser's path."""
    found = shutil.which("chromium")
    if found is None:
        _missing("no chromium: apt-get install chromium, or run tests/install-parts as root")
    assert found
    return found


def alertmanager() -> None:
    if shutil.which("prometheus-alertmanager") is None:
        _missing("no prometheus-alertmanager: apt-get install it, or run tests/install-parts as root")


def kafka() -> None:
    """Java, openssl and Apache Kafka's jars."""
    absent = [name for name in ("java", "openssl") if shutil.which(name) is None]
    if absent or not jars_folder().is_dir():
        _missing(f"no {' and '.join(absent) or f'Apache Kafka in {jars_folder()}'}: run tests/install-parts, as root")


def go_client(folder: Path) -> Path:
    """The program in tests/clients/go, built into a folder. Go keeps what it has built and downloaded."""
    go = shutil.which("go")
    if go is None:
        _missing("no go: apt-get install golang-go, or run tests/install-parts as root")
    assert go
    client = folder / "client"
    source = _REPO / "tests" / "clients" / "go"
    built = subprocess.run([go, "build", "-o", client, "."], cwd=source, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        _missing(f"the Go client was not built: {built.stderr[-500:]}")
    return client


def _missing(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
