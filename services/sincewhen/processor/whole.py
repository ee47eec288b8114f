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
        ln_z = np.full(self.n, np.nan, np.float32)
        return self._take(stream, monitor, rows, keep, cuts, ln_z), ln_z

    def go_on(
        self,
        stream: str,
        monitor: StreamMonitor,
        rows: Rows,
        keep: NDArray[np.bool_],
        alarm: tuple[int, float],
        ln_z: NDArray[np.float32],
    ) -> list[Event]:
        """Events of a stream whose detector alarmed at a frame, with an ln Z, and took no more; fills ln_z (n,)."""
        return self._take(stream, monitor, rows, keep, (), ln_z, alarm)

    def _take(
        self,
        stream: str,
        monitor: StreamMonitor,
        rows: Rows,
        keep: NDArray[np.bool_],
        cuts: Sequence[int],
        ln_z: NDArray[np.float32],
        alarm: tuple[int, float] | None = None,
    ) -> list[Event]:
        layer, is_part = layer_of(stream), stream.startswith(DERIVED)
        first = 0 if alarm is None else alarm[0] + 1
        taken = monitor.rows - int(np.count_nonzero(keep[:first]))
        back = [item for item in self._back.get(layer, []) if item[0] > first] if is_part else []
        events = [] if alarm is None else [monitor.alarmed(alarm[1], rows)]
        edges = sorted({first, self.n, *cuts, *(frame for frame, _ in back)}) if cuts or back else (first, self.n)
        for start, stop in itertools.pairwise(edges):
            if start in cuts:
                monitor.restart()
            part = slice(start, stop)
            found, ln_z[part][keep[part]] = monitor.update(rows.cut(start, stop).only(keep[part], monitor.owed))
            events += found
            events += [event for frame, whole in back if frame == stop for event in monitor.end_with(whole)]
        ends = _ends(events) if events and layer and not is_part else []
        if ends:
            valid = np.flatnonzero(keep)
            self._back[layer] = [(int(valid[event.at - taken]) + 1, event) for event in ends]
        return events


def _ends(events: Sequence[Event]) -> list[Event]:
    """By which a stream was back in control, one a row: not those that a larger change took the place of."""
    anew = {event.at for event in events if event.status == "provisional"}
    return [*{event.at: event for event in events if event.status == "ended" and event.at not in anew}.values()]
