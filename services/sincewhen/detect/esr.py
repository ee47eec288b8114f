"""Dyadic e-Shiryaev-Roberts mixture: catches a change of the mean of unknown size, direction and age.

Level j keeps the sum of a window of 2^j..2^(j+1)-1 frames; Z mixes the likelihood ratios of all levels against the
null variance that the profile measured. For independent Gaussian frames with known parameters the expected time to
Z >= ARL0 in control is at least ARL0; elsewhere that is an empirical claim. Source: Shin, Ramdas & Rinaldo 2022,
"E-detectors"; the null variance from measured variance-time curves is this project's (3-detection §3).
"""

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from sincewhen.profiles.null import StreamNull

LEVEL_MIN = 3  # windows under 8 frames are left to T² and SPE: single outlier frames are no drift
SIZES = np.array([0.7, 2.0])  # prior displacement relative to the window


@dataclass(slots=True)
class EsrState:
    """Frames since the restart, and per level the open and the next window: sum, and lots as (closed n², run)."""

    frames: int
    sums: NDArray[np.float32]  # (levels, 2, d)
    lots: NDArray[np.int64]  # (levels, 2, 2)

    def to_bytes(self) -> bytes:
        return msgspec.msgpack.encode((self.frames, self.sums.shape, self.sums.tobytes(), self.lots.tobytes()))

    @staticmethod
    def from_bytes(data: bytes) -> "EsrState":
        frames, shape, sums, lots = msgspec.msgpack.decode(data, type=tuple[int, tuple[int, int, int], bytes, bytes])
        return EsrState(
            frames,
            np.frombuffer(sums, np.float32).reshape(shape).copy(),
            np.frombuffer(lots, np.int64).reshape(shape[0], 2, 2).copy(),
        )


class Esr:
    """One stream's detector. Levels j with 2^(j+1) <= n_max exist; a level is silent until it has 2^j frames."""

    def __init__(self, null: StreamNull, state: EsrState | None = None) -> None:
        self._levels = max(0, int(math.log2(null.n_max)) - LEVEL_MIN)
        n = np.arange(1, null.n_max + 1)[:, None]
        self._base = np.ascontiguousarray(n * null.vt + n**2 * null.vt[-1] / null.n_ref, np.float32)
        self._lot = np.ascontiguousarray(null.sigma2_lot, np.float32)
        self._dims = null.dims
        self.state = state or self._fresh()

    def update(
        self, x: NDArray[np.float32], lot_change: NDArray[np.bool_], ln_limit: float = math.inf, /
    ) -> NDArray[np.float64]:
        """Ln Z after each frame of x (n, d), up to and with the first that reaches ln_limit; later rows are not used.

        lot_change (n,): the frame begins another lot than the frame before it.
        """
        state = self.state
        out = np.empty(len(x))
        used = _update(
            np.ascontiguousarray(x, np.float32),
            lot_change,
            state.sums,
            state.lots,
            state.frames,
            self._base,
            self._lot,
            bool(self._lot.any()),
            ln_limit,
            out,
        )
        state.frames += used
        return out[:used]

    def restart(self) -> None:
        self.state = self._fresh()

    def _fresh(self) -> EsrState:
        levels = self._levels
        return EsrState(0, np.zeros((levels, 2, self._dims), np.float32), np.zeros((levels, 2, 2), np.int64))


@njit(cache=True, fastmath=False)
def _update(x, lot_change, sums, lots, frames, base, lot_variance, lots_matter, ln_limit, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0912, C901 - compiled by numba
    levels, d = sums.shape[0], x.shape[1]
    sizes = (0.7, 2.0)
    dims_factor = math.sqrt(64.0 / d)
    terms = np.empty(levels)
    for row in range(len(x)):
        frames += 1
        active = 0
        for level in range(levels):
            length = 1 << (level + LEVEL_MIN)
            for w in range(2):
                if lot_change[row]:
                    lots[level, w, 0] += lots[level, w, 1] * lots[level, w, 1]
                    lots[level, w, 1] = 0
                lots[level, w, 1] += 1
                for i in range(d):
                    sums[level, w, i] += x[row, i]
            phase = frames % length
            if phase == 0:
                for i in range(d):
                    sums[level, 0, i] = sums[level, 1, i]
                    sums[level, 1, i] = 0.0
                lots[level, 0, 0], lots[level, 0, 1] = lots[level, 1, 0], lots[level, 1, 1]
                lots[level, 1, 0], lots[level, 1, 1] = 0, 0
            if frames < length:
                continue
            n = length + phase
            together = np.float32(lots[level, 0, 0] + lots[level, 0, 1] * lots[level, 0, 1])
            chi2 = np.float32(0.0)
            if lots_matter:
                for i in range(d):
                    chi2 += sums[level, 0, i] * sums[level, 0, i] / (base[n - 1, i] + together * lot_variance[i])
            else:
                for i in range(d):
                    chi2 += sums[level, 0, i] * sums[level, 0, i] / base[n - 1, i]
            mixed = 0.0
            top = -np.inf
            parts = (0.0, 0.0)
            r0 = sizes[0] * dims_factor * n / length
            r1 = sizes[1] * dims_factor * n / length
            parts = (
                0.5 * r0 / (1 + r0) * chi2 - 0.5 * d * math.log1p(r0),
                0.5 * r1 / (1 + r1) * chi2 - 0.5 * d * math.log1p(r1),
            )
            top = max(parts[0], parts[1])
            mixed = top + math.log(0.5 * (math.exp(parts[0] - top) + math.exp(parts[1] - top)))
            terms[active] = mixed + math.log(length)
            active += 1
        if active == 0:
            out[row] = -np.inf
        else:
            top = terms[:active].max()
            total = 0.0
            for a in range(active):
                total += math.exp(terms[a] - top)
            out[row] = top + math.log(total) - math.log(active)
        if out[row] >= ln_limit:
            return row + 1
    return len(x)
