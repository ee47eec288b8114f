"""What does not reach the server, by reason: counted always, said once a reason."""

import contextlib
import logging
import threading
from collections import Counter

log = logging.getLogger("sincewhen_edge")


class Counts:
    """Thread-safe; never raises, because it speaks on the host's threads too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held for a counter's time only
        self._counts: Counter[str] = Counter()

    def dropped(self, reason: str, frames: int = 1, error: Exception | None = None) -> None:
        """Whole frames."""
        self._count("frame_dropped", reason, frames, error)

    def left_out(self, reason: str, values: int = 1, error: Exception | None = None) -> None:
        """Values of frames that go on without them."""
        if values:
            self._count("value_left_out", reason, values, error)

    def by_reason(self) -> dict[str, int]:
        with self._lock:
            return dict(+self._counts)

    def _count(self, what: str, reason: str, n: int, error: Exception | None) -> None:
        with self._lock:
            first = reason not in self._counts
            self._counts[reason] += n
        if first:
            with contextlib.suppress(Exception):  # the host's logging, or the repr of its error, may raise
                log.warning("%s reason=%s %s", what, reason, "" if error is None else f"error={error!r}")
