"""Series forecast all steps at once: trained, saved, gone on with, scored, and refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from throughtime import ConfigurationError, UnsupportedError, load, read_series
from throughtime.data import Series, SeriesData, Split
from throughtime.evaluation import backtest
from throughtime.models import DirectForecaster
from throughtime.training import first_batch, prepare, resume, series_task

SMALL = {"horizon": 6, "lookback": 24, "windows": 64}


def wave(rows: int = 300, **more: Any) -> SeriesData:
    places = np.arange(rows)
    noise = np.random.default_rng(0).normal(size=rows)
    frame = pl.DataFrame({"load": 3 * np.sin(places / 2) + 0.2 * noise + 20, "price": np.cos(places / 3)})
    return read_series(frame.with_columns(plan=pl.Series(1000.0 + 50 * (places % 7))), **more)


def trained(folder: Path, name: str = "segrnn", data: SeriesData | None = None, **more: Any) -> Any:
    family = {"name": name, "hidden_size": 16, "dropout": 0.0}
    settings = {"task": SMALL, "family": family, "training": {"epochs": 2}} | more
    return prepare(data or wave(), folder, **settings)


@pytest.mark.parametrize("name", ["segrnn", "gru"])
def test_from_series_to_forecasts(tmp_path: Path, name: str) -> None:
    data = wave()
    training = trained(tmp_path / "run", name, data, model={"decoding": "direct"}, training={"epochs": 12})
    assert training.settings.loss == "crps"
    assert training.run.configuration.model.head == "laplace"
    training.fit()
    run = load(tmp_path / "run")
    assert isinstance(run.model, DirectForecaster)
    found = backtest(run, data, samples=50)
    assert found.model.mae < 0.7 * found.baselines["naive"].mae
    assert np.isfinite(found.log_likelihood)
    made = run.forecast(data, samples=9).series[0]
    assert made.paths.shape == (9, 6, 3)
    np.testing.assert_array_equal(made.paths, training.run.forecast(data, samples=9).series[0].paths)
    np.testing.assert_array_equal(run.forecast(data, 4, samples=9).series[0].paths.shape, (9, 4, 3))
    assert run.score(data.series[0]).shape == (299,)


def test_what_is_known_in_advance_is_read(tmp_path: Path) -> None:
    data = wave(targets="load", future="plan")
    training = trained(tmp_path / "run", "gru", data, model={"decoding": "direct"})
    training.fit()
    scale = training.model.embedding
    plan = data.series[0].known[: Split().bounds(300)[0], 0]
    np.testing.assert_allclose([scale.mean[0], scale.deviation[0]], [plan.mean(), plan.std()], rtol=1e-6)
    run = load(tmp_path / "run")
    origin = np.array([280])
    other = data.series[0].known.copy()
    other[281] = 2000
    usual, changed = (
        run.paths_at(data.series[0], known, origin, 6, 5, 0)[:, :, 0, 0] for known in (data.series[0].known, other)
    )
    np.testing.assert_array_equal(usual[:, 0], changed[:, 0])
    assert (usual[:, 1] != changed[:, 1]).all()


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    data = wave()
    path = tmp_path / "waves.csv"
    pl.DataFrame({"load": data.series[0].observed[:, 0]}).write_csv(path)
    whole = trained(tmp_path / "whole", data=read_series(path), training={"epochs": 3})
    whole.fit()
    trained(tmp_path / "part", data=read_series(path), training={"epochs": 3, "time_budget": 1e-9}).fit()
    further = resume(load(tmp_path / "part", weights=False), time_budget=1e9)
    further.fit()
    for mine, theirs in zip(further.model.parameters(), whole.model.parameters(), strict=True):
        np.testing.assert_array_equal(mine.detach().numpy(), theirs.detach().numpy())


def test_a_batch_to_look_at_is_a_whole_window(tmp_path: Path) -> None:
    training = trained(tmp_path / "run")
    batch = first_batch(training.run, wave())
    assert batch.inputs.shape[0] == 24 + 6 - 1
    assert training.model(batch.inputs)[0].batch_shape[0] == 6


@pytest.mark.parametrize("decoding", ["autoregressive", "direct"])
def test_a_batch_to_look_at_is_as_in_training(tmp_path: Path, decoding: str) -> None:
    data = wave()
    training = trained(tmp_path / "run", "gru", data, model={"decoding": decoding})
    learnt = SeriesData(tuple(one.before(Split().bounds(len(one))[0]) for one in data.series), data.layout)
    seen = first_batch(training.run, learnt)
    trained_on = next(dataclasses.replace(training.training.source, seed=None, per_epoch=None).batches(0))
    for name in ("inputs", "targets", "weights"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(trained_on, name))


def test_a_column_that_grows_is_read_as_its_logarithm(tmp_path: Path) -> None:
    places = np.arange(240)
    values = np.exp(places / 100) * (3 + np.sin(places / 2))
    data = read_series(pl.DataFrame({"sales": values, "rate": np.sin(places / 5)}))
    settings = {"task": {"period": 12, "horizon": 6}}
    assert prepare(data, tmp_path / "a", **settings).run.scaler.logs == (0,)
    settings["task"]["transform"] = "none"
    training = prepare(data, tmp_path / "b", **settings)
    assert training.run.scaler.logs == ()
    zeros = SeriesData(data.series, dataclasses.replace(data.layout, fill="zero"))
    assert prepare(zeros, tmp_path / "z", task={"period": 12, "horizon": 6}).run.scaler.logs == ()
    settings["task"]["transform"] = "log"
    with pytest.raises(ConfigurationError, match=r"--fill zero and --transform log contradict"):
        prepare(zeros, tmp_path / "z", **settings)
    with pytest.raises(Exception, match=r"column 'rate' has values that are not above 0.*--transform none"):
        prepare(data, tmp_path / "c", **settings)


def test_densities_are_told_in_the_datas_own_units_under_a_logarithm(tmp_path: Path) -> None:
    places = np.arange(240)
    values = np.exp(places / 100) * (3 + np.sin(places / 2))
    data = read_series(pl.DataFrame({"sales": values}))
    training = prepare(
        data, tmp_path / "run", task={"period": 12, "horizon": 6}, training={"epochs": 1}, family={"hidden_size": 8}
    )
    assert training.run.scaler.logs == (0,)
    training.fit()
    grid = np.geomspace(0.1, 1000, 401)
    series = data.series[0]
    densities = []
    for value in grid:
        changed = series.observed[:101].copy()
        changed[100] = value
        seen = Series("", series.times[:101], changed, series.known[:101])
        densities.append(np.exp(-training.run.score(seen)[-1]))
    assert np.trapezoid(densities, grid) == pytest.approx(1, abs=0.01)


def test_short_series_are_split_by_horizons() -> None:
    assert series_task(wave(144), horizon=12).split == Split(1, validation=12, test=12)
    assert series_task(wave(240), horizon=12).split == Split()
    assert series_task(wave(144), horizon=12, split=Split(0.5, 0.25, 0.25)).split == Split(0.5, 0.25, 0.25)
    assert series_task(wave(40), horizon=4).split == Split(1, validation=4, test=4)


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"segrnn forecasts whole horizons: its decoding is direct"):
        trained(tmp_path / "a", model={"decoding": "autoregressive"})
    with pytest.raises(ConfigurationError, match=r"normalisation 'last' is of windows: it is for --decoding direct"):
        trained(tmp_path / "a", "gru", model={"normalisation": "last"})
    with pytest.raises(ConfigurationError, match=r"ar foretells one step after the other"):
        prepare(wave(), tmp_path / "a", family="ar:2", model={"decoding": "direct"})
    with pytest.raises(ConfigurationError, match=r"direct.lookback = 1: Input should be greater than or equal to 2"):
        trained(tmp_path / "a", "gru", task={"horizon": 6, "lookback": 1}, model={"decoding": "direct"})
    with pytest.raises(UnsupportedError, match=r"crps is known of normal and laplace heads"):
        trained(tmp_path / "b", model={"head": "student_t"}, training={"epochs": 1, "loss": "crps"}).fit()
    training = trained(tmp_path / "run", training={"epochs": 1})
    training.fit()
    with pytest.raises(UnsupportedError, match=r"horizon 7: .* forecasts its 6 steps at once, no more"):
        training.run.forecast(wave(), 7)
    with pytest.raises(UnsupportedError, match=r"forecasts from windows, each read anew"):
        list(training.run.features(wave()))
