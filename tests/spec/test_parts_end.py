"""What a layer's end says of its parts."""

import pytest

from sincewhen_testing.station import ONSET, START_NS, STEP_NS, run

PARTS = ("t2:", "spe:", "slice:")


@pytest.mark.parametrize("seed", [71, 72, 73])
def test_what_is_a_part_of_a_layer_is_over_when_the_layer_is(seed: int) -> None:
    print(f"seed {seed}")
    told = [item for item in run(seed, 32).outputs.detections if item.alarm_at_ns >= START_NS + ONSET * STEP_NS]
    (whole,) = [item for item in told if item.stream == "embedding:head" and item.status == "ended"]
    parts = [item for item in told if item.stream.startswith(PARTS) and item.alarm_at_ns <= whole.updated_at_ns]
    assert parts
    ended = {item.detection_id: item for item in parts if item.status == "ended"}
    assert ended.keys() == {item.detection_id for item in parts}
    assert max(item.updated_at_ns for item in ended.values()) <= whole.updated_at_ns
