"""How coordinates vary together is measured without the noise of an estimated correlation, and without that of lots."""

import numpy as np
import pytest

from sincewhen.profiles.variance import Runs, stream_null
from sincewhen_testing.streams import noise

FRAMES, DIMS = 3000, 64


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_independent_coordinates_are_not_inflated_however_slow_they_are(phi: float) -> None:
    """An estimated correlation of so few windows would say up to 3.7."""
    rng = np.random.default_rng(11)
    found = np.mean([stream_null(noise(rng, FRAMES, DIMS, phi)).inflation for _ in range(6)], axis=0)
    print(f"seed 11, phi {phi}: {found.round(3)}")
    np.testing.assert_allclose(found, 1, atol=0.05)


def test_what_slow_coordinates_leak_into_fast_ones_is_in_long_windows_only() -> None:
    """8 slow ones leak .2 of themselves into 56 white ones: of n frames the share of tr(R²) is known."""
    rng, phi, leak = np.random.default_rng(12), 0.9, 0.2
    way = rng.choice([-leak, leak], (8, DIMS - 8)) / np.sqrt(8)
    found = []
    for _ in range(6):
        slow = noise(rng, FRAMES, 8, phi)
        found.append(stream_null(np.hstack([slow, noise(rng, FRAMES, DIMS - 8) + slow @ way])).inflated())
    measured = np.mean(found, axis=0)
    for n in (1, 8, 32):
        grown = 1 + 2 * sum((1 - k / n) * phi**k for k in range(1, n))  # vt(n) of the slow ones
        mix = np.hstack([np.eye(8), way])
        covariance = grown * mix.T @ mix + np.diag(np.r_[np.zeros(8), np.ones(DIMS - 8)])
        unit = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
        expected = float(np.sum(unit**2)) / DIMS
        print(f"seed 12, {n} frames: {measured[n - 1]:.3f}, truth {expected:.3f}")
        assert measured[n - 1] == pytest.approx(expected, rel=0.08)


def test_lots_whose_mean_is_taken_out_do_not_inflate() -> None:
    """Halves of a lot about its own mean are opposite: windows of one lot tell nothing of the coordinates."""
    rng = np.random.default_rng(13)
    lots = np.arange(FRAMES) // 60
    found = [stream_null(noise(rng, FRAMES, DIMS), Runs(lots)).inflation for _ in range(4)]
    print(f"seed 13: {np.mean(found, axis=0).round(3)}")
    np.testing.assert_allclose(np.mean(found, axis=0), 1, atol=0.08)
