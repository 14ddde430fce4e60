"""What was filled in is no truth, and nothing is forecast from what was filled from later rows."""

import dataclasses
from io import StringIO

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from throughtime import DataError
from throughtime.data import read_series
from throughtime.evaluation import backtest
from throughtime.training import prepare

HORIZON, PERIOD = 5, 24


def mended_data(run, rows, interpolated, column=0):
    """The run's data with values of the first series said to be filled in."""
    data = run.read()
    first = data.series[0]
    mended = np.zeros(first.observed.shape, bool)
    mended[rows, column] = True
    one = dataclasses.replace(first, mended=mended, interpolated=interpolated)
    return dataclasses.replace(data, series=(one, *data.series[1:]))


def shown(found) -> str:
    console = Console(width=100, file=StringIO())
    console.print(found.table())
    return console.file.getvalue()


def test_values_filled_in_count_in_no_figure(series_run) -> None:
    rows = [20, 60, 140, 141]
    data = mended_data(series_run, rows, interpolated=False)
    found = backtest(series_run, data, samples=20)
    errors, scaled, inside, count = [], [], [], 0
    for series in data.series:
        length = len(series.observed)
        end = round(length * 0.7)
        present = np.ones(series.observed.shape, bool) if series.mended is None else ~series.mended
        values = np.where(present, series.observed, np.nan)
        scale = np.nanmean(np.abs(values[PERIOD:end] - values[: end - PERIOD]), 0)
        origins = np.arange(length - round(length * 0.2), length - HORIZON + 1)
        paths = series_run.paths_at(series, series.known, origins, HORIZON, 20, 0)
        lower, upper = np.quantile(paths, [0.1, 0.9], axis=0)
        for window, origin in enumerate(origins):
            truth = values[origin : origin + HORIZON]
            count += int(np.isnan(truth).sum())
            errors.append(np.abs(truth - series.observed[origin - 1]))
            scaled.append(errors[-1] / scale)
            within = (lower[:, window] <= truth) & (truth <= upper[:, window])
            inside.append(np.where(np.isnan(truth), np.nan, within))
    assert found.values_left_out == count == 10
    assert found.origins_left_out == 0
    assert found.baselines["naive"].mae == pytest.approx(np.nanmean(errors))
    assert found.baselines["naive"].mase == pytest.approx(np.nanmean(scaled))
    assert found.baselines["naive"].error_by_step == pytest.approx(np.nanmean(errors, axis=(0, 2)))
    assert found.model.coverage["80"] == pytest.approx(np.nanmean(inside))
    assert found.to_dict()["values_left_out"] == 10
    assert "filled in: 10" in shown(found)


def test_what_a_filled_value_is_does_not_matter(series_run) -> None:
    """Beyond every origin it reaches no forecast, and as truth it is left out."""
    data = mended_data(series_run, [158, 159], interpolated=False)
    first = data.series[0]
    values = first.observed.copy()
    values[158:160, 0] = 1e6
    other = dataclasses.replace(data, series=(dataclasses.replace(first, observed=values), *data.series[1:]))
    assert backtest(series_run, data, samples=5) == backtest(series_run, other, samples=5)


@pytest.mark.parametrize("column", [0, 1])
def test_no_forecast_begins_after_an_interpolated_row(series_run, column) -> None:
    whole = backtest(series_run, series_run.read(), samples=5)
    found = backtest(series_run, mended_data(series_run, [130, 140], True, column), samples=5)
    assert found.origins_left_out == 2
    assert found.origins == whole.origins - 2
    assert "later ones: 2" in shown(found)
    carried = backtest(series_run, mended_data(series_run, [130, 140], False, column), samples=5)
    assert (carried.origins, carried.origins_left_out) == (whole.origins, 0)


def test_nothing_mended_is_nothing_left_out(series_run) -> None:
    found = backtest(series_run, series_run.read(), samples=5)
    assert (found.values_left_out, found.origins_left_out) == (0, 0)
    assert "left out" not in shown(found)


def test_a_test_part_that_was_filled_in_throughout_is_refused(series_run) -> None:
    data = mended_data(series_run, range(100, 160), True)
    data = dataclasses.replace(data, series=data.series[:1])
    with pytest.raises(DataError, match="all were filled, nothing to compare"):
        backtest(series_run, data, samples=5)


def test_a_series_shorter_than_its_season_is_trained_and_evaluated(tmp_path) -> None:
    weeks = np.datetime64("2023-01-01", "us") + np.arange(70) * np.timedelta64(7, "D")
    data = read_series(pl.DataFrame({"ds": weeks, "y": np.sin(np.arange(70.0))}))
    assert data.frequency.period == 52
    training = prepare(data, tmp_path / "run", family={"hidden_size": 4}, training={"epochs": 1})
    training.fit()
    assert training.run.task.period == 1
    assert backtest(training.run, data, horizon=3, samples=4).period == 1


def test_a_series_shorter_than_the_season_of_the_others_is_evaluated_beside_naive(tmp_path) -> None:
    chance = np.random.default_rng(0)
    frames = [
        pl.DataFrame({"unique_id": name, "ds": weeks, "y": chance.normal(size=len(weeks))})
        for name, rows in (("long", 160), ("short", 60))
        for weeks in [np.datetime64("2020-01-05", "us") + np.arange(rows) * np.timedelta64(7, "D")]
    ]
    data = read_series(pl.concat(frames))
    task = {"horizon": 3, "lookback": 6}
    training = prepare(data, tmp_path / "run", task=task, family={"hidden_size": 4}, training={"epochs": 1})
    training.fit()
    found = backtest(training.run, data, samples=4)
    assert found.period == 52
    short = dataclasses.replace(data, series=data.series[1:])
    alone = backtest(training.run, short, samples=4).baselines
    assert alone["seasonal_naive"] == alone["naive"]
