"""Dyadic e-Shiryaev-Roberts mixture: catches a change of the mean of unknown size and age, in any or a known direction.

Level j watches two windows, of 2^j..1.5·2^j-1 and of 1.5·2^j..2^(j+1)-1 frames; their starts lie 2^(j-1) frames apart.
Level 2 watches one, of 4..5 frames, and only along fingerprints: a few outlier frames are no drift but T²'s and SPE's.
With D a window's sum, n its frames, v its null variance as the profile measured it, a window's evidence is a mixture of

    blind     (½ r/(1+r) Σ D²/v − (d/2) ln(1+r)) / κ   a normal prior on every direction, r = SIZE √(64/d) n/2^j;
                                                      κ ≥ 1 where coordinates vary together (StreamNull.inflated)
    directed  γ z − γ²/2, z = Σ f n D/v / √(Σ f² n²/v)     for each fingerprint f; γ = 5 costs little from z = 4 to 8

Where lots differ by nature, one more window is the running lot itself, from its first frame: most of what comes with a
lot begins with it, and the lot's own between-lot variance is known.

Z is the mean over levels of the windows' likelihood ratios, each times the frames between starts: a Shiryaev-Roberts
statistic over every frame as a start. For independent Gaussian frames with known parameters the expected time to
Z >= ARL0 in control is at least ARL0; elsewhere that is an empirical claim. Source: Shin, Ramdas & Rinaldo 2022,
"E-detectors"; the null variance from measured variance-time curves is this project's (3-detection §3).
"""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from sincewhen.profiles.null import StreamNull

LEVEL_MIN = 2
BLIND_MIN = 8  # frames; shorter windows look along fingerprints only
SHORT_WEIGHT = 0.25  # of their level, against the others'
SIZE = 0.6  # prior displacement relative to the window: best of single ones from 1 to 512 coordinates, better than two
GAMMA = 5.0
BLIND_SHARE = 0.5  # of the mixture's weight, where there are fingerprints
_LOT_GROWN = 1.4  # a lot's window has any length: the prior of one in the middle of an octave
_Z_MIN = 3.0  # a fingerprint below adds less than e^2.5 of its share, nothing beside an alarm: not worth an exponential
_STARTS = 2
Compiled: TypeAlias = tuple[
    tuple[NDArray[Any], ...], tuple[NDArray[Any], ...], tuple[NDArray[Any], ...], NDArray[np.float64], float
]


@dataclass(slots=True)
class EsrState:
    """Frames since the restart, their sum, and it as it was at each start: pending ones, two a level, the lot's begin.

    lots holds per start the sum of n² of the lots that ended since, and the frames of the one that runs; doubts the sum
    of the frames' doubt beyond 1. The younger of two starts comes first; of the last pair only the first is used.
    """

    frames: int
    total: NDArray[np.float32]  # (d,)
    starts: NDArray[np.float32]  # (2 + levels, 2, d)
    lots: NDArray[np.int64]  # (2 + levels, 2, 2)
    doubts: NDArray[np.float64]  # (2 + levels, 2)

    def to_bytes(self) -> bytes:
        arrays = (self.total, self.starts, self.lots, self.doubts)
        return msgspec.msgpack.encode((self.frames, self.starts.shape, *(array.tobytes() for array in arrays)))

    @staticmethod
    def from_bytes(data: bytes) -> "EsrState":
        kind = tuple[int, tuple[int, int, int], bytes, bytes, bytes, bytes]
        frames, shape, total, starts, lots, doubts = msgspec.msgpack.decode(data, type=kind)
        return EsrState(
            frames,
            np.frombuffer(total, np.float32).copy(),
            np.frombuffer(starts, np.float32).reshape(shape).copy(),
            np.frombuffer(lots, np.int64).reshape(*shape[:2], 2).copy(),
            np.frombuffer(doubts, np.float64).reshape(shape[:2]).copy(),
        )


class Esr:
    """One stream's detector. Levels j with 2^(j+1) <= n_max exist; a window is silent until it has its frames.

    fingerprints (F, d): displacements that known causes produce, of any length; only their direction counts.
    """

    def __init__(
        self, null: StreamNull, state: EsrState | None = None, fingerprints: NDArray[np.float32] | None = None
    ) -> None:
        self._levels = max(0, int(math.log2(null.n_max)) - LEVEL_MIN)
        n = np.arange(1, null.n_max + 1)[:, None]
        base = n * null.vt + n**2 * null.reference
        self._base = np.ascontiguousarray(base, np.float32)
        self._weight = np.ascontiguousarray(1 / base, np.float32)
        self._lot = np.array(null.sigma2_lot, np.float32)
        self._reference = np.array(null.reference, np.float32)
        self._lot_frames = null.n_ref / max(1, null.lots) if null.sigma2_lot.any() else 0.0  # 0: lots do not matter
        known = np.zeros((0, null.dims), np.float32) if fingerprints is None else fingerprints
        self._known = np.array(known.T, np.float32, order="C")  # (d, F)
        self._known2 = np.array(known.T**2, np.float32, order="C")
        self._spread = np.ascontiguousarray(self._weight @ self._known2, np.float32)  # (n_max, F)
        self._dims = null.dims
        self._priors = _priors(null)
        self.state = state or self._fresh()

    def update(
        self,
        x: NDArray[np.float32],
        lot_change: NDArray[np.bool_],
        ln_limit: float = math.inf,
        doubt: NDArray[np.float32] | None = None,
        /,
    ) -> NDArray[np.float64]:
        """Ln Z after each frame of x (n, d), up to and with the first that reaches ln_limit; later rows are not used.

        lot_change (n,): the frame begins another lot than the frame before it. doubt (n,): how many times the variance
        of the null's reference the mean has that the frame was held against; None: 1.
        """
        state = self.state
        out = np.empty(len(x))
        doubts = np.ones(len(x), np.float32) if doubt is None else doubt
        x = np.ascontiguousarray(x, np.float32)
        used = update_frames(x, lot_change, doubts, state.frames, *self.compiled, ln_limit, out)
        state.frames += used
        return out[:used]

    @property
    def compiled(self) -> Compiled:
        """What `update_frames` takes of this detector: the same arrays for good, which it changes."""
        state = self.state
        return (
            (state.total, state.starts, state.lots, state.doubts),
            (self._base, self._weight, self._lot, self._reference),
            (self._known, self._known2, self._spread),
            self._priors,
            self._lot_frames,
        )

    def restart(self) -> None:
        self.state.frames = 0
        for array in (self.state.total, self.state.starts, self.state.lots, self.state.doubts):
            array.fill(0)

    def _fresh(self) -> EsrState:
        shape = (2 + self._levels, _STARTS)
        starts = np.zeros((*shape, self._dims), np.float32)
        total, lots = np.zeros(self._dims, np.float32), np.zeros((*shape, 2), np.int64)
        return EsrState(0, total, starts, lots, np.zeros(shape))


def _priors(null: StreamNull) -> NDArray[np.float64]:
    """The factor of a window's chi-square and what is subtracted (n_max + 1, 2); last, the lot's window.

    Of correlated coordinates the chi-square varies as κ times one of d/κ degrees (Satterthwaite 1946).
    """
    n = np.arange(1, null.n_max + 1)
    grown = np.append(n / 2.0 ** np.floor(np.log2(n)), _LOT_GROWN)
    r = SIZE * math.sqrt(64 / null.dims) * grown
    kappa = null.inflated()
    priors = np.stack([0.5 * r / (1 + r), 0.5 * null.dims * np.log1p(r)], axis=1)
    return np.asarray(priors / np.append(kappa, kappa[-1])[:, None])


@njit(cache=True, fastmath={"reassoc", "contract"})
def update_frames(x, lot_change, doubt, frames, memory, null, library, priors, lot_frames, ln_limit, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - compiled by numba
    """Fill ln Z (n,) of frames x (n, d), up to and with the first that reaches ln_limit; how many were taken."""
    total, starts, lots, doubts = memory
    known, known2, spread = library
    levels, d, count = starts.shape[0] - 2, x.shape[1], known.shape[1]
    moves, weights = np.empty((2 * levels + 1, d), np.float32), np.empty((2 * levels + 1, d), np.float32)
    along, spreads = np.empty((len(moves), count), np.float32), np.empty((len(moves), count), np.float32)
    top, sums, seen = np.empty(len(moves)), np.empty(len(moves)), np.empty((len(moves), 2), np.int64)
    shares = 2.0 ** (np.arange(levels + 2) - 2 + LEVEL_MIN)  # frames between a level's starts
    shares[1] *= SHORT_WEIGHT
    shares[-1] = max(lot_frames, 1.0)
    near = np.empty(count, np.int64)
    doubted = bool(np.any(doubts != 0))
    for row in range(len(x)):
        if lot_frames > 0:
            _count_lot(lot_change[row], total, starts, lots, doubts)
        if doubt[row] != 1:
            doubts += doubt[row] - 1
            doubted = True
        for i in range(d):
            total[i] += x[row, i]
        frames += 1
        _promote(frames, total, starts, lots, doubts)
        own = lot_frames > 0 or doubted  # windows have variances of their own
        used, active = _windows(frames, memory, null, priors, count, own, moves, weights, top, sums, seen)
        if count and used:
            np.dot(moves[:used], known, along[:used])
            if own:
                np.dot(weights[:used], known2, spreads[:used])
            for window in range(used):
                of = spreads[window] if own else spread[seen[window, 0] - 1]
                top[window], sums[window] = _directed(top[window], sums[window], along[window], of, near)
        out[row] = _mixed(used, active, shares, top, sums, seen)
        if out[row] >= ln_limit:
            return row + 1
    return len(x)


@njit(cache=True, inline="always", fastmath={"reassoc", "contract"})
def _windows(frames, memory, null, priors, count, own, moves, weights, top, sums, seen):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """Fills D/v, 1/v, blind evidence e^top · sums, frames, level of windows; how many, of how many levels."""
    total, starts, lots, doubts = memory
    base, weight, lot_variance, reference = null
    levels, d = starts.shape[0] - 2, len(total)
    used, active = 0, 0.0
    for place in range(2, 2 * levels + 3):  # two starts a level, then the lot's begin
        level, s = place >> 1, place & 1
        if level <= levels:
            apart = 1 << (level - 2 + LEVEL_MIN)
            n = 2 * apart + (frames & (apart - 1)) + s * apart
        else:
            n = lots[level, 0, 1]
        short = n < BLIND_MIN
        if n > frames or n > len(base) or (short and (count == 0 or s or level != 1 or levels == 0)):
            continue
        chi2 = np.float32(0.0)
        if own:  # two loops: the compiler vectorises none of so many arrays
            doubted = np.float32(n * doubts[level, s])
            together = np.float32(lots[level, s, 0] + lots[level, s, 1] ** 2)
            for i in range(d):
                weights[used, i] = 1 / (base[n - 1, i] + doubted * reference[i] + together * lot_variance[i])
            for i in range(d):
                moves[used, i] = (total[i] - starts[level, s, i]) * weights[used, i]
                chi2 += (total[i] - starts[level, s, i]) * moves[used, i]
        else:
            for i in range(d):
                moves[used, i] = (total[i] - starts[level, s, i]) * weight[n - 1, i]
                chi2 += (total[i] - starts[level, s, i]) * moves[used, i]
        prior = n - 1 if level <= levels else len(base)
        top[used] = 0.0 if short else priors[prior, 0] * chi2 - priors[prior, 1]
        sums[used] = 0.0 if short else 1.0
        seen[used, 0], seen[used, 1] = n, level
        used, active = used + 1, active + (s == 0) * (SHORT_WEIGHT if short else 1.0)
    return used, active


@njit(cache=True, inline="always", fastmath={"reassoc", "contract"})
def _mixed(used, active, shares, top, sums, seen):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """Ln of the windows' mean likelihood ratio."""
    whole, highest = 0.0, -np.inf
    for window in range(used):
        highest = max(highest, top[window])
    for window in range(used):
        whole += shares[seen[window, 1]] * sums[window] * math.exp(top[window] - highest)
    return highest + math.log(whole / active) if whole > 0 else -np.inf


@njit(cache=True, inline="always")
def _count_lot(begins, total, starts, lots, doubts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """One frame more of the running lot, or the first of the next."""
    if begins:
        lots[:, :, 0] += lots[:, :, 1] * lots[:, :, 1]
        lots[:, :, 1] = 0
        starts[-1, 0], lots[-1, 0], doubts[-1, 0] = total, 0, 0.0
    lots[:, :, 1] += 1


@njit(cache=True, inline="always")
def _copy(level, s, to, place, starts, lots, doubts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    for i in range(starts.shape[2]):
        starts[to, place, i] = starts[level, s, i]
    lots[to, place, 0], lots[to, place, 1], doubts[to, place] = lots[level, s, 0], lots[level, s, 1], doubts[level, s]


@njit(cache=True, inline="always")
def _promote(frames, total, starts, lots, doubts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """Starts whose window outgrows its place move on; a new one begins every few frames."""
    levels = starts.shape[0] - 2
    for level in range(levels, 0, -1):
        if frames & ((1 << (level + LEVEL_MIN - 2)) - 1) == 0:
            _copy(level, 0, level, 1, starts, lots, doubts)
            _copy(level - 1, 1, level, 0, starts, lots, doubts)
    if frames & ((1 << (LEVEL_MIN - 1)) - 1) == 0:
        _copy(0, 0, 0, 1, starts, lots, doubts)
        for i in range(len(total)):
            starts[0, 0, i] = total[i]
        lots[0, 0, 0], lots[0, 0, 1], doubts[0, 0] = 0, 0, 0.0
    if frames & ((1 << (levels + LEVEL_MIN)) - 1) == 0:  # sums stay small, so that float32 holds them
        for level in range(levels + 2):
            starts[level] -= total
        total[:] = 0


@njit(cache=True, inline="always", fastmath={"reassoc", "contract"})
def _directed(top, blind, along, spread, near):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """One window's evidence, e^top blind, mixed with its fingerprints': along Σ f D/v (F,), spread Σ f²/v (F,)."""
    nearest = np.float32(-1.0)
    for f in range(len(along)):  # without a branch, and mostly all there is to do
        nearest = max(nearest, along[f] * abs(along[f]) - np.float32(_Z_MIN * _Z_MIN) * spread[f])
    if nearest <= 0:
        return top, blind * BLIND_SHARE
    count = 0
    for f in range(len(along)):
        near[count] = f
        count += along[f] > 0 and along[f] * along[f] > _Z_MIN * _Z_MIN * spread[f]
    best, directed = 0.0, 0.0
    for number in range(count):
        f = near[number]
        gained = GAMMA * along[f] / math.sqrt(spread[f]) - 0.5 * GAMMA * GAMMA
        if gained > best:
            directed = directed * math.exp(best - gained) + 1.0
            best = gained
        else:
            directed += math.exp(gained - best)
    blind *= BLIND_SHARE
    directed *= (1 - BLIND_SHARE) / len(along)
    if best > top:
        return best, directed + blind * math.exp(top - best)
    return top, blind + directed * math.exp(best - top)
