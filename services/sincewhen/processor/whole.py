"""The streams of a view over one batch, wholes before their parts.

A layer's slices, T² and SPE are parts of it. What moves a layer moves them, and they are slower to be sure that it is
over: slices have some of the frames, outliers move little. So with a layer that is back in control its parts are too,
as far as is known: what of them is not is found again by itself. Of a layer that never left control parts end by
themselves.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sincewhen.processor.event import Event, Rows
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.processor.view import DERIVED
from sincewhen.profiles.streams import layer_of


def in_order(streams: Iterable[str]) -> list[str]:
    """Wholes first."""
    return sorted(streams, key=lambda stream: stream.startswith(DERIVED))


@dataclass(slots=True)
class Batch:
    """Of n frames. _back: by layer, behind which frames it was known to be back in control, and by which event."""

    n: int
    _back: dict[str, list[tuple[int, Event]]] = field(default_factory=dict)

    def take(
        self, stream: str, monitor: StreamMonitor, rows: Rows, keep: NDArray[np.bool_], cuts: Sequence[int]
    ) -> tuple[list[Event], NDArray[np.float32]]:
        """The stream's events, and ln Z (n,), NaN where there is none. cuts: frames before which windows start anew."""
        layer, is_part = layer_of(stream), stream.startswith(DERIVED)
        back = self._back.get(layer, []) if is_part else []
        ln_z, events = np.full(self.n, np.nan, np.float32), []
        taken, valid = monitor.rows, np.flatnonzero(keep)
        for start, stop in itertools.pairwise(sorted({0, self.n, *cuts, *(frame for frame, _ in back)})):
            if start in cuts:
                monitor.restart()
            part = slice(start, stop)
            found, ln_z[part][keep[part]] = monitor.update(rows.cut(start, stop).only(keep[part], monitor.owed))
            events += found
            events += [event for frame, whole in back if frame == stop for event in monitor.end_with(whole)]
        if layer and not is_part:
            self._back[layer] = [(int(valid[event.at - taken]) + 1, event) for event in _ends(events)]
        return events, ln_z


def _ends(events: Sequence[Event]) -> list[Event]:
    """By which a stream was back in control, one a row: not those that a larger change took the place of."""
    anew = {event.at for event in events if event.status == "provisional"}
    return [*{event.at: event for event in events if event.status == "ended" and event.at not in anew}.values()]
