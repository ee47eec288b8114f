"""One stream from golden frames through the product's monitor, with a change of known onset and end."""

from collections.abc import Iterator

import numpy as np

from benchmarks.cell import Floats
from benchmarks.streams import Learned
from sincewhen.processor.event import Event, Rows
from sincewhen.processor.monitor import StreamMonitor

ARL0 = 1e4
_CHUNK = 128


def events(stream: Learned, x: Floats) -> Iterator[Event]:
    """Of frames x (n, d), in the order in which they are known; no more frames are used than are asked for."""
    monitor = StreamMonitor(stream.null, ARL0)
    residuals = stream.about(x)
    for start in range(0, len(x), _CHUNK):
        part = residuals[start : start + _CHUNK]
        none = np.zeros(len(part), bool)
        at_ns = np.arange(start, start + len(part)) * 10**9
        found, _ = monitor.update(Rows(part, at_ns, none, none, np.ones(len(part), np.float32)))
        yield from found
