"""The next change while one is open: the e-SR on what lies across the open change's direction.

The open change's mean is measured on its newest frames and its direction taken out of every frame; a change that grows
or turns slowly is taken out anew every RENEWED_EVERY frames, so that only a second event is left to see. Streams of
few coordinates have nothing across: there the next change is seen once the open one has ended.
"""

from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.esr import Esr, EsrState
from sincewhen.profiles.null import StreamNull

RENEWED_EVERY = 256
DIMS_MIN = 4
STABLE_LOOKS = 8  # times in a row that the open change's mean stays where it was, until it is a level
_STABLE_SPREAD = 4.0  # standard deviations of the chi-square that a mean which stays may move by


@dataclass(slots=True)
class NextState:
    mean: NDArray[np.float32]  # (d,) of the open change, over its newest frames
    frames: int  # that the mean was measured on
    stable: int  # looks in a row at which it had not moved
    esr: EsrState

    def to_bytes(self) -> bytes:
        return msgspec.msgpack.encode((self.mean.tobytes(), self.frames, self.stable, self.esr.to_bytes()))

    @staticmethod
    def from_bytes(data: bytes) -> "NextState":
        mean, frames, stable, esr = msgspec.msgpack.decode(data, type=tuple[bytes, int, int, bytes])
        return NextState(np.frombuffer(mean, np.float32), frames, stable, EsrState.from_bytes(esr))


class NextChange:
    """Watches one stream while its newest change is dated and goes on."""

    def __init__(self, null: StreamNull, fingerprints: NDArray[np.float32] | None, state: NextState) -> None:
        self.state = state
        self._esr = Esr(uncertain(null, state.frames), state.esr, _across(fingerprints, state.mean))

    @staticmethod
    def begin(null: StreamNull, newest: NDArray[np.floating]) -> NextState:
        """Newest (n, d): the open change's newest frames."""
        mean = newest.mean(axis=0, dtype=np.float64).astype(np.float32)
        return NextState(mean, len(newest), 0, Esr(null).state)

    def update(self, x: NDArray[np.float32], lot_change: NDArray[np.bool_], ln_limit: float, /) -> NDArray[np.float64]:
        """Ln Z after each frame of x (n, d), up to and with the first that reaches ln_limit."""
        found = self._esr.update(across(x, self.state.mean), lot_change, ln_limit)
        self.state.esr = self._esr.state
        return found

    def renew(self, null: StreamNull, newest: NDArray[np.floating]) -> None:
        """Measure the open change anew on its newest frames (n, d)."""
        known, renewed = self.state, NextChange.begin(null, newest)
        noise = null.vt[-1] * (1 / known.frames + 1 / renewed.frames) + 2 * null.sigma2_lot
        moved = float(np.sum((renewed.mean - known.mean) ** 2 / noise))
        still = moved < null.dims + _STABLE_SPREAD * np.sqrt(2 * null.dims)
        renewed.stable = known.stable + 1 if still else 0
        self.state = renewed


def across(x: NDArray[np.floating], mean: NDArray[np.floating]) -> NDArray[np.float32]:
    """X (n, d) without its part along a mean (d,)."""
    unit = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return np.asarray(x - np.outer(x @ unit, unit), np.float32)


def uncertain(null: StreamNull, frames: int) -> StreamNull:
    """The null of residuals from a mean that was measured on so many frames."""
    return replace(null, n_ref=min(null.n_ref, frames))


def _across(fingerprints: NDArray[np.float32] | None, mean: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Fingerprints less the open change's direction; those that lie along it are no longer looked for."""
    if fingerprints is None or not len(fingerprints):
        return None
    left = across(fingerprints, mean)
    kept = np.linalg.norm(left, axis=1) > 0.5 * np.linalg.norm(fingerprints, axis=1)
    return np.asarray(left[kept])
