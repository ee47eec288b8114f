"""Where a stream's windows start anew."""

import numpy as np
from numpy.typing import NDArray

WEEK_NS = 7 * 24 * 3600 * 10**9


def since_last(at_ns: NDArray[np.int64], last_ns: int) -> NDArray[np.int64]:
    """Time (n,) from the frame before to each one captured at at_ns (n,); last_ns: of the one before all, 0 = none."""
    return np.diff(at_ns, prepend=last_ns or at_ns[0])


def breaks(pause: NDArray[np.int64], gap_ns: float) -> list[int]:
    """Rows before which the windows start anew: a pause longer than any window, or a clock that stepped back."""
    if pause.max() <= gap_ns and pause.min() >= 0:
        return []
    return [int(row) for row in np.flatnonzero((pause > gap_ns) | (pause < 0))]
