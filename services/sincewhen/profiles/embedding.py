"""The whitened space of one layer: PCA, norm clip, second whitening, slow-feature rotation (3-detection §2.1)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

_LAGS = 2  # more of them carry more noise than news: slow coordinates then leak into the fast ones
_SHRINKAGE = 0.02
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Common:
    """The common basis of a model version's stations: a plane of embeddings, and coordinates in it.

    It has no place and is linear: the same displacement is the same coordinates, whatever station it is seen at.
    """

    project: NDArray[np.float32]  # (d, m), to unit variance over the pooled frames
    deviation: NDArray[np.float32]  # (m,) of those along each principal component
    stations: int  # that it was pooled over

    @property
    def sha(self) -> str:
        """Address: the first 16 hex digits of its SHA-256."""
        parts = (self.project, self.deviation)
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Basis:
    """Maps a pooled embedding (d,) to k coordinates, slowest first, of about unit variance and mean near 0.

    They are a station's own, of what varies there within the common plane: `in_common` makes displacements comparable.
    """

    common: Common
    center: NDArray[np.float32]  # (d,)
    turn: NDArray[np.float32]  # (m, k) from common coordinates to principal components of unit variance
    deviation: NDArray[np.float32]  # (k,) of the golden embeddings along each principal component
    clip_radius: float
    rotate: NDArray[np.float32]  # (k, k)
    offset: NDArray[np.float32]  # (k,) mean of the clipped coordinates


def fit_common(stations: Sequence[NDArray[np.float32]], m: int) -> Common:
    """Of golden embeddings (G, d) of each station, about its own centre. m is cut to their rank.

    A station whose pictures vary more counts no more for it: all are scaled to one total variance.
    """
    wide = [x.astype(np.float64) - x.mean(axis=0, dtype=np.float64) for x in stations]
    power = np.array([max(float(np.mean(rows**2)), float(np.finfo(float).tiny)) for rows in wide])
    scale = np.sqrt(power.mean() / power)
    components, deviation = _principal(np.concatenate([rows * by for rows, by in zip(wide, scale, strict=True)]), m)
    return Common((components / deviation).astype(np.float32), deviation.astype(np.float32), len(stations))


def fit_basis(common: Common, x: NDArray[np.float32], k: int, radius: float | None = None) -> Basis:
    """Fit on golden embeddings x (G, d) in order. k is cut to their rank in the plane. radius: None = their median."""
    center = x.mean(axis=0, dtype=np.float64)
    plain = (x.astype(np.float64) - center) @ common.project * common.deviation
    components, deviation = _principal(plain, k)
    k = len(deviation)
    components = components * np.sign(components[np.argmax(np.abs(components), axis=0), np.arange(k)])
    scores = plain @ (components / deviation)
    radius = float(np.median(np.linalg.norm(scores, axis=1))) if radius is None else radius
    clipped = _clip(scores, radius)
    offset = clipped.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(clipped - offset, rowvar=False).reshape(k, k))
    values = (1 - _SHRINKAGE) * values + _SHRINKAGE * values.mean()
    whiten = vectors / np.sqrt(np.maximum(values, 1e-9))
    rotate = whiten @ _slow_axes((clipped - offset) @ whiten)
    return Basis(
        common=common,
        center=center.astype(np.float32),
        turn=(common.deviation[:, None] * components / deviation).astype(np.float32),
        deviation=deviation.astype(np.float32),
        clip_radius=radius,
        rotate=rotate.astype(np.float32),
        offset=offset.astype(np.float32),
    )


def fit_shared(common: Common, x: NDArray[np.float32], k: int, later: NDArray[np.float32]) -> Basis:
    """Like `fit_basis`, within a plane that others share, as many of the later embeddings being clipped as by own axes.

    Own axes lie where x happens to vary most. Later frames are nearer than their median radius, which clips few of
    them; on a plane that x has not chosen it would clip more, and hold displacements back.
    """
    own, basis = fit_basis(fit_common([x], k), x, k), fit_basis(common, x, k)
    (_, own_t2, _), (_, t2, _) = apply_basis(own, later), apply_basis(basis, later)
    whole = float(np.mean(own_t2 <= 2 * np.log(own.clip_radius)))
    return fit_basis(common, x, k, float(np.exp(np.quantile(t2, whole) / 2)))


def in_common(basis: Basis, displacement: NDArray[np.floating]) -> Floats:
    """A displacement (..., k) of a station's coordinates in the common ones (..., m)."""
    back = np.linalg.pinv(basis.turn.astype(np.float64) @ basis.rotate)
    return np.asarray(displacement @ back, np.float64)


def explained(common: Common, x: NDArray[np.float32]) -> float:
    """Share of the variance of embeddings x (n, d) that lies in the plane."""
    wide = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    inside = wide @ common.project * common.deviation
    return float(np.sum(inside**2) / max(float(np.sum(wide**2)), float(np.finfo(float).tiny)))


def apply_basis(
    basis: Basis, x: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates (n, k), log T² (n,) before the clip, and log SPE (n,), the squared distance from the PCA plane."""
    wide = x - basis.center
    scores = wide @ basis.common.project @ basis.turn
    t2, spe = np.empty(len(x)), np.empty(len(x))
    _squares(wide, scores, basis.deviation, t2, spe)
    coordinates = (_clip(scores, basis.clip_radius) - basis.offset) @ basis.rotate
    nothing = 1e-9 * float(np.sum(basis.deviation.astype(np.float64) ** 2))  # of the golden variance: rounding
    return coordinates.astype(np.float32), np.log(np.maximum(t2, 1e-9)), np.log(np.maximum(spe, nothing))


@njit(cache=True, fastmath={"reassoc", "contract"})
def _squares(wide, scores, deviation, t2, spe):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """T² (n,) of scores (n, k), and the squared distance (n,) of wide (n, d) from the plane that they lie in."""
    for row in range(len(wide)):
        whole = inside = unit = 0.0
        for i in range(wide.shape[1]):
            whole += np.float64(wide[row, i]) ** 2
        for i in range(scores.shape[1]):
            squared = np.float64(scores[row, i]) ** 2
            unit += squared
            inside += squared * np.float64(deviation[i]) ** 2
        t2[row], spe[row] = unit, whole - inside


def _principal(wide: Floats, k: int) -> tuple[Floats, Floats]:
    """Principal components (d, k) of centred rows (n, d), and the deviation (k,) along them; k is cut to their rank."""
    _, spread, axes = np.linalg.svd(wide, full_matrices=False)
    rank = int(np.sum(spread > 1e-6 * spread[0]))
    k = max(1, min(k, rank))
    return axes[:k].T, np.maximum(spread[:k] / np.sqrt(len(wide)), float(np.finfo(np.float32).tiny))


def _clip(scores: NDArray[np.floating], radius: float) -> NDArray[np.floating]:
    norm = np.linalg.norm(scores, axis=1, keepdims=True)
    shrunk: NDArray[np.floating] = scores * np.minimum(1.0, radius / np.maximum(norm, 1e-9))
    return shrunk


def _slow_axes(x: Floats) -> Floats:
    """Eigenvectors (k, k) of the summed lagged covariances, slowest first.

    Source: min/max autocorrelation factors, Switzer & Green 1984.
    """
    frames = len(x)
    summed = np.zeros((x.shape[1], x.shape[1]))
    for lag in range(1, min(_LAGS, frames - 1) + 1):
        summed += x[:-lag].T @ x[lag:] / (frames - lag)
    _, vectors = np.linalg.eigh(summed + summed.T)
    return vectors[:, ::-1]
