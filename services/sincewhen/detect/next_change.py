"""The next change while one is open: the e-SR on what lies across the open change's direction.

The open change's mean is measured on its newest frames and its direction taken out of every frame, anew every
RENEWED_EVERY frames. While it still moves nothing is looked for: a change that grows turns as well, and would be found
again and again. Streams of few coordinates have nothing across: there the next change is seen once the open one ended.
"""

from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.esr import Esr, EsrState
from sincewhen.profiles.null import StreamNull

RENEWED_EVERY = 256
DIMS_MIN = 4
LEVEL_LOOKS = 8  # at which the open change's mean stayed where it was, until it is a level
_MOVED_LOOKS = 2  # that one at which it moved takes back: one in ten moves by chance
_LOOKS_STILL = 2  # in a row, from which on a second change is looked for
_STABLE_SPREAD = 1.5  # standard deviations of the chi-square that a mean which stays may move by


@dataclass(slots=True)
class NextState:
    mean: NDArray[np.float32]  # (d,) of the open change, over its newest frames
    frames: int  # that the mean was measured on
    stable: int  # looks in a row at which it did not move
    level: int  # looks at which it did not move, less twice those at which it did
    esr: EsrState

    def to_bytes(self) -> bytes:
        return msgspec.msgpack.encode((self.mean.tobytes(), self.frames, self.stable, self.level, self.esr.to_bytes()))

    @staticmethod
    def from_bytes(data: bytes) -> "NextState":
        mean, frames, stable, level, esr = msgspec.msgpack.decode(data, type=tuple[bytes, int, int, int, bytes])
        return NextState(np.frombuffer(mean, np.float32), frames, stable, level, EsrState.from_bytes(esr))


class NextChange:
    """Watches one stream while its newest change is dated and goes on."""

    def __init__(self, null: StreamNull, fingerprints: NDArray[np.float32] | None, state: NextState) -> None:
        self.state = state
        self._null, self._fingerprints = null, fingerprints

    @staticmethod
    def begin(null: StreamNull, newest: NDArray[np.floating], before: NextState | None = None) -> NextState:
        """Newest (n, d): the open change's newest frames; before: what was known of it until now."""
        half = len(newest) // 2
        earlier, later = (part.mean(axis=0, dtype=np.float64) for part in (newest[:half], newest[half:]))
        noise = null.vt[-1] * 2 / half + 2 * null.sigma2_lot
        moved = float(np.sum((later - earlier) ** 2 / noise))
        still = moved < null.dims + _STABLE_SPREAD * np.sqrt(2 * null.dims)
        mean = newest.mean(axis=0, dtype=np.float64).astype(np.float32)
        stable, level = (before.stable, before.level) if before else (0, 0)
        counts = (stable + 1, level + 1) if still else (0, max(0, level - _MOVED_LOOKS))
        return NextState(mean, len(newest), *counts, Esr(null).state)

    def update(self, x: NDArray[np.float32], lot_change: NDArray[np.bool_], ln_limit: float, /) -> NDArray[np.float64]:
        """Ln Z after each frame of x (n, d), up to and with the first that reaches ln_limit; -inf while it moves."""
        if self.state.stable < _LOOKS_STILL:
            return np.full(len(x), -np.inf)
        state = self.state
        esr = Esr(uncertain(self._null, state.frames), state.esr, _across(self._fingerprints, state.mean))
        found = esr.update(across(x, state.mean), lot_change, ln_limit)
        state.esr = esr.state
        return found


def across(x: NDArray[np.floating], mean: NDArray[np.floating]) -> NDArray[np.float32]:
    """X (n, d) without its part along a mean (d,); each row's result is its own, whatever the batch (no BLAS)."""
    unit = np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), x.dtype)
    return np.asarray(x - np.outer(np.einsum("nd,d->n", x, unit), unit), np.float32)


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
