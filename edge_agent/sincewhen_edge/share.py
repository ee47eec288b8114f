"""A share of one core: work is done only as far as the CPU time spent on it stays within the share."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_SAVED_NS_MAX = 500_000_000  # CPU time that an idle line may save up


@dataclass(slots=True)
class CoreShare:
    """`share` of a core (0..1); 1 or more: always allowed. Clocks: monotonic ns, and CPU ns of the calling thread."""

    share: float
    now_ns: Callable[[], int] = time.monotonic_ns
    cpu_ns: Callable[[], int] = time.thread_time_ns
    _saved_ns: float = 0.0
    _at_ns: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def allows(self) -> bool:
        """Whether there is CPU time left to spend."""
        if self.share >= 1:
            return True
        with self._lock:
            now = self.now_ns()
            earned = (now - self._at_ns) * self.share if self._at_ns else _SAVED_NS_MAX * self.share
            self._saved_ns = min(_SAVED_NS_MAX * self.share, self._saved_ns + earned)
            self._at_ns = now
            return self._saved_ns > 0

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the CPU time of the block."""
        start = self.cpu_ns()
        try:
            yield
        finally:
            spent = self.cpu_ns() - start
            with self._lock:
                self._saved_ns -= spent
