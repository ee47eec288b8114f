"""Semantic slices: a change of one kind of picture is found sooner, and nothing alarms by itself. Seeds are printed."""

from dataclasses import replace

import numpy as np

from sincewhen.processor.backtest import Recording, watch
from sincewhen.processor.learn import build_profile
from sincewhen.profiles.profile import Profile
from sincewhen_testing.streams import direction, mixing, noise

GOLDEN, ARL0, LATENT, DIMS, KINDS, ONSET, ROWS = 5500, 1e4, 24, 48, 4, 500, 2000


def pictures(rng: np.random.Generator, mix: np.ndarray, kinds: np.ndarray, rows: int, drift: float = 0) -> Recording:
    """Rows of KINDS kinds in random order; from ONSET on one kind moves by `drift`."""
    kind = rng.integers(0, KINDS, rows)
    latent = noise(rng, rows, LATENT) + kinds[kind]
    latent[(np.arange(rows) >= ONSET) & (kind == 0)] += drift * direction(rng, LATENT)
    return Recording({"x": (latent @ mix).astype(np.float32)}, np.arange(rows), {})


def test_a_change_of_one_kind_of_picture_is_found_sooner_and_dated() -> None:
    seed = 900
    rng = np.random.default_rng(seed)
    false = covered = 0
    ratios = []
    for _ in range(8):
        mix, kinds = mixing(rng, LATENT, DIMS), np.array([6 * direction(rng, LATENT) for _ in range(KINDS)])
        profile = build_profile(replace(pictures(rng, mix, kinds, GOLDEN), at_ns=np.arange(GOLDEN) * 10**9).golden())
        assert isinstance(profile, Profile)
        whole = replace(profile, layers={name: replace(layer, slices=None) for name, layer in profile.layers.items()})
        false += len(watch(pictures(rng, mix, kinds, 10_000), profile, ARL0))
        changed = pictures(rng, mix, kinds, ROWS, drift=3.5)
        alarm, without = (
            next((alarm for alarm in watch(changed, judged, ARL0) if alarm.first.at >= ONSET), None)
            for judged in (profile, whole)
        )
        assert alarm is not None
        covered += alarm.known.since_low <= ONSET <= alarm.known.since_high
        ratios.append((alarm.first.at - ONSET) / ((without.first.at if without else ROWS) - ONSET))
    print(f"seed {seed}: delay {np.mean(ratios):.2f} ± {np.std(ratios) / 8**0.5:.2f} of the whole's; {covered}/8")
    print(f"{false} alarms in 80,000 rows, target at most {80_000 / ARL0:.0f}")
    assert np.mean(ratios) < 0.8
    assert covered >= 7
    assert false <= 80_000 / ARL0
