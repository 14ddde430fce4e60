import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from throughtime._errors import ConfigurationError, DataError, ShapeError
from throughtime.evaluation.metrics import (
    coverage,
    crps,
    crps_normal,
    mae,
    mase,
    mse,
    quantile_loss,
    rmse,
    smape,
)

TRUTH = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
FORECAST = np.array([[2.0, 10.0], [2.0, 16.0], [0.0, 32.0]])

values = st.floats(-1e3, 1e3, width=32)
series = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 3)), elements=values)


def pairwise_crps(truth: np.ndarray, paths: np.ndarray) -> float:
    """The definition, over all pairs of different paths."""
    count = len(paths)
    total = np.abs(paths - truth).mean(0)
    for i in range(count):
        for j in range(count):
            total = total - np.abs(paths[i] - paths[j]) / (2 * count * (count - 1))
    return float(total.mean())


def test_errors_worked_by_hand() -> None:
    # Differences: -1, 0; 0, 4; 3, -2.
    assert mae(TRUTH, FORECAST) == pytest.approx(10 / 6)
    assert mse(TRUTH, FORECAST) == pytest.approx(30 / 6)
    assert rmse(TRUTH, FORECAST) == pytest.approx(math.sqrt(5))


def test_smape_worked_by_hand() -> None:
    parts = [200 / 3, 0, 0, 200 * 4 / 36, 200, 200 * 2 / 62]
    assert smape(TRUTH, FORECAST) == pytest.approx(sum(parts) / 6)


def test_smape_of_opposite_signs_is_the_most_there_is() -> None:
    assert smape(np.array([1.0, -2.0]), np.array([-1.0, 2.0])) == 200


def test_mase_scales_each_column_by_its_own_seasonal_error() -> None:
    history = np.array([[0.0, 0.0], [1.0, 5.0], [4.0, 10.0], [3.0, 35.0]])
    # Two steps back the columns differ by 4, 2 and by 10, 30: scales 3 and 20. Mean errors are 4/3 and 2.
    assert mase(TRUTH, FORECAST, history, period=2) == pytest.approx((4 / 9 + 2 / 20) / 2)


def test_mase_of_the_seasonal_naive_inside_the_training_part_is_one() -> None:
    history = np.random.default_rng(0).normal(size=(50, 2))
    assert mase(history[7:], history[:-7], history, period=7) == pytest.approx(1)


def test_mase_without_scale_is_nan() -> None:
    assert math.isnan(mase(np.ones(2), np.zeros(2), history=np.ones(5)))


def test_quantile_loss_worked_by_hand() -> None:
    # y - f is 4, -2, so 0.9 * 4 and 0.1 * 2.
    assert quantile_loss(np.array([5.0, 1.0]), np.array([1.0, 3.0]), 0.9) == pytest.approx(1.9)


@given(series, values)
def test_quantile_loss_at_the_median_is_half_the_absolute_error(truth: np.ndarray, point: float) -> None:
    forecast = np.full_like(truth, point)
    assert 2 * quantile_loss(truth, forecast, 0.5) == pytest.approx(mae(truth, forecast))


def test_quantile_loss_is_least_at_the_quantile() -> None:
    truth = np.arange(1.0, 101.0)
    losses = [quantile_loss(truth, np.full(100, guess), 0.8) for guess in truth]
    assert truth[int(np.argmin(losses))] in (80, 81)


def test_coverage_counts_both_ends() -> None:
    assert coverage(np.array([0.0, 1.0, 2.0, 3.0]), np.full(4, 1.0), np.full(4, 2.0)) == 0.5


def test_coverage_of_normal_intervals_is_their_level() -> None:
    truth = np.random.default_rng(1).normal(size=20_000)
    bound = np.full(20_000, 1.2815515655446004)
    assert coverage(truth, -bound, bound) == pytest.approx(0.8, abs=0.01)


@given(series, values, st.integers(1, 5))
def test_crps_of_a_point_forecast_is_its_absolute_error(truth: np.ndarray, point: float, count: int) -> None:
    forecast = np.full_like(truth, point)
    paths = np.repeat(forecast[None], count, axis=0)
    assert crps(truth, paths) == pytest.approx(mae(truth, forecast), rel=1e-9, abs=1e-9)
    assert crps_normal(truth, forecast, np.zeros_like(truth)) == pytest.approx(mae(truth, forecast))


@given(series, st.integers(2, 7), st.integers(0, 9))
def test_crps_by_sorting_is_crps_by_pairs(truth: np.ndarray, count: int, seed: int) -> None:
    paths = np.random.default_rng(seed).normal(scale=100, size=(count, *truth.shape))
    assert crps(truth, paths) == pytest.approx(pairwise_crps(truth, paths), rel=1e-9, abs=1e-9)


def test_crps_is_fair() -> None:
    """Averaged over many small samples it is the score of the distribution; with 1/m² it would be 0.28 too much."""
    generator = np.random.default_rng(2)
    truth = np.full(200_000, 0.7)
    exact = crps_normal(truth[:1], np.zeros(1), np.ones(1))
    assert crps(truth, generator.normal(size=(2, 200_000))) == pytest.approx(exact, abs=0.01)


def test_crps_keeps_its_digits_far_from_zero() -> None:
    paths = np.random.default_rng(3).integers(-9, 9, size=(500, 1)).astype(float)
    far = crps(np.array([2.0**45]), paths + 2.0**45)
    assert far == pytest.approx(crps(np.zeros(1), paths), rel=1e-12)


def test_crps_normal_is_the_mean_of_quantile_losses() -> None:
    """CRPS is twice the integral of the quantile loss over all levels; here by the midpoint rule."""
    levels = (np.arange(20_000) + 0.5) / 20_000
    forecast = NormalDist(1, 2)
    losses = [quantile_loss(np.array([2.5]), np.array([forecast.inv_cdf(level)]), level) for level in levels]
    score = crps_normal(np.array([2.5]), np.array([1.0]), np.array([2.0]))
    assert 2 * np.mean(losses) == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("metric", [mae, mse, rmse, smape])
def test_nothing_is_broadcast(metric) -> None:
    with pytest.raises(ShapeError, match=r"forecast is \[3, 1\] but truth is \[3\]"):
        metric(np.ones(3), np.ones((3, 1)))


@pytest.mark.parametrize("metric", [mae, mse, rmse, smape])
def test_missing_values_are_named(metric) -> None:
    with pytest.raises(DataError, match=r"truth has 2 values .* first at \[1\]"):
        metric(np.array([0.0, np.nan, np.inf]), np.ones(3))


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(DataError, match="nothing to measure"):
        mae(np.ones((0, 2)), np.ones((0, 2)))


def test_other_refusals() -> None:
    with pytest.raises(ShapeError, match=r"history is \[5, 3\]"):
        mase(TRUTH, FORECAST, np.ones((5, 3)))
    with pytest.raises(ConfigurationError, match="period 5 with 5 steps"):
        mase(TRUTH, FORECAST, np.ones((5, 2)), period=5)
    with pytest.raises(ConfigurationError, match=r"level 1\.0"):
        quantile_loss(TRUTH, FORECAST, 1.0)
    with pytest.raises(DataError, match=r"lower is above upper at \[1\]"):
        coverage(np.ones(2), np.array([0.0, 3.0]), np.array([1.0, 2.0]))
    with pytest.raises(ShapeError, match=r"paths are \[3, 4\] but truth is \[3\]: expected \[sample, 3\]"):
        crps(np.ones(3), np.ones((3, 4)))
    with pytest.raises(DataError, match="standard deviation -1 is negative"):
        crps_normal(np.ones(1), np.ones(1), np.array([-1.0]))
