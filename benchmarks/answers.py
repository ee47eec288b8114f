"""Runs in a peer's own environment (see outside.py): `answers.py FOLDER`. Imports nothing of this project."""

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Answer = dict[str, list[float]]
_BOOTSTRAPS = 10  # a frame of the run length: fewer can't tell a quantile so rare


class Detector(Protocol):
    """Of frouros."""

    drift: bool

    def update(self, value: float) -> object: ...


def focus_paths(x: Floats) -> Answer:
    """FOCuS of each row (mean 0 known): the greatest so far of its statistic, as steps `at`, `value`, `row`."""
    from changepoint_online import Focus, Gaussian  # noqa: PLC0415 - only in its own environment

    found: Answer = {"row": [], "at": [], "value": [], "micros": []}
    for number, row in enumerate(x):
        detector, best, began = Focus(Gaussian(loc=0)), -math.inf, time.perf_counter()
        for at, value in enumerate(row.tolist()):
            detector.update(value)
            statistic = float(detector.statistic())
            if statistic > best:
                best = statistic
                found["row"].append(number)
                found["at"].append(at)
                found["value"].append(round(best, 4))
        found["micros"].append((time.perf_counter() - began) / len(row) * 1e6)
    return found


def frouros_alarms(x: Floats, method: str, setting: float) -> Answer:
    """The first alarm in each row, -1: none; a detector of two sides is one on x and one on -x."""
    from frouros.detectors import concept_drift as drift  # noqa: PLC0415 - only in its own environment

    made: dict[str, Callable[[], Detector]] = {
        "frouros CUSUM": lambda: drift.CUSUM(drift.CUSUMConfig(delta=0.25, lambda_=setting)),
        "frouros PageHinkley": lambda: drift.PageHinkley(drift.PageHinkleyConfig(delta=0.25, lambda_=setting)),
    }
    alarms = []
    began = time.perf_counter()
    for row in x:
        up, down, first = made[method](), made[method](), -1
        for at, value in enumerate(row.tolist()):
            up.update(value=value)
            down.update(value=-value)
            if up.drift or down.drift:
                first = at
                break
        alarms.append(float(first))
    return {"first": alarms, "micros": [(time.perf_counter() - began) / x.size * 1e6]}


def alibi_mmd(golden: Floats, x: Floats, arl0: float, window: float) -> Answer:
    """Online MMD on rows (runs, n, d): the first alarm of each, and µs a frame."""
    from alibi_detect.cd import MMDDriftOnline  # noqa: PLC0415 - only in its own environment

    settings = {"ert": arl0, "window_size": int(window), "n_bootstraps": int(_BOOTSTRAPS * arl0)}
    detector = MMDDriftOnline(golden.astype(np.float32), backend="pytorch", **settings)
    alarms, micros = [], []
    for row in x.astype(np.float32):
        detector.reset_state()
        first, began = -1, time.perf_counter()
        for at, frame in enumerate(row):
            if detector.predict(frame)["data"]["is_drift"]:
                first = at
                break
        micros.append((time.perf_counter() - began) / (at + 1) * 1e6)
        alarms.append(float(first))
    return {"first": alarms, "micros": micros}


def main() -> None:
    folder = Path(sys.argv[1])
    asked: dict[str, Any] = json.loads((folder / "question.json").read_text())
    with np.load(folder / "arrays.npz") as kept:
        arrays = dict(kept)
    known: dict[str, Callable[..., Answer]] = {
        "focus": focus_paths,
        "frouros": frouros_alarms,
        "alibi": alibi_mmd,
    }
    answer = known[asked.pop("question")](**arrays, **asked)
    (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
