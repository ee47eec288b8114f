"""What a stream's positions do while in control: all that detection and dating need to know of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SUMMED = 32  # frames whose sums tell how coordinates vary together
_OWN_MIN = 0.1  # of a coordinate's variance between lots, that it shares with no other


@dataclass(frozen=True, slots=True)
class StreamNull:
    """In-control behaviour of one stream of whitened residuals x (n, d): mean 0, coordinate variance about 1.

    vt[n-1, i] is Var(sum of n consecutive x_i) / n within a lot, for n = 1..n_max.
    sigma2_lot[i] is the between-lot variance of the mean of x_i, 0 where lots are unknown; sigma2_shift[i] that between
    shifts, beyond what their lots explain.
    The AR fields describe white + AR(1) noise of each coordinate within a lot: u_t = x_t - phi x_(t-1) + theta u_(t-1),
    e = innovation_scale * u.
    """

    n_ref: int  # golden frames that the mean was fitted on
    lots: int  # golden lots among them, 0 = unknown
    vt: NDArray[np.float32]  # (n_max, d)
    sigma2_lot: NDArray[np.float32]  # (d,)
    sigma2_shift: NDArray[np.float32]  # (d,)
    lot_shared: NDArray[np.float32]  # (d, d) how lots deviate in several coordinates at once, see `shared`; or (0, 0)
    shifts: int  # golden runs of a shift, 0 = unknown
    lot_score_limit: float  # see `lot_score`; 0 where lots are unknown
    phi: NDArray[np.float32]  # (d,), 0 = white
    theta: NDArray[np.float32]  # (d,)
    innovation_scale: NDArray[np.float32]  # (d,), 1 / (sd(u) * sqrt(vt_u(n_max)))
    together: NDArray[np.float32]  # (d, d) correlation of sums of SUMMED frames within a lot
    inflation: NDArray[np.float32]  # of windows of 1, 2, 4 ... n_max frames: see `inflated`
    patient: bool = False  # pages once a change is confirmed: how lots scatter is too skewed to trust a short one
    sparse: bool = False  # frames of the view lie between its own: a change began after the last one before it
    layer: "StreamNull | None" = None  # of T², in use: its layer's, which tells how lots are displaced by nature

    @property
    def dims(self) -> int:
        return int(self.vt.shape[1])

    @property
    def n_max(self) -> int:
        return len(self.vt)

    @property
    def reference(self) -> NDArray[np.float32]:
        """Variance (d,) of the reference mean itself."""
        by_lot = self.sigma2_lot / max(1, self.lots) + self.sigma2_shift / max(1, self.shifts)
        return np.asarray(self.vt[-1] / self.n_ref + by_lot, np.float32)

    def inflated(self) -> NDArray[np.float64]:
        """Variance of the chi-square of windows of 1..n_max frames over that of independent coordinates: tr(R²) / d.

        At least 1. R is the correlation of a window's sums: see `spread`.
        """
        lengths = 2.0 ** np.arange(len(self.inflation))
        return np.interp(np.log(np.arange(1, self.n_max + 1)), np.log(lengths), np.maximum(self.inflation, 1))

    def noise_groups(self) -> list[tuple[float, float, NDArray[np.bool_]]]:
        """Each phi and theta there is, and the coordinates (d,) that have them."""
        pairs = sorted(set(zip(self.phi.tolist(), self.theta.tolist(), strict=True)))
        return [(phi, theta, (self.phi == phi) & (self.theta == theta)) for phi, theta in pairs]

    def spread(self, weight: NDArray[np.float64]) -> float:
        """Variance of weight (d,) times sums of SUMMED frames, against what it would be if none were correlated.

        The basis knows correlated frames' covariance badly: coordinates that it took for uncorrelated are not.
        """
        sized = weight * np.sqrt(self.vt[min(SUMMED, self.n_max) - 1])
        return float(sized @ self.together @ sized / max(float(sized @ sized), 1e-300))

    def lot_score(self, mean: NDArray[np.floating], frames: int) -> float:
        """How unusual a lot with this mean (d,) over some frames is, against how lots differ by nature, and noise.

        No lot like the golden ones reaches lot_score_limit.
        """
        noise = self.vt[min(frames, self.n_max) - 1] / frames
        natural = (self.sigma2_lot + self.sigma2_shift + noise).astype(np.float64)
        return float(unusual(np.asarray(mean, np.float64)[None], natural, self.lot_shared)[0])


def shared(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance (d, d) of the means (L, d) of golden lots, shrunk by half to its diagonal: a few tens of lots."""
    return 0.5 * np.atleast_2d(np.cov(means, rowvar=False))


def unusual(
    means: NDArray[np.float64], natural: NDArray[np.float64], together: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Squared Mahalanobis sizes (n,) of means (n, d): natural their variances (d,), together their `shared` part."""
    if not together.size:
        return np.asarray(np.sum(means**2 / natural, axis=1))
    own = np.maximum(natural - np.diag(together), _OWN_MIN * natural)
    return np.asarray(np.einsum("nd,nd->n", means, np.linalg.solve(together + np.diag(own), means.T).T))
