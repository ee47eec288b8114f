"""Operating conditions that golden frames hold few of: no alarms by themselves, drifts found. Seeds are printed."""

import numpy as np

from sincewhen.processor.backtest import Recording, run
from sincewhen.processor.learn import build_profile
from sincewhen.profiles.profile import Profile
from sincewhen.score.score import score
from sincewhen_testing.streams import direction, mixing, noise

GOLDEN, ARL0, LATENT, DIMS, RUN = 3000, 1e4, 24, 48, 60


def line(rng: np.random.Generator, skus: list[str], drift: int | None = None) -> Recording:
    """Runs of RUN frames of a sku; each has its own mean and, in B, 1.4 times the spread."""
    mix, of_sku = mixing(rng, LATENT, DIMS), {name: 2 * direction(rng, LATENT) for name in "ABC"}
    names = np.repeat(skus, RUN)
    latent = noise(rng, len(names), LATENT)
    latent[names == "B"] *= 1.4
    latent += np.array([of_sku[name] for name in names.tolist()])
    if drift is not None:
        latent[drift:] += 4 * direction(rng, LATENT)
    brightness = 100 + latent[:, 0]
    x = (latent @ mix).astype(np.float32)
    return Recording(
        {"x": x}, np.arange(len(x)) * 10**9, {"factor:brightness": brightness}, regime=names.astype(object)
    )


def test_a_rare_condition_does_not_alarm_by_itself_and_its_drift_is_found() -> None:
    seed = 800
    rng = np.random.default_rng(seed)
    false = found = frames = 0
    for _ in range(8):
        golden = (["A"] * 9 + ["B"]) * 5
        watched = ["B"] * 30 + ["A", "B"] * 15
        onset = RUN * (len(golden) + len(watched))
        result = run(line(rng, golden + watched + ["B"] * 5, drift=onset), GOLDEN, ARL0)
        assert result.refused is None, result.refused
        false += sum(alarm.first.at < onset for alarm in result.alarms)
        found += any(alarm.first.at >= onset for alarm in result.alarms)
        frames += RUN * len(watched)
    print(f"seed {seed}: {false} alarms in {frames} frames, target at most {frames / ARL0:.1f}; drifts found {found}/8")
    assert false <= frames / ARL0
    assert found == 8


def test_a_condition_of_too_few_golden_frames_is_a_new_regime() -> None:
    rng = np.random.default_rng(801)
    recording = line(rng, ["A"] * 20 + ["B"] * 10 + ["A"] * 19 + ["C"] + ["B"] * 4)
    profile = build_profile(recording.take(slice(50 * RUN)).golden())
    assert isinstance(profile, Profile)
    assert set(profile.regimes) == {"A", "B"}
    assert any("'C'" in warning and "60 golden frames" in warning for warning in profile.warnings)
    seen = score(profile, recording.layers, recording.scalars, n=recording.n, regime=recording.regime)
    assert recording.regime is not None
    assert (seen.new_regime == (recording.regime == "C")).all()
