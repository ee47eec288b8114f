"""What a process says while it waits."""

import logging

import pytest

from sincewhen.cli.logs import Once


def test_what_is_waited_for_is_said_once_a_minute_and_anew_after_kafka_has_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    log = logging.getLogger("sincewhen.test")
    log.addFilter(Once(lambda: now[0]))
    for at in (0.0, 1.0, 59.0, 60.0):
        now[0] = at
        log.warning("waiting problem=%s", "a")
        log.error("waiting problem=%s", "b")
    assert [record.args for record in caplog.records] == [("a",), ("b",)] * 2
    caplog.clear()
    log.warning("served")
    log.warning("waiting problem=%s", "a")
    log.warning("store_recovered")
    log.warning("store_recovered")
    assert len(caplog.records) == 4
