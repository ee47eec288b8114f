"""Control charts against the worked examples of Montgomery, Introduction to Statistical Quality Control."""

import math
from itertools import pairwise

import numpy as np
import pytest

from sincewhen.detect.charts import (
    accumulated_sigma,
    cusum,
    ewma,
    hotelling_t2,
    individuals,
    laney_p,
    moving_range_sigma,
    subgroup_sigma,
    t2_limit,
    t2_limit_f,
)
from sincewhen.profiles.null import StreamNull

# Table 9.1: mean 10 and sigma 1, from the 21st value on mean 11
TABLE_9_1 = np.array(
    [
        *(9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34),
        *(9.03, 11.47, 10.51, 9.40, 10.08, 9.37, 10.62, 10.31, 8.52, 10.84),
        *(10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52),
    ]
)
# Costs of processing a mortgage loan application, individuals chart
LOANS = np.array([310, 288, 297, 298, 307, 303, 294, 297, 308, 306, 294, 299, 297, 299, 314, 295, 293, 306, 301, 304])


def known(vt: list[float], *, n_ref: int = 1000, sigma2_lot: float = 0.0, lots: int = 0) -> StreamNull:
    one = np.ones(1, np.float32)
    curve, spread = np.array(vt, np.float32)[:, None], np.array([sigma2_lot], np.float32)
    alone, none = np.eye(len(one), dtype=np.float32), np.zeros((0, 0), np.float32)
    return StreamNull(
        n_ref, lots, curve, spread, 0 * one, none, 0, 0.0, 0 * one, 0 * one, one, alone, np.ones(len(curve), np.float32)
    )


def test_individuals_and_moving_ranges_of_the_loan_costs_have_montgomery_s_limits() -> None:
    costs = LOANS.astype(float)
    sigma = moving_range_sigma(costs)
    values, ranges = individuals(costs, np.full(20, sigma), costs.mean())
    assert costs.mean() == 300.5
    assert values.ucl[0] == pytest.approx(321.22, abs=0.02)
    assert values.lcl[0] == pytest.approx(279.78, abs=0.02)
    assert ranges.centre[1] == pytest.approx(7.79, abs=0.005)
    assert ranges.ucl[1] == pytest.approx(25.45, abs=0.01)
    assert not values.out_of_control.any()
    assert not ranges.out_of_control.any()
    assert math.isnan(ranges.statistic[0])


def test_tabular_cusum_of_table_9_1_signals_at_the_29th_value() -> None:
    upper, lower = cusum(TABLE_9_1, np.ones(30), 10)
    expected = [0, 0, 0, 1.16, 2.82, 2.50, 0.04, 1.00, 0, 0, 0, 0.97, 0.98, 0, 0, 0, 0.12, 0, 0, 0.34]
    expected += [0.74, 0, 1.79, 2.79, 2.89, 3.47, 3.35, 4.47, 5.28, 5.30]
    assert upper.statistic == pytest.approx(expected, abs=1e-9)
    assert -lower.statistic[:10] == pytest.approx([0.05, 1.56, 1.77, 0, 0, 0, 1.46, 0, 0.30, 0], abs=1e-9)
    assert np.flatnonzero(upper.out_of_control).tolist() == [28, 29]
    assert not lower.out_of_control.any()


def test_ewma_of_table_9_1_signals_at_the_29th_value() -> None:
    chart = ewma(TABLE_9_1, np.ones(30), 10, weight=0.1, limit=2.7)
    assert chart.statistic[:5] == pytest.approx([9.945, 9.7495, 9.70355, 9.8992, 10.1253], abs=5e-5)
    assert chart.ucl[[0, 1, 29]] == pytest.approx([10.27, 10.36, 10.62], abs=0.005)
    assert chart.lcl[[0, 1, 29]] == pytest.approx([9.73, 9.64, 9.38], abs=0.005)
    assert np.flatnonzero(chart.out_of_control).tolist() == [28, 29]


def test_ewma_limits_of_unlike_sigmas_are_those_of_the_weights() -> None:
    sigma = np.array([1.0, 0.2, 3.0, 0.5, 0.5])
    weight, shared = 0.2, 0.4
    chart = ewma(np.zeros(5), sigma, shared=shared, weight=weight, limit=2.7)
    for last in range(5):
        weights = weight * (1 - weight) ** np.arange(last, -1, -1)
        variance = np.sum((weights * sigma[: last + 1]) ** 2) + (shared * weights.sum()) ** 2
        assert chart.ucl[last] == pytest.approx(2.7 * math.sqrt(variance))


def test_cusum_is_that_of_a_plain_loop_at_unlike_sigmas() -> None:
    rng = np.random.default_rng(1)
    values, sigma = rng.standard_normal(400), rng.uniform(0.5, 2, 400)
    upper, lower = cusum(values, sigma, 0.1, shared=0.05)
    up = down = 0.0
    for row in range(400):
        z, slack = (values[row] - 0.1) / sigma[row], 0.5 + 0.05 / sigma[row]
        up, down = max(0.0, up + z - slack), max(0.0, down - z - slack)
        assert upper.statistic[row] == pytest.approx(up, abs=1e-9)
        assert lower.statistic[row] == pytest.approx(-down, abs=1e-9)


def test_a_large_subgroup_has_narrower_limits_than_a_small_one() -> None:
    null = known([1.0, 1.0, 1.0, 1.0], n_ref=10**9)
    chart, _ = individuals(np.zeros(2), subgroup_sigma(null, np.array([4, 16]))[:, 0])
    assert chart.ucl == pytest.approx([1.5, 0.75], rel=1e-6)


def test_sigma_of_a_subgroup_holds_the_curve_the_lots_and_the_error_of_the_reference() -> None:
    null = known([1.0, 1.5, 1.75, 2.0], n_ref=100, sigma2_lot=0.09, lots=18)
    shared = 0.09 + 0.09 / 18 + 2.0 / 100
    sizes = np.array([1, 2, 4, 32])
    expected = [math.sqrt(vt / n + shared) for vt, n in [(1.0, 1), (1.5, 2), (2.0, 4), (2.0, 32)]]
    assert subgroup_sigma(null, sizes)[:, 0] == pytest.approx(expected, rel=1e-6)
    own, common = accumulated_sigma(null, sizes)
    assert own[:, 0] == pytest.approx(np.sqrt(2.0 / sizes), rel=1e-6)
    assert common == pytest.approx([math.sqrt(shared)], rel=1e-6)


def test_t2_limits_are_montgomery_s() -> None:
    """Textile fibre: two characteristics, 20 subgroups of 10, alpha .001."""
    assert t2_limit(2, 0.001) == pytest.approx(13.816, abs=0.001)
    phase_1 = t2_limit_f(2, 20, 10, 0.001) * 19 / 21
    assert phase_1 == pytest.approx(13.72, abs=0.02)
    assert t2_limit_f(2, 10**6, 10, 0.001) == pytest.approx(t2_limit(2, 0.001), rel=1e-4)


def test_t2_holds_the_correlation_of_the_coordinates() -> None:
    """Textile fibre: T² = n / (s1² s2² - s12²) (s2² d1² + s1² d2² - 2 s12 d1 d2)."""
    variance, n = np.array([1.23, 0.83]), 10
    correlation = np.array([[1, 0.79 / math.sqrt(1.23 * 0.83)], [0.79 / math.sqrt(1.23 * 0.83), 1]])
    away = np.array([[0.3, -0.4], [1.0, 1.0]])
    sigma = np.sqrt(variance / n) * np.ones((2, 1))
    chart = hotelling_t2(
        np.array([115.59, 1.06]) + away, sigma, np.array([115.59, 1.06]), ucl=13.82, correlation=correlation
    )
    d1, d2 = away.T
    expected = n / (1.23 * 0.83 - 0.79**2) * (0.83 * d1**2 + 1.23 * d2**2 - 2 * 0.79 * d1 * d2)
    assert chart.statistic == pytest.approx(expected)
    plain = hotelling_t2(away, sigma, np.zeros(2), ucl=13.82)
    assert plain.statistic == pytest.approx(n * (d1**2 / 1.23 + d2**2 / 0.83))


def test_too_few_reference_subgroups_for_t2_are_refused() -> None:
    with pytest.raises(ValueError, match="8 coordinates need more reference subgroups than 8 of 1 frames"):
        t2_limit_f(8, 8)


def test_laney_p_is_that_of_a_plain_loop() -> None:
    rejects, n = [3, 7, 2, 11, 0, 5], [100, 220, 90, 150, 80, 400]
    centre = sum(rejects) / sum(n)
    z = [(x / size - centre) / math.sqrt(centre * (1 - centre) / size) for x, size in zip(rejects, n, strict=True)]
    sigma_z = sum(abs(b - a) for a, b in pairwise(z)) / 5 / 1.128379
    chart = laney_p(np.array(rejects), np.array(n))
    for row, size in enumerate(n):
        half = 3 * math.sqrt(centre * (1 - centre) / size) * sigma_z
        assert chart.ucl[row] == pytest.approx(centre + half, rel=1e-6)
        assert chart.lcl[row] == pytest.approx(max(0, centre - half), rel=1e-6)


def test_laney_p_without_spread_between_subgroups_is_the_classic_p_chart() -> None:
    """Montgomery: limits of a reject rate of .2313 in samples of 50 are .0524 and .4102."""
    chart = laney_p(np.array([12, 27]), np.array([50, 50]), centre=0.2313, sigma_z=1.0)
    assert chart.lcl == pytest.approx([0.0524] * 2, abs=1e-4)
    assert chart.ucl == pytest.approx([0.4102] * 2, abs=1e-4)
    assert chart.out_of_control.tolist() == [False, True]


def test_a_line_without_rejects_is_in_control() -> None:
    assert not laney_p(np.zeros(5, np.int64), np.full(5, 40)).out_of_control.any()


def test_charts_of_no_and_of_one_subgroup_are_charts() -> None:
    for k in (0, 1):
        values, sigma = np.zeros(k), np.ones(k)
        charts = [*individuals(values, sigma), ewma(values, sigma), *cusum(values, sigma)]
        charts.append(hotelling_t2(values[:, None], sigma[:, None], np.zeros(1), ucl=9.0))
        charts.append(laney_p(np.ones(k, np.int64), np.full(k, 2), centre=0.5))
        assert all(len(chart.out_of_control) == k and not chart.out_of_control.any() for chart in charts)
