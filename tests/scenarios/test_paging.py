"""A page needs neither store nor console: it is at Alertmanager within seconds of the detection."""

import time
from pathlib import Path

import msgspec

from sincewhen.log.kafka import records
from sincewhen.stack.stack import PARTITIONS_MAX
from sincewhen_schemas.messages import Findings
from sincewhen_testing.alertmanager import running_alertmanager
from sincewhen_testing.recorded_line import GOLDEN, STATIONS, RecordedLine
from sincewhen_testing.spooled import until
from sincewhen_testing.stack import StackUnderTest

SEED, PART, CALM = 93, 4, 200
WITHIN_S = 5.0


def detected_at_s(stack: StackUnderTest) -> float:
    """When the first detection that is worth a page was appended to findings."""
    decoder = msgspec.json.Decoder(Findings)
    return min(
        record.appended_at_ns / 1e9
        for record in records(stack.settings, "findings", range(PARTITIONS_MAX))
        if any(found.verdict == "paging" for found in decoder.decode(record.value).detections)
    )


def test_a_page_is_out_within_five_seconds_while_store_and_console_are_down(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    line = RecordedLine(SEED)
    with running_alertmanager(tmp_path / "alertmanager", group_wait="1s") as manager:
        manager.start()
        options = f'alertmanager = {{ url = "{manager.url}" }}'
        with StackUnderTest(tmp_path / "stack", processors=1, options=options) as stack:
            for profile in line.profiles:
                stack.profiles.keep(profile)
            stack.send(line.activations())
            for part in line.parts(GOLDEN, GOLDEN + CALM, PART):
                stack.send(part)
            stack.caught_up()
            stack.kill("store")
            stack.kill("console")
            bright = line.parts(line.onset, line.end, PART)
            while not manager.alerts():
                stack.send(next(bright))
                time.sleep(0.1)
            paged_s = time.time()
            took_s = paged_s - detected_at_s(stack)
            print(f"at Alertmanager {took_s:.2f} s after the detection")
            assert took_s < WITHIN_S
            assert {alert["labels"]["station"] for alert in manager.alerts()} <= set(STATIONS)
            until(lambda: manager.pages)
