"""The demonstration: two stations, real surfaces, a server and two edge agents in processes of their own.

The demonstrator plays the line (pictures and an index on disk), the integrator (has the edge build a reference set of
golden pictures) and the engineer (builds and activates the profile that the server proposes). What the stories do, and
when, stays with the judge.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from sincewhen.demo.judge import Stage, judge
from sincewhen.demo.scene import Plan, Story, Truth, lot_rows, write_stream

FRAME_S = 1.0
PINNED = 16  # pictures of a reference set
_WAIT_S, _POLL_S = 600.0, 0.3
_SCENES: tuple[tuple[str, Story, str, str], ...] = (
    ("demo/casting/line1/stationA", "supplier lot", "gravel", "grass"),
    ("demo/casting/line1/stationB", "lens haze", "brick", "grass"),
)
Told = Callable[[str, int, int], None]


class DemoError(RuntimeError):
    """The demonstration can't go on; the message says where to look."""


@dataclass(slots=True)
class Demo:
    """`folder` is the demonstration's own; told(what, done, of) is called as it goes on."""

    folder: Path
    url: str
    seed: int
    told: Told
    plan: Plan = field(default_factory=Plan)

    def run(self, token: str) -> dict[str, Any]:
        """Play both stories to their end and judge them; the value of build/demo.json."""
        began = time.monotonic()
        stages = self._paint()
        self._send("golden.csv")
        self._pin(token)
        for stage in stages:
            self._activate(stage.station_id, token)
        self._send("rest.csv")
        incidents = httpx.get(f"{self.url}/api/v1/incidents", timeout=60).json()
        judged = [judge(stage, incidents) for stage in stages]
        false = sum(count for _, _, count in judged)
        return {
            "ok": all(ok for _, ok, _ in judged) and false == 0,
            "seed": self.seed,
            "elapsed_s": round(time.monotonic() - began, 1),
            "stories": [report for report, _, _ in judged],
            "false_incidents": false,
        }

    def _paint(self) -> list[Stage]:
        """Draw every picture, one process a station; the last frame is captured about now."""
        start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=self.plan.frames * FRAME_S)
        stages: list[Stage] = []
        with ProcessPoolExecutor(len(_SCENES)) as painters:
            drawn = []
            for number, (station, story, base, other) in enumerate(_SCENES):
                folder, seed = self._pictures(station), self.seed * len(_SCENES) + number
                drawn.append(painters.submit(_draw, folder, self.plan, story, base, other, seed, start))
            while not all(job.done() for job in drawn):
                count = sum(len(list(self._pictures(station).glob("*.jpg"))) for station, *_ in _SCENES)
                self.told("drawing pictures", count, self.plan.frames * len(_SCENES))
                time.sleep(_POLL_S)
            for number, ((station, story, *_), job) in enumerate(zip(_SCENES, drawn, strict=True)):
                lots = lot_rows(self.plan, story, self.seed * len(_SCENES) + number)
                stages.append(Stage(station, job.result(), start, FRAME_S, lots))
        return stages

    def _send(self, index: str) -> None:
        """Run both edge agents over one part of their streams, until the server has applied it."""
        agents = [self._images(station, index) for station, *_ in _SCENES]
        frames = self.plan.golden if index == "golden.csv" else self.plan.frames - self.plan.golden
        before = self._frames()
        what = "learning what in-control looks like" if index == "golden.csv" else "watching the line"
        while True:
            ended = self._ended(agents)
            seen = self._frames() - before
            self.told(what, seen, frames * len(_SCENES))
            if all(code == 0 for code in ended) and seen >= frames * len(_SCENES):
                return
            time.sleep(_POLL_S)

    def _pin(self, token: str) -> None:
        """The integrator: pins golden pictures of each station, and the edge sends what faults do to them."""
        builds = [self._reference(station, token) for station, *_ in _SCENES]
        while None in (ended := self._ended(builds)):
            self.told("learning what camera faults look like", ended.count(0), len(builds))
            time.sleep(_POLL_S)

    def _ended(self, agents: "list[subprocess.Popen[bytes]]") -> list[int | None]:
        """Exit codes of those that ended."""
        ended = [agent.poll() for agent in agents]
        if any(ended):
            raise DemoError(f"an edge agent ended with {ended}: see {self.folder}/*.log")
        return ended

    def _images(self, station: str, index: str) -> "subprocess.Popen[bytes]":
        pictures, name = self._pictures(station), _short(station)
        command = ["images", str(pictures), "--index", str(pictures / index), "--fast"]
        command += ["--spool", str(self.folder / f"{name}.db"), "--agent-id", f"demo-{name}"]
        return self._agent(command, station, f"{name}-{index}.log", "")

    def _reference(self, station: str, token: str) -> "subprocess.Popen[bytes]":
        """Pin pictures from all over the golden frames."""
        pinned = self.folder / "pinned" / _short(station)
        pinned.mkdir(parents=True)
        for number in range(PINNED):
            picture = f"{(2 * number + 1) * self.plan.golden // (2 * PINNED):06d}.jpg"
            shutil.copyfile(self._pictures(station) / picture, pinned / picture)
        return self._agent(["reference", "build", str(pinned)], station, f"{_short(station)}-reference.log", token)

    def _agent(self, command: list[str], station: str, log: str, token: str) -> "subprocess.Popen[bytes]":
        whole = [sys.executable, "-m", "sincewhen_edge", *command]
        whole += ["--station", station, "--server", self.url, "--side", str(self.plan.size)]
        alone = {**os.environ, "OMP_NUM_THREADS": "1", "SINCEWHEN_SERVER": self.url, "SINCEWHEN_TOKEN": token}
        with (self.folder / log).open("wb") as file:
            return subprocess.Popen(whole, stdout=file, stderr=file, env=alone)  # noqa: S603 - our own command

    def _frames(self) -> int:
        return sum(int(item["frames"]) for item in self._stations())

    def _stations(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v1/stations", timeout=60).json()
        return found

    def _activate(self, station: str, token: str) -> None:
        """The engineer: takes the window that the server proposes, reads the A/A result, activates."""
        self.told(f"building the profile of {station}", 0, 1)
        (status,) = [item for item in self._stations() if item["station_id"] == station]
        if not status["proposal"]:
            raise DemoError(f"{station} can't be learned yet: missing {', '.join(status['missing'])}")
        who = {"Authorization": f"Bearer {token}"}
        window = {"station": station, "view": status["view"], **status["proposal"]}
        built = httpx.post(f"{self.url}/api/v1/profiles", json=window, headers=who, timeout=_WAIT_S)
        if built.is_error:
            raise DemoError(f"no profile for {station}: {built.json()['detail']}")
        reason = {"reason": "the A/A self-test passed", "by": "demonstration"}
        path = f"{self.url}/api/v1/profiles/{built.json()['sha']}/activate"
        httpx.post(path, json=reason, headers=who, timeout=60).raise_for_status()

    def _pictures(self, station: str) -> Path:
        return self.folder / "pictures" / _short(station)


def _short(station: str) -> str:
    return station.rsplit("/", 1)[-1]


def _draw(folder: Path, plan: Plan, story: Story, base: str, other: str, seed: int, start: datetime) -> Truth:
    """In a process of its own: the pictures, and the index in two parts, before and after the profile is made."""
    truth = write_stream(folder, plan=plan, story=story, base=base, other=other, seed=seed, start=start)
    header, *rows = (folder / "index.csv").read_text().splitlines(keepends=True)
    (folder / "golden.csv").write_text(header + "".join(rows[: plan.golden]))
    (folder / "rest.csv").write_text(header + "".join(rows[plan.golden :]))
    return truth
