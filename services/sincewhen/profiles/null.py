"""What a stream's positions do while in control: all that detection and dating need to know of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class StreamNull:
    """In-control behaviour of one stream of whitened residuals x (n, d): mean 0, coordinate variance about 1.

    vt[n-1, i] is Var(sum of n consecutive x_i) / n within a lot, for n = 1..n_max.
    sigma2_lot[i] is the between-lot variance of the mean of x_i, 0 where lots are unknown.
    The AR fields describe white + AR(1) noise of each coordinate within a lot: u_t = x_t - phi x_(t-1) + theta u_(t-1),
    e = innovation_scale * u.
    """

    n_ref: int  # golden frames that the mean was fitted on
    lots: int  # golden lots among them, 0 = unknown
    vt: NDArray[np.float32]  # (n_max, d)
    sigma2_lot: NDArray[np.float32]  # (d,)
    phi: NDArray[np.float32]  # (d,), 0 = white
    theta: NDArray[np.float32]  # (d,)
    innovation_scale: NDArray[np.float32]  # (d,), 1 / (sd(u) * sqrt(vt_u(n_max)))

    @property
    def dims(self) -> int:
        return int(self.vt.shape[1])

    @property
    def n_max(self) -> int:
        return len(self.vt)
