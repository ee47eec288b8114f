"""How fast an archive is played."""

import threading
import time
from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """`rate` frames a second; 0 = as fast as possible; None = as the capture times say."""

    rate: float | None
    _first_ns: int | None = None
    _started: float = 0.0
    _frames: int = 0

    def wait(self, captured_at_ns: int) -> None:
        """Return when it is this frame's turn."""
        if self.rate == 0:
            return
        if self._first_ns is None:
            self._first_ns, self._started = captured_at_ns, time.monotonic()
        due = self._frames / self.rate if self.rate else (captured_at_ns - self._first_ns) / 1e9
        self._frames += 1
        threading.Event().wait(max(0.0, self._started + due - time.monotonic()))
