"""Within another station's basis a station detects and dates as within its own. Seeds are printed."""

import math

import numpy as np

from sincewhen.processor.backtest import Recording, watch
from sincewhen.processor.learn import build_profile
from sincewhen.profiles.embedding import Common
from sincewhen.profiles.profile import Profile
from sincewhen_testing.streams import direction, mixing, noise

STATIONS, CHANGES, LATENT, DIMS, GOLDEN, ARL0, ONSET, ROWS = 6, 6, 24, 96, 3000, 1e4, 300, 1100
CALM_ROWS, CALM_ARL0, PHI = 10_000, 1e3, 0.5


def recorded(rng: np.random.Generator, latent: np.ndarray, mix: np.ndarray) -> Recording:
    x = latent @ mix + 0.1 * rng.standard_normal((len(latent), DIMS))
    return Recording({"x": x.astype(np.float32)}, np.arange(len(x)) * 10**9, {})


def learned(golden: Recording, common: dict[str, Common]) -> Profile:
    profile = build_profile(golden.golden(), common=common)
    assert isinstance(profile, Profile), profile
    return profile


def test_delay_alarms_and_coverage_are_those_of_a_station_s_own_basis() -> None:
    """The stations see the same parts, which vary at each of them by other amounts."""
    seed = 1300
    rng = np.random.default_rng(seed)
    delays: list[list[int]] = []
    calm, covered = np.zeros(2, int), np.zeros(2, int)
    for _ in range(STATIONS):
        mix, spread = mixing(rng, LATENT, DIMS), np.exp(0.5 * rng.standard_normal(LATENT))
        first = learned(recorded(rng, noise(rng, GOLDEN, LATENT, PHI), mix), {})
        golden = recorded(rng, noise(rng, GOLDEN, LATENT, PHI) * spread, mix)
        both = [learned(golden, {}), learned(golden, {"x": first.layers["x"].basis.common})]
        quiet = recorded(rng, noise(rng, CALM_ROWS, LATENT, PHI) * spread, mix)
        calm += [len(watch(quiet, profile, CALM_ARL0)) for profile in both]
        for _ in range(CHANGES):
            latent = noise(rng, ROWS, LATENT, PHI)
            latent[ONSET:] += 2.5 * direction(rng, LATENT)
            changed = recorded(rng, latent * spread, mix)
            found = [[a for a in watch(changed, profile, ARL0) if a.first.at >= ONSET] for profile in both]
            delays.append([alarms[0].first.at - ONSET + 1 if alarms else ROWS - ONSET for alarms in found])
            covered += [bool(a) and a[0].known.since_low <= ONSET <= a[0].known.since_high for a in found]
    own, another = np.array(delays, float).T
    ratio = np.log(another / own)
    mean, error = float(np.exp(ratio.mean())), float(ratio.std() / math.sqrt(len(ratio)))
    print(f"seed {seed}: within another's basis {mean:.2f} ± {error:.2f} of the delay within the own")
    print(f"alarms in {STATIONS * CALM_ROWS} rows at {CALM_ARL0:.0f}: own {calm[0]}, another's {calm[1]}")
    print(f"intervals covered of {len(delays)}: own {covered[0]}, another's {covered[1]}")
    assert mean <= 1.05 + 2 * error
    assert calm[1] <= calm[0] + 3 * math.sqrt(calm[0] + 1)
    assert covered[1] >= covered[0] - 2
