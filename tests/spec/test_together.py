"""Coordinates that vary together in control say less about a change along them than as many that do not."""

import numpy as np

from sincewhen.profiles.variance import stream_null
from sincewhen_testing.streams import noise


def test_a_null_knows_how_much_more_sums_vary_along_a_direction() -> None:
    rng = np.random.default_rng(31)
    mix = np.array([[1.0, 0.9, 0.0], [0.0, 0.4359, 0.0], [0.0, 0.0, 1.0]])  # correlation .9 of the first two
    null = stream_null(noise(rng, 40_000, 3, 0.5) @ mix)
    along, across, alone = (null.spread(np.array(way)) for way in ((1.0, 1.0, 0.0), (1.0, -1.0, 0.0), (0.0, 0.0, 1.0)))
    np.testing.assert_allclose((along, across, alone), (1.9, 0.1, 1.0), atol=0.05)
