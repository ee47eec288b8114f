"""Simulated streams with a known truth."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter


def noise(rng: np.random.Generator, frames: int, dims: int, phi: float = 0.0) -> NDArray[np.float64]:
    """Unit-variance AR(1) noise (frames, dims) with lag-1 correlation phi, started in its steady state."""
    shocks = rng.standard_normal((frames, dims))
    if phi == 0:
        return shocks
    scale = math.sqrt(1 - phi**2)
    start = phi * rng.standard_normal((1, dims))
    series, _ = lfilter([scale], [1, -phi], shocks, axis=0, zi=start)
    return np.asarray(series)


def direction(rng: np.random.Generator, dims: int) -> NDArray[np.float64]:
    """A random unit vector (dims,)."""
    vector = rng.standard_normal(dims)
    return np.asarray(vector / np.linalg.norm(vector))


def mixing(rng: np.random.Generator, latent: int, dims: int) -> NDArray[np.float64]:
    """A random map (latent, dims) from latent coordinates to an embedding."""
    return rng.standard_normal((latent, dims)) / math.sqrt(latent)
