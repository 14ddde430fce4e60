"""The figures of a backtest, computed again in a few lines that share nothing with it."""

import dataclasses
import math
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from throughtime import DataError
from throughtime.evaluation import backtest

HORIZON, PERIOD = 5, 24


def origins(rows: int, stride: int) -> range:
    """Rows at which the horizon begins: all of it lies in the last fifth."""
    return range(rows - round(rows * 0.2), rows - HORIZON + 1, stride)


def forecast(name: str, past: np.ndarray) -> np.ndarray:
    ahead = np.arange(1, HORIZON + 1)[:, None]
    match name:
        case "naive":
            return np.repeat(past[-1:], HORIZON, 0)
        case "seasonal_naive":
            return past[len(past) - PERIOD : len(past) - PERIOD + HORIZON]
        case _:
            return past[-1] + ahead * (past[-1] - past[0]) / (len(past) - 1)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("name", ["naive", "seasonal_naive", "drift"])
def test_baselines_computed_again(series_run, name, stride) -> None:
    data = series_run.read()
    found = backtest(series_run, data, stride=stride, samples=4)
    errors, scaled, count = [], [], 0
    for series in data.series:
        values = series.observed
        rows = len(values)
        scale = np.abs(values[PERIOD : round(rows * 0.7)] - values[: round(rows * 0.7) - PERIOD]).mean(0)
        for origin in origins(rows, stride):
            error = values[origin : origin + HORIZON] - forecast(name, values[:origin])
            errors.append(error)
            scaled.append(np.abs(error) / scale)
            count += 1
    scores = found.baselines[name]
    assert found.origins == count
    assert (found.horizon, found.stride, found.period) == (HORIZON, stride, PERIOD)
    assert scores.mae == pytest.approx(np.abs(errors).mean())
    assert scores.mse == pytest.approx(np.square(errors).mean())
    assert scores.rmse == pytest.approx(math.sqrt(np.square(errors).mean()))
    assert scores.mase == pytest.approx(np.mean(scaled))
    assert scores.error_by_step == pytest.approx(np.abs(errors).mean((0, 2)))


def test_the_model_computed_again(series_run) -> None:
    data = series_run.read()
    found = backtest(series_run, data, stride=2, samples=30, seed=3).model
    errors, inside = [], []
    for series in data.series:
        rows = np.array(origins(len(series.observed), 2))
        paths = series_run.paths_at(series, series.known, rows, HORIZON, 30, 3)
        truth = np.stack([series.observed[row : row + HORIZON] for row in rows], 1)
        errors.append((truth - np.median(paths, 0)).reshape(HORIZON, -1))
        lower, upper = np.quantile(paths, [0.1, 0.9], axis=0)
        inside.append(((lower <= truth) & (truth <= upper)).reshape(HORIZON, -1))
    assert found.mae == pytest.approx(np.abs(np.concatenate(errors, 1)).mean())
    assert found.coverage["80"] == pytest.approx(np.concatenate(inside, 1).mean())
    assert 0 <= found.coverage["50"] <= found.coverage["80"] <= found.coverage["95"] <= 1


def test_no_forecast_reads_what_it_forecasts(series_run) -> None:
    """Values in the last horizon change the truth of the last origin, but no forecast."""
    data = series_run.read()
    series = data.series[0]
    last = np.array([len(series.observed) - HORIZON])
    paths = series_run.paths_at(series, series.known, last, HORIZON, 5, 0)
    changed = series.observed.copy()
    changed[-HORIZON:] = 1e6
    other = dataclasses.replace(series, observed=changed)
    np.testing.assert_array_equal(series_run.paths_at(other, other.known, last, HORIZON, 5, 0), paths)


def test_a_seed_decides(series_run) -> None:
    one, two, three = (
        backtest(series_run, series_run.read(), stride=9, samples=5, seed=seed).to_dict() for seed in (1, 1, 2)
    )
    assert one == two
    assert one["model"] != three["model"]
    assert one["baselines"] == three["baselines"]


def test_what_is_shown(series_run) -> None:
    shares: list[float] = []
    found = backtest(series_run, series_run.read(), stride=9, samples=5, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    console = Console(width=100, file=StringIO())
    console.print(found.table())
    shown = console.file.getvalue()
    for words in ("MAE", "MASE", "seasonal naive", "drift", f"{found.model.mae:.4g}", "95 % interval"):
        assert words in shown
    axes = found.plot().axes[0]
    assert len(axes.lines) == 4
    assert axes.get_ylim()[0] == 0
    assert axes.lines[0].get_ydata().tolist() == pytest.approx(found.model.error_by_step)


def test_a_horizon_beyond_the_test_part_is_refused(series_run) -> None:
    with pytest.raises(DataError, match="test part has 32 rows, the horizon is 33"):
        backtest(series_run, series_run.read(), horizon=33)
