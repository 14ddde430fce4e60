"""Runs of series: times read as in training, scales and surprises that look only back."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from throughtime import DataError
from throughtime.artifacts import Surprise, load
from throughtime.data import read_series
from throughtime.evaluation import backtest
from throughtime.training import prepare

SMALL = {"family": {"hidden_size": 4}, "training": {"epochs": 1}}


def dated(path, days, values=None, format="%d/%m/%Y", header="date,y"):
    values = np.sin(np.arange(len(days))) if values is None else values
    stamps = pl.Series(days.astype("M8[us]")).dt.strftime(format)
    path.write_text("\n".join([header, *(f"{day},{value}" for day, value in zip(stamps, values, strict=True))]) + "\n")
    return path


def days(count, start="2024-02-01"):
    return np.datetime64(start) + np.arange(count)


def test_a_run_is_used_in_the_time_format_it_was_trained_with(tmp_path):
    path = dated(tmp_path / "a.csv", days(9))
    with pytest.raises(DataError, match="may be day first or month first"):
        read_series(path)
    data = read_series(path, time_format="%d/%m/%Y", calendar="none")
    task = {"horizon": 1, "lookback": 2}
    prepare(data, tmp_path / "run", task=task, **SMALL).fit()
    run = load(tmp_path / "run")
    assert run.read().series[0].times[-1] == np.datetime64("2024-02-09")
    assert backtest(run, run.read(), samples=4).origins == 1
    assert run.forecast(run.read(), samples=4).series[0].times[0] == np.datetime64("2024-02-10")


@pytest.fixture
def long_run(tmp_path):
    """A run whose format was found by itself: one of its days is the 13th."""
    data = read_series(dated(tmp_path / "long.csv", days(40)), calendar="none")
    prepare(data, tmp_path / "run", task={"horizon": 2, "lookback": 4}, **SMALL).fit()
    return load(tmp_path / "run")


def test_a_short_file_is_read_in_the_format_that_a_longer_one_showed(tmp_path, long_run):
    assert long_run.layout.time_format == "%d/%m/%Y"
    short = long_run.read(dated(tmp_path / "short.csv", days(5, "2024-05-03")))
    assert short.series[0].times[0] == np.datetime64("2024-05-03")
    with pytest.raises(DataError, match=r"line 2, column 'date': '2024-05-03' is not written like %d/%m/%Y but like"):
        long_run.read(dated(tmp_path / "other.csv", days(5, "2024-05-03"), format="%Y-%m-%d"))


def test_futures_are_read_in_the_format_of_training(tmp_path):
    path = dated(tmp_path / "a.csv", days(40), [f"{i % 7},{i % 2}" for i in range(40)], header="date,y,open")
    data = read_series(path, targets="y", future="open", calendar="none")
    ahead = dated(tmp_path / "ahead.csv", days(1, "2024-03-12"), [5], header="date,open")
    assert data.series[0].times[-1] == np.datetime64("2024-03-11")
    assert data.known_after(data.series[0], ahead, 1).tolist() == [[5]]


@pytest.fixture
def stranger(series_run, waves, written):
    """A series that the run was not trained on."""
    return dataclasses.replace(series_run.read(written("new.csv", [3 * v + 50 for v in waves])).series[0], name="new")


def changed_from(series, row):
    observed = series.observed.copy()
    observed[row:] = 1e4
    return dataclasses.replace(series, observed=observed)


def test_forecasts_of_a_new_series_know_nothing_later(series_run, stranger):
    origins = np.array([150, 160])
    first, other = (
        series_run.paths_at(one, one.known, origins, 6, 5, 0)[:, :, 0]
        for one in (stranger, changed_from(stranger, 150))
    )
    np.testing.assert_array_equal(first, other)


def test_surprises_of_a_new_series_know_nothing_later(series_run, stranger):
    assert series_run.task.lookback == 12
    for row in (12, 100):
        first, other = series_run.score(stranger), series_run.score(changed_from(stranger, row))
        np.testing.assert_array_equal(first[: row - 1], other[: row - 1])
        assert (first[row - 1 :] != other[row - 1 :]).any()


def test_what_was_filled_in_has_no_surprise(series_run, waves, written, tmp_path):
    series = series_run.read(written("new.csv", waves)).series[0]
    mended = np.zeros(series.observed.shape, bool)
    mended[50, 0] = mended[90, 1] = True
    whole = series_run.score(series)
    for interpolated, absent in ((False, [49]), (True, [49, 50, 90])):
        found = series_run.score(dataclasses.replace(series, mended=mended, interpolated=interpolated))
        assert np.flatnonzero(np.isnan(found)).tolist() == absent
        np.testing.assert_array_equal(np.delete(found, absent), np.delete(whole, absent))
    surprise = Surprise((("", series.times[1:], found),))
    assert surprise.steps == len(whole) - 3
    assert surprise.mean == pytest.approx(np.delete(whole, absent).mean())
    assert surprise.frame()["surprise"].null_count() == 3
    assert surprise.most(1000).height == len(whole) - 3
    surprise.write(tmp_path / "scores.csv")
    assert pl.read_csv(tmp_path / "scores.csv")["surprise"].null_count() == 3
    assert np.isnan(surprise.plot().axes[0].lines[0].get_ydata()[50])
