"""Peers that can't live in the project's environment: each in a venv of its own, spoken to through files.

`build/bench/peers` and `build/bench/alibi` are made on first use, with pinned versions. A question is an .npz of arrays
and a JSON of settings; the answer is a JSON. Nothing of them is ever imported here.
"""

import fcntl
import json
import os
import subprocess
import tempfile
import venv
from pathlib import Path

import numpy as np

from benchmarks.cell import Figures
from benchmarks.sources import REPO

PINS = {
    "peers": ("frouros==0.9.0", "changepoint-online==1.2.1", "numpy==2.1.3", "scipy==1.14.1"),
    "alibi": ("alibi-detect[torch]==0.13.0", "numpy<2.2"),
}
PLACE = REPO / "build/bench"


class PeerMissingError(RuntimeError):
    """Its environment can't be made, or it fails there: its cells are left out."""


def ask(name: str, question: str, arrays: dict[str, np.ndarray], **settings: float | str) -> Figures:
    """What `answers.py` says in the environment of that name."""
    python = _environment(name)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "arrays.npz", **arrays)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle for an array
        (Path(folder) / "question.json").write_text(json.dumps({"question": question, **settings}))
        script = Path(__file__).parent / "answers.py"
        _run([str(python), "-I", str(script), folder])
        found: Figures = json.loads((Path(folder) / "answer.json").read_text())
        return found


def _environment(name: str) -> Path:
    """Its Python; one process makes it, the others wait."""
    place, pins = PLACE / f"{name}-env", PINS[name]
    place.parent.mkdir(parents=True, exist_ok=True)
    with (PLACE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = place / "ready"
        if not ready.exists() or ready.read_text() != "\n".join(pins):
            venv.create(place, clear=True, with_pip=True)
            _run([str(place / "bin/python"), "-I", "-m", "pip", "install", "-q", *pins])
            ready.write_text("\n".join(pins))
    return place / "bin/python"


def _run(command: list[str]) -> None:
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, check=False, env=alone, capture_output=True, text=True)  # noqa: S603 - our own scripts and pins
    if done.returncode:
        raise PeerMissingError(f"{' '.join(command[:4])} ended with {done.returncode}: {done.stderr[-500:]}")
