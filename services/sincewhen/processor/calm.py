"""The streams of a view that are in control: their detectors and pasts take a batch in one compiled call.

Most streams are in control most of the time, and what a frame costs is then what it costs to call one thing after the
other. What an alarm begins is the monitor's own (`monitor.py`), with the frames behind it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numba.typed import List
from numpy.typing import NDArray

from sincewhen.detect.esr import update_frames
from sincewhen.onset.history import rows_calm
from sincewhen.onset.ledger import BLOCK, BLOCKS, CAPACITY_MAX, ROWS, append
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.score.score import Scores

_NOT = -1


@dataclass(frozen=True, slots=True)
class Began:
    """By stream (S,): the rows of it that were taken, -1 where all are left to its monitor; the frame that alarmed, or
    -1, and its ln Z. ln_z (S, n): NaN at frames that were not taken.
    """

    rows: list[int]
    alarm: list[int]
    alarm_ln_z: list[float]
    ln_z: NDArray[np.float32]


class Calm:
    """Of one view's monitors, in the order of their profile's streams."""

    def __init__(self, monitors: Mapping[str, StreamMonitor]) -> None:
        self._names, self._monitors = tuple(monitors), tuple(monitors.values())
        self._held = [monitor.history.compiled for monitor in self._monitors]
        self._streams = List()
        for monitor in self._monitors:
            self._streams.append(_compiled(monitor))
        self._limits = np.array([math.log(monitor.arl0) for monitor in self._monitors])
        self._rows_max = np.array([rows_calm(monitor.null) for monitor in self._monitors])

    def take(
        self,
        scores: Scores,
        at_ns: NDArray[np.int64],
        begins: tuple[NDArray[np.bool_], NDArray[np.bool_]],
        cuts: Mapping[str, Sequence[int]],
    ) -> Began:
        """Take n frames; begins: which begin a lot, and a lot, supplier lot, sku or recipe; cuts: where windows do."""
        chosen = [
            number
            for number, (name, monitor) in enumerate(zip(self._names, self._monitors, strict=True))
            if monitor.is_calm and not cuts[name]
        ]
        for number in chosen:
            now = self._monitors[number].history.compiled
            if any(one is not other for one, other in zip(now[:2], self._held[number][:2], strict=True)):
                self._held[number], self._streams[number] = now, _compiled(self._monitors[number])
        rows, alarm = np.full(len(self._monitors), _NOT), np.full(len(self._monitors), _NOT)
        highest = np.zeros(len(self._monitors))
        ln_z = np.full((len(self._monitors), len(at_ns)), np.nan, np.float32)
        owed = np.array([(monitor.owed.lot, monitor.owed.step) for monitor in self._monitors])
        frames = np.array([monitor.detector.state.frames for monitor in self._monitors])
        batch = (scores.flat, scores.offsets, scores.valid_rows, at_ns, *begins, scores.doubt)
        told = (owed, frames, self._limits, self._rows_max)
        _take(self._streams, np.array(chosen, np.int64), batch, told, rows, alarm, highest, ln_z)
        began = Began(rows.tolist(), alarm.tolist(), highest.tolist(), ln_z)
        for number, (lot, step) in zip(chosen, owed[chosen].tolist(), strict=True):
            if began.rows[number] != _NOT:
                monitor = self._monitors[number]
                monitor.took(began.rows[number])
                monitor.owed.lot, monitor.owed.step = lot, step
                layer = scores.layer(self._names[number])
                if layer is not None:
                    monitor.history.push_layer(layer[scores.valid_rows[number]][: began.rows[number]])
        return began


def _compiled(monitor: StreamMonitor) -> tuple[Any, ...]:
    return (*monitor.detector.compiled, *monitor.history.compiled)


@njit(cache=True)
def _take(streams, chosen, batch, told, taken, alarm, highest, ln_z):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """Fills taken, alarm, highest and ln_z, changes owed. A stream whose past has no room is left to its monitor."""
    flat, offsets, valid, at_ns, lot, step, doubt = batch
    owed, frames, limits, rows_max = told
    n = len(at_ns)
    index, lots, steps = np.empty(n, np.int64), np.empty(n, np.bool_), np.empty(n, np.bool_)
    for number in chosen:
        memory, null, library, priors, lot_frames, rows, blocks, at = streams[number]
        more = at[BLOCKS] + 2 + max(0, at[ROWS] + n - rows_max[number]) // BLOCK
        room = max(rows_max[number] + 2 * BLOCK, at[ROWS] + BLOCK)
        if len(rows[0]) < room or len(blocks[0]) < min(CAPACITY_MAX, more):
            continue
        count = 0
        for row in range(n):
            owed[number, 0] |= lot[row]
            owed[number, 1] |= step[row]
            if valid[number, row]:
                index[count], lots[count], steps[count] = row, owed[number, 0], owed[number, 1]
                owed[number, 0], owed[number, 1] = False, False
                count += 1
        d = len(memory[0])
        x = flat[offsets[number] : offsets[number] + n * d].reshape(n, d)
        seen, times, doubts = x, at_ns, doubt
        if count < n:
            seen, times, doubts = x[index[:count]], at_ns[index[:count]], doubt[index[:count]]
        out = np.empty(count)
        limit = limits[number]
        used = update_frames(
            seen, lots[:count], doubts, frames[number], memory, null, library, priors, lot_frames, limit, out
        )
        append((seen[:used], times[:used], lots[:used], steps[:used]), rows, blocks, at, rows_max[number])
        for row in range(used):
            ln_z[number, index[row]] = out[row]
        taken[number] = used
        if used and out[used - 1] >= limit:
            alarm[number], highest[number] = index[used - 1], out[used - 1]
            owed[number, 0], owed[number, 1] = False, False  # what is behind the alarm is not taken
