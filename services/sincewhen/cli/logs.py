"""What a process says to its standard error: one line an event."""

import logging
import time
from collections.abc import Callable

_AGAIN_S, _LINES_MAX = 60.0, 64


def to_stderr() -> None:
    """WARNING recovered; ERROR lost data or needs a human. Clients tell of lost connections again and again."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("sincewhen").addFilter(Once())
    for name in ("kafka.net", "kafka.cluster", "kafka.coordinator", "kafka.consumer", "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class Once(logging.Filter):
    """What is waited for is said once a minute, and anew once Kafka has served again."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._said: dict[str, float] = {}  # when

    def filter(self, record: logging.LogRecord) -> bool:
        line, now = record.getMessage(), self._now_s()
        if line == "served" or len(self._said) >= _LINES_MAX:
            self._said.clear()
        if not line.startswith("waiting "):
            return True
        new = now - self._said.get(line, -_AGAIN_S) >= _AGAIN_S
        if new:
            self._said[line] = now
        return new
