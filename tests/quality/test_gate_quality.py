"""The effect-size gate on lots like the golden ones and on lots that are not. Seeds are printed."""

from dataclasses import dataclass

import numpy as np
import pytest

from sincewhen.detect.gate import verdict
from sincewhen.profiles.variance import Runs, stream_null
from sincewhen_testing.streams import direction, mixing

LOT, GOLDEN, PROFILES, LOTS_EACH = 40, 29, 60, 200


@dataclass(frozen=True)
class Line:
    """Lots whose means deviate by sd 1 along each row of `ways`, under noise of sd 1."""

    rng: np.random.Generator
    ways: np.ndarray

    def lots(self, count: int, away: float = 0) -> np.ndarray:
        of_lots = self.rng.standard_normal((count, len(self.ways))) + away * direction(self.rng, len(self.ways))
        noise = self.rng.standard_normal((count, LOT, self.ways.shape[1]))
        return np.asarray((of_lots @ self.ways)[:, None, :] + noise)

    def paged(self, away: float) -> int:
        """How many of LOTS_EACH lots a profile of GOLDEN ordinary lots lets page."""
        golden = self.lots(GOLDEN).reshape(GOLDEN * LOT, -1)
        null = stream_null(golden, Runs(np.repeat(np.arange(GOLDEN), LOT)))
        means = self.lots(LOTS_EACH, away).mean(axis=1) - golden.mean(axis=0)
        return sum(verdict(mean.astype(np.float32), LOT, null) == "paging" for mean in means)


@pytest.mark.parametrize(("dims", "ways", "far"), [(1, 1, 10), (48, 2, 14), (48, 48, 18)])
def test_lots_like_the_golden_ones_are_not_paged_and_far_ones_are(dims: int, ways: int, far: int) -> None:
    """far: standard deviations between lots."""
    seed = 700 + dims + ways
    rng = np.random.default_rng(seed)
    lines = [Line(rng, np.eye(1) if dims == 1 else mixing(rng, ways, dims)) for _ in range(PROFILES)]
    natural, found = (sum(line.paged(away) for line in lines) for away in (0, far))
    total = PROFILES * LOTS_EACH
    print(f"seed {seed} d={dims} ways={ways}: {natural} natural lots and {found} far ones paged of {total}")
    assert natural <= total / 1000
    assert found >= 0.95 * total
