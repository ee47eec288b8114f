"""Where a stream's windows start anew."""

import numpy as np
from numpy.typing import NDArray

WEEK_NS = 7 * 24 * 3600 * 10**9


def breaks(at_ns: NDArray[np.int64], last_ns: int, gap_ns: float) -> list[int]:
    """Rows before which the windows start anew: a pause longer than any window, or a clock that stepped back."""
    before = np.concatenate([[last_ns or at_ns[0]], at_ns[:-1]])
    pause = at_ns - before
    return [int(row) for row in np.flatnonzero((pause > gap_ns) | (pause < 0))]
