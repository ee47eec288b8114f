"""What a group's mean does while its members are in control, learned from its own first bins.

A group has no lots. Blocks of its own bins take their place: how much they differ by nature is part of the null
variance and of the effect-size gate, so that a common wander slower than any window is no detection.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from sincewhen.detect.esr import Esr
from sincewhen.profiles.null import StreamNull
from sincewhen.profiles.profile import decode_arrays, encode_arrays
from sincewhen.profiles.variance import Runs, stream_null

SERIES_BINS = 1280  # 3.6 h; windows of up to 64 bins
BLOCK_BINS = 64  # 20 blocks, 16 of them before the self-test
_FITTED_SHARE = 0.8
_SELF_TEST_QUANTILE = 0.999

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reference:
    """Mean and null of a group's series, and how many members it usually had."""

    mean: float
    members: int
    null: StreamNull
    bins_per_week: float
    until_ns: int

    def to_bytes(self) -> bytes:
        return encode_arrays(self)

    @staticmethod
    def from_bytes(data: bytes) -> "Reference":
        return decode_arrays(data, Reference)


def learn(values: Floats, members: NDArray[np.int64], bins_per_week: float, until_ns: int) -> Reference | None:
    """From the values (SERIES_BINS,) in control and the members behind each; None where its A/A fails."""
    first = int(len(values) * _FITTED_SHARE)
    mean, null = _fit(values[:first])
    if _alarms(values[first:] - mean, null) > poisson.ppf(_SELF_TEST_QUANTILE, 10):
        return None
    mean, null = _fit(values)
    return Reference(mean, int(np.median(members)), null, bins_per_week, until_ns)


def begins_block(row: int) -> bool:
    return row % BLOCK_BINS == 0


def _fit(values: Floats) -> tuple[float, StreamNull]:
    mean = float(values.mean())
    blocks = np.arange(len(values)) // BLOCK_BINS
    return mean, stream_null((values - mean)[:, None], Runs(blocks))


def _alarms(x: Floats, null: StreamNull) -> int:
    """Alarms in x (n,) at a run length of a tenth of it: about 10 are chance at most."""
    esr, limit, start, alarms = Esr(null), math.log(max(2.0, len(x) / 10)), 0, 0
    blocks = np.arange(len(x)) % BLOCK_BINS == 0
    while start < len(x):
        found = esr.update(x[start:, None].astype(np.float32), blocks[start:], limit)
        start += len(found)
        if found[-1] >= limit:
            alarms += 1
            esr.restart()
    return alarms
