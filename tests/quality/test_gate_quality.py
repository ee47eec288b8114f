"""The effect-size gate on lots like the golden ones and on lots that are not. Seeds are printed."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from sincewhen.detect.gate import verdict
from sincewhen.profiles.scalar import fit_quantiles, normal_scores
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


def test_t2_of_a_lot_pages_where_its_layer_nearly_does() -> None:
    """Lots that deviate along one or two ways: T² alone has a long tail."""
    seed = 760
    rng = np.random.default_rng(seed)
    alone, together = np.zeros(2, int), np.zeros(2, int)  # of natural lots, of displaced ones
    for number in range(PROFILES):
        line = Line(rng, 1.2 * np.linalg.qr(rng.standard_normal((48, 1 + number % 2)))[0].T)
        golden, runs = line.lots(GOLDEN).reshape(GOLDEN * LOT, -1), Runs(np.repeat(np.arange(GOLDEN), LOT))
        mean, spread = golden.mean(axis=0), golden.std(axis=0)
        table = fit_quantiles(log_t2((golden - mean) / spread))
        usual = normal_scores(table, log_t2((golden - mean) / spread))[:, None]
        null = replace(stream_null(usual, runs), layer=stream_null((golden - mean) / spread, runs))
        for displaced in (0, 1):
            away = displaced * 5 * direction(rng, 48)
            rows = ((line.lots(LOTS_EACH) + away - mean) / spread).astype(np.float32)
            t2 = [normal_scores(table, log_t2(lot)).mean(keepdims=True) for lot in rows]
            alone[displaced] += sum(verdict(at, LOT, null) == "paging" for at in t2)
            together[displaced] += sum(
                verdict(at, LOT, null, lot) == "paging" for at, lot in zip(t2, rows, strict=True)
            )
    total = PROFILES * LOTS_EACH
    print(f"seed {seed}: T² alone pages {alone}, with its layer {together} of {total} natural and displaced lots")
    assert together[0] <= alone[0] / 2
    assert together[0] <= total / 1000
    assert together[1] >= 0.98 * alone[1] > 0


def log_t2(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.sum(x.astype(np.float64) ** 2, axis=1)))
