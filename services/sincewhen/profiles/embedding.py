"""The whitened space of one layer: PCA, norm clip, second whitening, slow-feature rotation (3-detection §2.1)."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

_LAGS = 16
_SHRINKAGE = 0.02
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Basis:
    """Maps a pooled embedding (d,) to k coordinates, slowest first, of about unit variance and mean near 0."""

    center: NDArray[np.float32]  # (d,)
    project: NDArray[np.float32]  # (d, k), to unit variance
    deviation: NDArray[np.float32]  # (k,) of the golden embeddings along each principal component
    clip_radius: float
    rotate: NDArray[np.float32]  # (k, k)
    offset: NDArray[np.float32]  # (k,) mean of the clipped coordinates


def fit_basis(x: NDArray[np.float32], k: int) -> Basis:
    """Fit on golden embeddings x (G, d) in order. k is cut to the numerical rank of x."""
    center = x.mean(axis=0, dtype=np.float64)
    wide = x.astype(np.float64) - center
    _, spread, axes = np.linalg.svd(wide, full_matrices=False)
    rank = int(np.sum(spread > 1e-6 * spread[0]))
    k = max(1, min(k, rank))
    deviation = np.maximum(spread[:k] / np.sqrt(len(x)), float(np.finfo(np.float32).tiny))
    components = axes[:k].T
    scores = wide @ (components / deviation)
    radius = float(np.median(np.linalg.norm(scores, axis=1)))
    clipped = _clip(scores, radius)
    offset = clipped.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(clipped - offset, rowvar=False).reshape(k, k))
    values = (1 - _SHRINKAGE) * values + _SHRINKAGE * values.mean()
    whiten = vectors / np.sqrt(np.maximum(values, 1e-9))
    rotate = whiten @ _slow_axes((clipped - offset) @ whiten)
    return Basis(
        center=center.astype(np.float32),
        project=(components / deviation).astype(np.float32),
        deviation=deviation.astype(np.float32),
        clip_radius=radius,
        rotate=rotate.astype(np.float32),
        offset=offset.astype(np.float32),
    )


def apply_basis(
    basis: Basis, x: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates (n, k), log T² (n,) before the clip, and log SPE (n,), the squared distance from the PCA plane."""
    wide = x - basis.center
    scores = wide @ basis.project
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


def _clip(scores: NDArray[np.floating], radius: float) -> NDArray[np.floating]:
    norm = np.linalg.norm(scores, axis=1, keepdims=True)
    shrunk: NDArray[np.floating] = scores * np.minimum(1.0, radius / np.maximum(norm, 1e-9))
    return shrunk


def _slow_axes(x: Floats) -> Floats:
    """Eigenvectors (k, k) of the summed lagged covariances, slowest first."""
    frames = len(x)
    summed = np.zeros((x.shape[1], x.shape[1]))
    for lag in range(1, min(_LAGS, frames - 1) + 1):
        summed += x[:-lag].T @ x[lag:] / (frames - lag)
    _, vectors = np.linalg.eigh(summed + summed.T)
    return vectors[:, ::-1]
