"""Second opinions on one scalar's standardised subgroup means: river's ADWIN and Page-Hinkley. They never page alone.

river keeps ADWIN's state in compiled code and reads it back only through pickle's hooks, in a layout of its own that
panics on foreign bytes. So the state is the input: the values that a detector has seen since it began, from which it
is rebuilt. A detector begins anew when it detects, and from its newest half when it has seen VALUES_MAX values,
whether or not the process was restarted; what that half shows by itself is detected then.
Sources: Bifet & Gavaldà 2007; Page 1954.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from river.drift import ADWIN, PageHinkley

VALUES_MAX = 512
ADWIN_DELTA = 0.002
PH_DELTA, PH_THRESHOLD = 0.25, 20.0  # standard deviations


class Method(StrEnum):
    ADWIN = "adwin"
    PAGE_HINKLEY = "page_hinkley"


@dataclass(frozen=True, slots=True)
class Opinion:
    """The mean has changed, says the method, at this row of the batch."""

    row: int
    method: Method


@dataclass(slots=True)
class SecondOpinionState:
    """The newest values as float32, oldest first, and how many of them each method's detector has seen."""

    values: deque[float] = field(default_factory=lambda: deque(maxlen=VALUES_MAX))
    seen: dict[Method, int] = field(default_factory=lambda: dict.fromkeys(Method, 0))

    def newest(self, count: int) -> list[float]:
        return list(self.values)[len(self.values) - count :]

    def to_bytes(self) -> bytes:
        return msgspec.msgpack.encode((np.array(self.values, np.float32).tobytes(), self.seen))

    @staticmethod
    def from_bytes(data: bytes) -> "SecondOpinionState":
        values, seen = msgspec.msgpack.decode(data, type=tuple[bytes, dict[Method, int]])
        return SecondOpinionState(deque(np.frombuffer(values, np.float32).tolist(), VALUES_MAX), seen)


class _Detector(Protocol):
    @property
    def drift_detected(self) -> bool: ...
    def update(self, x: float) -> None: ...


class SecondOpinion:
    """Both methods on one scalar."""

    def __init__(self, state: SecondOpinionState | None = None) -> None:
        self.state = state or SecondOpinionState()
        self._detectors: dict[Method, _Detector] = {}
        for method, count in list(self.state.seen.items()):
            self._begin(method, self.state.newest(count))

    def update(self, z: NDArray[np.floating], /) -> list[Opinion]:
        """Take finite values z (n,) of subgroups in order, standardised by both parts of `charts.accumulated_sigma`."""
        opinions = []
        for row, value in enumerate(np.asarray(z, np.float32).tolist()):
            self.state.values.append(value)
            for method in Method:
                found = self._take(method, value)
                if self.state.seen[method] == VALUES_MAX:
                    found |= self._begin(method, self.state.newest(VALUES_MAX // 2))
                if found:
                    opinions.append(Opinion(row, method))
        return opinions

    def _begin(self, method: Method, values: list[float]) -> bool:
        """Give the method a detector that has seen these values; whether it detected among them."""
        self._detectors[method] = _fresh(method)
        self.state.seen[method] = 0
        return sum(self._take(method, value) for value in values) > 0

    def _take(self, method: Method, value: float) -> bool:
        detector = self._detectors[method]
        detector.update(value)
        self.state.seen[method] += 1
        if detector.drift_detected:
            self._begin(method, [])
            return True
        return False


def _fresh(method: Method) -> _Detector:
    if method == Method.ADWIN:
        return ADWIN(delta=ADWIN_DELTA, clock=1)  # type: ignore[no-untyped-call]  # river annotates in part
    return PageHinkley(delta=PH_DELTA, threshold=PH_THRESHOLD)
