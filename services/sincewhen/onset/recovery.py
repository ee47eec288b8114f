"""Until when: a reverse CUSUM on the running drift mean (3-detection §4, Page 1954).

While the drift lasts, the log likelihood ratio "drift over" against "drift goes on" falls and the CUSUM stays near 0,
where the drift mean is refreshed; once the stream is back in control it climbs to the limit.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.signal import lfilter

from sincewhen.onset.date import interval
from sincewhen.profiles.null import StreamNull

LIMIT = 11.5
REFRESH_FRAMES = 32
END_FRAMES_MIN = 8  # fewer frames in control are outliers, not an end
HOLD_FRAMES = 100  # after the alarm; the end is looked for from the next frame on
Floats = NDArray[np.float64]


@dataclass(slots=True)
class RecoveryState:
    """Sums since the onset, and the refreshed mean."""

    frames: int  # since the onset
    since_alarm: int
    cusum: float
    since_zero: int
    since_refresh: int
    sum_to_zero: NDArray[np.float64]  # (d,) onset to the last zero
    frames_to_zero: int
    sum_after: NDArray[np.float64]  # (d,) after the last zero
    mean: NDArray[np.float64]  # (d,)

    def to_bytes(self) -> bytes:
        head = (self.frames, self.since_alarm, self.cusum, self.since_zero, self.since_refresh, self.frames_to_zero)
        arrays = (self.sum_to_zero, self.sum_after, self.mean)
        return msgspec.msgpack.encode((head, *(array.tobytes() for array in arrays)))

    @staticmethod
    def from_bytes(data: bytes) -> "RecoveryState":
        kind = tuple[tuple[int, int, float, int, int, int], bytes, bytes, bytes]
        head, *raw = msgspec.msgpack.decode(data, type=kind)
        to_zero, after, mean = (np.frombuffer(item, np.float64).copy() for item in raw)
        frames, since_alarm, cusum, since_zero, since_refresh, frames_to_zero = head
        return RecoveryState(
            frames, since_alarm, cusum, since_zero, since_refresh, to_zero, frames_to_zero, after, mean
        )


class Recovery:
    """Looks for the end of one open change."""

    def __init__(self, null: StreamNull, state: RecoveryState) -> None:
        self._null = null
        self._weight = 1 / null.vt[-1].astype(np.float64)
        self.state = state

    @staticmethod
    def begin(drifted: NDArray[np.float32]) -> RecoveryState:
        """State at the alarm from the residuals (n, d) since the onset, the alarm's frame included."""
        dims = drifted.shape[1]
        total = drifted.astype(np.float64).sum(axis=0)
        return RecoveryState(
            frames=len(drifted),
            since_alarm=0,
            cusum=0.0,
            since_zero=0,
            since_refresh=0,
            sum_to_zero=total,
            frames_to_zero=len(drifted),
            sum_after=np.zeros(dims),
            mean=total / len(drifted),
        )

    def update(self, x: NDArray[np.float32], /) -> int | None:
        """Take residuals x (n, d); the row of the alarm that the change has ended, or None. Later rows are not used."""
        state = self.state
        counts = np.array(
            [state.frames, state.since_alarm, state.since_zero, state.since_refresh, state.frames_to_zero], np.int64
        )
        end, state.cusum = _advance(
            np.ascontiguousarray(x, np.float64),
            self._weight,
            state.cusum,
            counts,
            state.sum_to_zero,
            state.sum_after,
            state.mean,
        )
        state.frames, state.since_alarm, state.since_zero, state.since_refresh, state.frames_to_zero = counts.tolist()
        return None if end < 0 else int(end)

    def ended(self, x: NDArray[np.floating], step_ages: tuple[int, ...] = ()) -> tuple[int, int, int]:
        """Ages (frames before the newest one) of the first frame in control: 2.5 %, 50 %, 97.5 % point, newest first.

        x (n, d): the newest residuals, at most those since the alarm. step_ages: ages of frames that begin another lot
        or recipe; half of the prior lies on them.
        """
        kept = min(len(x), self.state.since_alarm)
        score = self._score(np.asarray(x[len(x) - kept :], np.float64))
        prior = np.ones(kept)
        marked = [kept - 1 - age for age in step_ages if 0 <= age < kept]
        prior[marked] += kept / len(marked) if marked else 0
        posterior = np.exp(score - score.max()) * prior
        low, middle, high = interval(posterior / posterior.sum())
        return kept - 1 - high, kept - 1 - middle, kept - 1 - low

    def _score(self, x: Floats) -> Floats:
        """Log likelihood ratio (n,) of the drift's mean being gone from each row on, in innovations (see `date.py`)."""
        measured = float(self._weight @ self.state.mean**2)
        drift = _drift(measured, len(self.state.mean), self.state.frames_to_zero)
        mean = self.state.mean * (drift / max(measured, 1e-12))
        score = np.zeros(len(x))
        scale = self._null.innovation_scale.astype(np.float64)
        for slope, moving, columns in self._null.noise_groups():
            weight = mean[columns] * scale[columns] ** 2
            filtered = lfilter([1, -slope], [1, -moving], (x[:, columns] - mean[columns]) @ weight)
            step = lfilter([1, -slope], [1, -moving], np.ones(len(x)))
            matched = np.correlate(filtered, step, "full")[len(x) - 1 :]
            score -= matched + 0.5 * (mean[columns] @ weight) * np.cumsum(step**2)[::-1]
        return score / max(1.0, self._null.spread(mean / self._null.vt[-1]))


@njit(cache=True)
def _drift(measured, dims, frames):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """The squared size of a drift whose mean over so many frames measures so much, noise included."""
    return max(measured - dims / max(frames, 1), 0.2 * measured)


@njit(cache=True)
def _advance(x, weight, cusum, counts, to_zero, after, mean):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    dims = x.shape[1]
    for row in range(len(x)):
        y, v = 0.0, 0.0
        for i in range(dims):
            y += mean[i] * x[row, i] * weight[i]
            v += mean[i] * mean[i] * weight[i]
            after[i] += x[row, i]
        size = _drift(v, dims, counts[4])
        gained = min(-(size * y - size * size / 2) / max(v, 1e-12), LIMIT / END_FRAMES_MIN)
        counts[0] += 1
        counts[1] += 1
        counts[2] += 1
        counts[3] += 1
        cusum += gained
        if cusum <= 0:
            cusum = 0.0
            for i in range(dims):
                to_zero[i] += after[i]
                after[i] = 0.0
            counts[4] += counts[2]
            counts[2] = 0
            if counts[3] >= REFRESH_FRAMES:
                for i in range(dims):
                    mean[i] = to_zero[i] / counts[4]
                counts[3] = 0
        if cusum > LIMIT and counts[1] > HOLD_FRAMES:
            return row, cusum
    return -1, cusum
