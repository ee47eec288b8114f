"""In-control rates of the screens' charts at lag-1 correlation .9, mean and curve learned from golden frames.

Seeds are printed.
"""

import math

import numpy as np

from sincewhen.detect.charts import (
    accumulated_sigma,
    cusum,
    ewma,
    hotelling_t2,
    individuals,
    laney_p,
    subgroup_sigma,
    t2_limit,
)
from sincewhen.detect.nelson import NelsonRule, nelson
from sincewhen.detect.second_opinion import Method, SecondOpinion
from sincewhen.detect.subgroups import RationalSubgroups, Subgroups
from sincewhen.profiles.null import StreamNull
from sincewhen.profiles.variance import stream_null
from sincewhen_testing.streams import noise

GOLDEN, FRAMES, PROFILES, PHI = 3000, 30_000, 24, 0.9
INDIVIDUALS, EWMA = math.erfc(3 / math.sqrt(2)), math.erfc(2.7 / math.sqrt(2))  # share of points outside, nominal


def in_control(seed: int, dims: int = 1, phi: float = PHI) -> list[tuple[StreamNull, Subgroups]]:
    """Profiles, each with subgroups of 9 to 32 frames that it did not see."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(PROFILES):
        x = noise(rng, GOLDEN + FRAMES, dims, phi)
        pace = np.repeat(rng.uniform(0.2, 1.2, FRAMES // 100), 100)
        at_ns = np.cumsum(pace * 10**9).astype(np.int64)
        fresh = (x[GOLDEN:] - x[:GOLDEN].mean(axis=0)).astype(np.float32)
        all_valid, no_restart = np.ones((1, FRAMES), bool), np.zeros((1, FRAMES), bool)
        closed = RationalSubgroups(1, dims).update(fresh[None], all_valid, at_ns, no_restart)
        found.append((stream_null(x[:GOLDEN], None), closed))
    return found


def share(*masks: np.ndarray) -> float:
    return float(np.mean(np.concatenate(masks)))


def test_limits_from_the_curve_keep_their_rate_and_limits_from_single_frames_do_not() -> None:
    seed = 600
    rates: dict[str, list[np.ndarray]] = {}
    for null, closed in in_control(seed):
        values, sigma = closed.mean[:, 0], subgroup_sigma(null, closed.n)[:, 0]
        own, shared = accumulated_sigma(null, closed.n)
        naive = np.sqrt(null.vt[0, 0] / closed.n)
        common = float(shared[0])
        for name, chart in {
            "individuals": individuals(values, sigma)[0],
            "moving range": individuals(values, sigma)[1],
            "ewma": ewma(values, own[:, 0], shared=common),
            "ewma, subgroups independent": ewma(values, sigma),
            "individuals, naive": individuals(values, naive)[0],
            "ewma, naive": ewma(values, naive),
        }.items():
            rates.setdefault(name, []).append(chart.out_of_control)
    figures = {name: share(*masks) for name, masks in rates.items()}
    points = sum(map(len, rates["ewma"]))
    print(f"seed {seed}: share outside of {points} points, nominal {INDIVIDUALS:.4f}, ewma {EWMA:.4f}:")
    print({name: round(value, 4) for name, value in figures.items()})
    assert INDIVIDUALS / 3 <= figures["individuals"] <= 2 * INDIVIDUALS
    assert EWMA / 3 <= figures["ewma"] <= 2 * EWMA
    assert figures["individuals, naive"] > 50 * INDIVIDUALS
    assert figures["ewma, naive"] > 20 * EWMA


def test_a_cusum_on_the_curve_runs_as_long_as_on_independent_values() -> None:
    """Share of points above the limit, against independent values of known mean and sigma."""
    seed = 601
    rng = np.random.default_rng(seed)
    honest, naive, exact = [], [], []
    for null, closed in in_control(seed):
        own, shared = accumulated_sigma(null, closed.n)
        values = closed.mean[:, 0]
        honest += [chart.out_of_control for chart in cusum(values, own[:, 0], shared=float(shared[0]))]
        naive += [chart.out_of_control for chart in cusum(values, np.sqrt(null.vt[0, 0] / closed.n))]
        k = len(values)
        exact += [chart.out_of_control for chart in cusum(rng.standard_normal(k), np.ones(k))]
    print(f"seed {seed}: honest {share(*honest):.4f}, naive {share(*naive):.4f}, independent {share(*exact):.4f}")
    assert share(*honest) <= 2 * share(*exact)
    assert share(*naive) > 20 * share(*exact)


def test_t2_keeps_its_rate() -> None:
    seed, dims = 602, 8
    masks = [
        hotelling_t2(closed.mean, subgroup_sigma(null, closed.n), np.zeros(dims), ucl=t2_limit(dims)).out_of_control
        for null, closed in in_control(seed, dims)
    ]
    print(f"seed {seed}: T² of {dims} coordinates outside in {share(*masks):.4f}, nominal .0027")
    assert 0.0027 / 3 <= share(*masks) <= 2 * 0.0027


def test_laney_p_keeps_its_rate_where_reject_rates_differ_by_nature() -> None:
    seed = 603
    rng = np.random.default_rng(seed)
    n = rng.integers(200, 2000, 20_000)
    rejects = rng.binomial(n, rng.normal(0.05, 0.01, len(n)).clip(0, 1))
    laney, classic = laney_p(rejects, n), laney_p(rejects, n, sigma_z=1.0)
    print(f"seed {seed}: P′ {share(laney.out_of_control):.4f}, plain p chart {share(classic.out_of_control):.4f}")
    assert share(laney.out_of_control) <= 3 * INDIVIDUALS
    assert share(classic.out_of_control) > 20 * INDIVIDUALS


def test_nelson_s_rules_and_second_opinions_in_control_are_known() -> None:
    """Rows per 1,000 subgroups at which a rule fires or a method detects, independent and on correlated frames."""
    seed = 604
    for phi in (0.0, PHI):
        rows = dict.fromkeys((*NelsonRule, *Method), 0)
        count = 0
        for null, closed in in_control(seed, phi=phi):
            z = closed.mean[:, 0] / subgroup_sigma(null, closed.n)[:, 0]
            for rule, fired in nelson(z).items():
                rows[rule] += len(fired)
            own, shared = accumulated_sigma(null, closed.n)
            for opinion in SecondOpinion().update(closed.mean[:, 0] / np.hypot(own, shared)[:, 0]):
                rows[opinion.method] += 1
            count += len(z)
        figures = {str(name): round(1000 * found / count, 2) for name, found in rows.items()}
        print(f"seed {seed} phi {phi}: per 1,000 of {count} subgroups in control {figures}")
        assert figures["adwin"] <= 0.3
        assert figures["page_hinkley"] <= 0.3
        assert figures["1"] <= 2 * 1000 * INDIVIDUALS
