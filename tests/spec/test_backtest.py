"""A recording is watched as the server would watch it."""

from dataclasses import replace

import numpy as np
import pytest

from sincewhen.detect.budget import arl0, view_weight
from sincewhen.incidents.correlate import correlate
from sincewhen.plant import Plant
from sincewhen.processor.backtest import Recording, watch
from sincewhen_schemas.encode import encode_frames
from sincewhen_testing.station import GOLDEN, ONSET, START_NS, STEP_NS, Run, activation, columns, learned, stream

DAY_NS = 24 * 3600 * 10**9


@pytest.mark.parametrize("pause_ns", [0, DAY_NS])
def test_a_pause_longer_than_any_window_restarts_the_windows_as_in_the_server(pause_ns: int) -> None:
    data = stream(62)
    sha, profile = learned(data)
    at_ns = START_NS + np.arange(len(data[0])) * STEP_NS
    at_ns[ONSET + 3 :] += pause_ns
    server = Run({sha: profile})
    server.feed(activation(sha))
    for start in range(GOLDEN, len(at_ns), 50):
        frames = columns(data, start, start + 50)
        server.feed(encode_frames(replace(frames, captured_at_ns=at_ns[start : start + 50])))
    plant = Plant()
    run_length = arl0(
        profile.frames_per_week, plant.pages_per_week, view_weight(plant.budget_stations, plant.groups, 1)
    )
    recording = Recording(
        layers={"head": data[0].astype(np.float32)},
        at_ns=at_ns,
        scalars={"factor:brightness": data[1].astype(np.float64)},
        lot=data[2],
        pauses=True,
    )

    def opened(*, pauses: bool) -> list[int]:
        alarms = watch(replace(recording, pauses=pauses), profile, run_length, GOLDEN)
        return [int(at_ns[alarm.first.at]) for alarm in alarms]

    assert opened(pauses=True) == [incident.opened_at_ns for incident in correlate(server.outputs.detections)]
    assert (opened(pauses=True) == opened(pauses=False)) == (pause_ns == 0)
