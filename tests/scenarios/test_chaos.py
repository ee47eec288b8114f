"""A living stack is disturbed for some rounds: no frame is lost or counted twice, incidents are those of a calm run.

`make chaos SEED=N ROUNDS=M` runs more of it.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from sincewhen.correlator.bins import BIN_NS, PENDING_MAX
from sincewhen_testing.camera import FRAMES, GOLDEN, Camera
from sincewhen_testing.chaos import ROUND_S, Chaos, Sender
from sincewhen_testing.edge import run_edge, start_edge
from sincewhen_testing.recorded_line import GOLDEN as LINE_GOLDEN
from sincewhen_testing.recorded_line import STATIONS, RecordedLine, said
from sincewhen_testing.server import Server
from sincewhen_testing.stack import StackUnderTest

SEED, ROUNDS = int(os.environ.get("SEED", "71")), int(os.environ.get("ROUNDS", "6"))
STEP_NS, PART, LEARNED_PART = 10**9, 4, 250  # frames of a record, in the chaos and before it
TOGETHER = PENDING_MAX // 2 * (BIN_NS // STEP_NS) // LEARNED_PART  # parts: bins are kept for no station further ahead


@pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated")
def test_disturbances_lose_nothing_double_nothing_and_change_no_incident(tmp_path: Path) -> None:
    print(f"seed {SEED}, {ROUNDS} rounds")
    line, camera = RecordedLine(SEED, STEP_NS), Camera(tmp_path / "archive", SEED)
    known = list(line.parts(LINE_GOLDEN, line.learned, LEARNED_PART))
    rest = list(line.parts(line.learned, line.end, PART))
    calm_line = line.embedded(tmp_path / "embedded", [line.activations(), *known, *rest])
    with Server(tmp_path / "calm") as server:
        told = camera.learned(server, tmp_path / "calm-edge")
        run_edge(server, tmp_path / "calm-edge", *told, "--fast")
        calm_camera = camera.incidents(server)
    assert calm_line, "the line's story makes an incident"
    assert calm_camera, "the camera's story makes an incident"
    with StackUnderTest(tmp_path / "stack") as stack:
        for profile in line.profiles:
            stack.profiles.keep(profile)
        stack.send(line.activations())
        stack.caught_up()  # who was not heard of yet is not waited for
        for number, part in enumerate(known):
            stack.send(part)
            if number % TOGETHER == TOGETHER - 1:
                stack.caught_up()
        told = camera.learned(stack, tmp_path / "edge")
        stack.forget()
        lasts_s = ROUNDS * ROUND_S
        agent = [*told, "--rate", f"{(FRAMES - GOLDEN) / lasts_s:.2f}"]
        with Chaos(stack, np.random.default_rng(SEED), lambda: start_edge(stack, tmp_path / "edge", *agent)) as chaos:
            sender = Sender(stack, iter(rest), lasts_s / len(rest))
            sender.start()
            chaos.run(ROUNDS)
            sender.done()
            _, words = chaos.edge.communicate(timeout=lasts_s + 300)
            assert chaos.edge.returncode == 0, words.decode()
        stack.settled()
        assert said(stack.incidents().values()) == calm_line
        assert camera.incidents(stack) == calm_camera
        counted = {item["station_id"]: item["frames"] for item in stack.get("/api/v1/stations").json()}
        assert counted.pop("p/a/l/cam") == FRAMES
        assert counted == dict.fromkeys(STATIONS, line.frames // len(STATIONS))
        (row,) = stack.connection().rows(
            "SELECT count() AS n, uniqExact(station_id, agent_id, boot_id, seq) AS once FROM frames FINAL"
        )
        assert row == {"n": FRAMES + line.frames, "once": FRAMES + line.frames}
        assert stack.get("/api/v1/dead-letters").json() == []
