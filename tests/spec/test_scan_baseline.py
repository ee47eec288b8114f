"""Which stretch of an archive is the baseline; on simulated embeddings."""

from dataclasses import replace

import numpy as np
import pytest

from sincewhen.processor.backtest import Recording
from sincewhen.processor.learn import FRAMES_MIN, Subject
from sincewhen.scan.baseline import Baseline, NoBaseline, find_baseline, given_baseline, stretches
from sincewhen_testing.streams import direction, mixing, noise

LATENT, DIMS = 16, 32


def recording(
    latent: np.ndarray, seed: int, lot: np.ndarray | None = None, regime: np.ndarray | None = None
) -> Recording:
    x = (latent @ mixing(np.random.default_rng(seed + 1000), LATENT, DIMS)).astype(np.float32)
    return Recording({"x": x}, np.arange(len(x)) * 10**9, {}, lot=lot, regime=regime)


def found(item: Recording) -> Baseline:
    baseline = find_baseline(item, 10.0 * item.n, Subject())
    assert isinstance(baseline, Baseline), baseline
    return baseline


def test_a_calm_archive_is_its_own_baseline_and_nothing_is_found() -> None:
    baseline = found(recording(noise(np.random.default_rng(1), 1500, LATENT), 1))
    assert (baseline.start, baseline.stop) == (0, 1500)
    assert baseline.alarms == []


@pytest.mark.parametrize(("first", "last"), [(0, 400), (700, 1000), (1200, 1600)])
def test_a_change_anywhere_lies_outside_the_baseline_and_is_dated(first: int, last: int) -> None:
    seed = first
    rng = np.random.default_rng(seed)
    latent = noise(rng, 1800, LATENT)
    latent[first:last] += 3 * direction(rng, LATENT)
    baseline = found(recording(latent, seed))
    overlap = min(baseline.stop, last) - max(baseline.start, first)
    assert overlap <= 8
    (alarm,) = baseline.alarms
    assert abs(alarm.known.since - first) <= 3
    assert alarm.until is not None
    assert abs(alarm.until - (last - 1)) <= 20


def test_states_that_alternate_do_not_hide_in_the_baseline() -> None:
    rng = np.random.default_rng(3)
    latent = noise(rng, 1800, LATENT)
    changed = direction(rng, LATENT)
    for first in range(600, 1800, 200):
        latent[first : first + 100] += 3 * changed
    baseline = found(recording(latent, 3))
    assert baseline.stop <= 610
    assert len(baseline.alarms) >= 5


def test_a_slope_is_not_part_of_the_baseline() -> None:
    rng = np.random.default_rng(4)
    latent = noise(rng, 1800, LATENT)
    latent[1000:] += np.minimum(np.arange(800) / 100, 6)[:, None] * direction(rng, LATENT)
    baseline = found(recording(latent, 4))
    assert baseline.start == 0
    assert baseline.stop <= 1100
    assert any(alarm.known.since_low <= 1000 <= alarm.known.since_high for alarm in baseline.alarms)


def test_lots_that_differ_by_nature_are_one_baseline_where_the_lots_are_named_and_none_where_they_are_not() -> None:
    rng = np.random.default_rng(5)
    latent = noise(rng, 2400, LATENT) + np.repeat(rng.standard_normal((48, LATENT)) * 0.5, 50, axis=0)
    lots = np.repeat([f"L{number:02d}" for number in range(48)], 50).astype(object)
    baseline = found(recording(latent, 5, lot=lots))
    assert baseline.stop - baseline.start == 2400
    assert isinstance(find_baseline(recording(latent, 5), 24_000, Subject()), NoBaseline)


def test_products_that_take_turns_have_a_mean_each_and_a_rare_one_is_not_known() -> None:
    rng = np.random.default_rng(6)
    sku = np.repeat(["A", "B"] * 8, 125).astype(object)
    sku[990:1000] = "C"
    latent = noise(rng, 2000, LATENT)
    latent[sku == "B"] += 5 * direction(rng, LATENT)
    latent[sku == "C"] -= 5 * direction(rng, LATENT)
    baseline = found(recording(latent, 6, regime=sku))
    assert set(baseline.regimes) == {"A", "B"}
    assert baseline.stop - baseline.start >= 1900
    assert baseline.alarms == []


def test_too_few_rows_and_no_calm_stretch_say_what_is_needed() -> None:
    rng = np.random.default_rng(7)
    few = find_baseline(recording(noise(rng, 130, LATENT), 7), 1e4, Subject())
    assert isinstance(few, NoBaseline)
    assert f"at least {FRAMES_MIN} pictures" in few.reason
    assert "130 can be judged: add at least 420 more" in few.reason
    steps = noise(rng, 1200, LATENT) + 4 * np.repeat(rng.standard_normal((12, LATENT)), 100, axis=0)
    restless = find_baseline(recording(steps, 7), 1e4, Subject())
    assert isinstance(restless, NoBaseline)
    assert "the longest such stretch has" in restless.reason
    assert "give them as the column lot of an --index" in restless.reason
    lot = np.repeat([f"L{number // 2}" for number in range(12)], 100).astype(object)
    named = find_baseline(recording(steps, 7, lot=lot), 1e4, Subject())
    assert isinstance(named, NoBaseline)
    assert "--index" not in named.reason


def test_a_named_baseline_is_taken_or_refused_with_the_reason() -> None:
    rng = np.random.default_rng(8)
    latent = noise(rng, 1500, LATENT)
    latent[900:] += 3 * direction(rng, LATENT)
    item = recording(latent, 8)
    taken = given_baseline(item, 0, 700, 15_000, Subject())
    assert isinstance(taken, Baseline)
    (alarm,) = taken.alarms
    assert alarm.known.since_low <= 900 <= alarm.known.since_high
    refused = given_baseline(item, 0, 100, 15_000, Subject())
    assert taken.steady is None
    assert isinstance(refused, NoBaseline)
    assert "--baseline holds 100 of the 1500 that can be judged: name a longer time" in refused.reason


@pytest.mark.parametrize(("first", "last", "steady"), [(0, 300, (300, 1200)), (1060, 1200, (0, 1060))])
def test_a_named_baseline_that_holds_a_change_says_which_part_of_it_stays_the_same(
    first: int, last: int, steady: tuple[int, int]
) -> None:
    rng = np.random.default_rng(12)
    latent = noise(rng, 1500, LATENT)
    latent[first:last] += 3 * direction(rng, LATENT)
    taken = given_baseline(recording(latent, 12), 0, 1200, 15_000, Subject())
    assert isinstance(taken, Baseline)
    assert taken.steady is not None
    assert np.abs(np.subtract(taken.steady, steady)).max() <= 30


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_a_calm_named_baseline_is_not_doubted(phi: float) -> None:
    for seed in range(20, 24):
        latent = noise(np.random.default_rng(seed), 1500, LATENT, phi)
        taken = given_baseline(recording(latent, seed), 100, 1300, 15_000, Subject())
        assert isinstance(taken, Baseline)
        assert taken.steady is None


@pytest.mark.parametrize("stop", [1500, 1493])
def test_a_named_baseline_that_leaves_nothing_to_judge_is_refused(stop: int) -> None:
    refused = given_baseline(recording(noise(np.random.default_rng(13), 1500, LATENT), 13), 0, stop, 1e4, Subject())
    assert isinstance(refused, NoBaseline)
    assert (
        f"--baseline holds {stop} of the 1500 pictures that can be judged: name a time that was calm" in refused.reason
    )


def test_segments_are_cut_where_the_mean_changes_and_nowhere_else() -> None:
    rng = np.random.default_rng(9)
    means = rng.standard_normal((200, 20))
    assert stretches(means, 1.2) == [(0, 200)]
    means[80:120, :3] += 4
    assert stretches(means, 1.2) == [(0, 79), (81, 119), (121, 200)]


def test_a_few_strange_rows_are_a_burst_and_neither_a_change_nor_the_end_of_a_baseline() -> None:
    rng = np.random.default_rng(11)
    latent = noise(rng, 1500, LATENT)
    latent[700:703] += 40 * direction(rng, LATENT)
    baseline = found(recording(latent, 11))
    assert (baseline.start, baseline.stop) == (0, 1500)
    assert baseline.alarms == []


@pytest.mark.parametrize("row", [0, 1499])
def test_one_picture_of_a_wrong_month_does_not_stretch_the_baseline(row: int) -> None:
    item = recording(noise(np.random.default_rng(1), 1500, LATENT), 1)
    at_ns = item.at_ns.copy()
    at_ns[row] += (30 if row else -30) * 24 * 3600 * 10**9
    baseline = found(replace(item, at_ns=at_ns, pauses=True))
    assert (baseline.start, baseline.stop) == ((0, 1499) if row else (1, 1500))
    assert baseline.profile.frames_per_week == pytest.approx(7 * 24 * 3600, rel=0.01)
