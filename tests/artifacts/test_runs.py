"""A trained run, loaded from its folder alone: forecasts, surprise, text, and nothing executed."""

import builtins
import itertools
import math
import pickle
import shutil

import numpy as np
import polars as pl
import pytest
import torch

from throughtime import ArtifactError, ConfigurationError, DataError
from throughtime.artifacts import LEVELS, load, store
from throughtime.data import Scaler, read_series, read_text, shifted
from throughtime.training import prepare


def test_a_run_is_five_files_of_text_and_tensors(folder) -> None:
    for run in ("series", "text"):
        assert sorted(path.name for path in (folder / run).iterdir()) == [
            "checkpoint.safetensors",
            "config.json",
            "data.json",
            "metrics.jsonl",
            "model.safetensors",
        ]


def test_loading_runs_nothing(folder, monkeypatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("something that was read has been run")

    for module, name in ((pickle, "load"), (pickle, "loads"), (torch, "load"), (builtins, "eval"), (builtins, "exec")):
        monkeypatch.setattr(module, name, forbidden)
    monkeypatch.setattr(pickle, "Unpickler", forbidden)
    assert load(folder / "series").summary()["steps"] > 0
    assert load(folder / "text").summary()["steps"] > 0


def test_a_pickle_in_place_of_weights_is_refused(folder, tmp_path) -> None:
    shutil.copytree(folder / "text", tmp_path / "run")
    (tmp_path / "run" / store.WEIGHTS).write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ArtifactError, match="damaged or truncated"):
        load(tmp_path / "run")


def test_a_run_can_be_moved_and_needs_no_data(folder, tmp_path, series_run, written, waves) -> None:
    shutil.copytree(folder / "series", tmp_path / "elsewhere")
    moved = load(tmp_path / "elsewhere")
    path = written("other.csv", waves[:60])
    found, wanted = (run.forecast(run.read(path), samples=5).frame() for run in (moved, series_run))
    assert found.equals(wanted)


def test_forecasts_are_in_the_units_of_the_data(series_run) -> None:
    data = series_run.read()
    made = series_run.forecast(data, 4, samples=50, seed=1)
    assert (made.targets, len(made.series)) == (("y",), 1)
    (one,) = made.series
    assert one.paths.shape == (50, 4, 1)
    assert 0 < one.median.min() < one.median.max() < 20
    assert one.times[0] == np.datetime64("2024-01-09T08:00")
    np.testing.assert_array_equal(one.median, np.median(one.paths, axis=0))


def test_wider_intervals_hold_narrower_ones(series_run) -> None:
    (one,) = series_run.forecast(series_run.read(), samples=40).series
    ends = [one.interval(level) for level in LEVELS]
    for (lower, upper), (wider_lower, wider_upper) in itertools.pairwise(ends):
        assert (wider_lower <= lower).all()
        assert (upper <= wider_upper).all()
        assert (lower <= one.median).all()
        assert (one.median <= upper).all()


def test_sampling_leaves_the_random_state_alone(series_run, text_run) -> None:
    before = torch.get_rng_state()
    series_run.forecast(series_run.read(), samples=3)
    text_run.generate(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_held_out_rows_are_not_read(series_run, written, waves) -> None:
    values = waves[:80]
    one = series_run.read(written("one.csv", values))
    two = series_run.read(written("two.csv", values[:-6] + [1000.0] * 6))
    found, wanted = (series_run.forecast(data, hold_out=True, samples=9).series[0] for data in (one, two))
    np.testing.assert_array_equal(found.paths, wanted.paths)
    assert found.truth is not None
    assert wanted.truth is not None
    assert wanted.truth[0, 0] == 1000
    assert found.truth[:, 0].tolist() == values[-6:]


def test_surprise_is_the_density_in_the_units_of_the_data(series_run) -> None:
    data = series_run.read()
    series = data.series[0]
    pair = shifted(series_run.scaler.transform(series.name, series.observed), series.known)
    inputs = torch.as_tensor(np.asarray(pair.inputs[:]), dtype=torch.float32)[:, None]
    targets = torch.as_tensor(np.asarray(pair.targets[:]), dtype=torch.float32)[:, None]
    with torch.no_grad():
        distribution, _ = series_run.model.eval()(inputs)
    # A density of a value divided by s is s times that of the value: surprise grows by log s.
    scale = math.log(series_run.scaler.deviations[series.name][0])
    wanted = scale - distribution.base_dist.log_prob(targets)[:, 0, 0].double().numpy()
    np.testing.assert_allclose(series_run.score(series), wanted, rtol=1e-5, atol=1e-5)


def test_surprise_of_a_long_sequence_is_read_in_pieces(series_run, text_run, monkeypatch) -> None:
    series, tokens = series_run.read().series[0], text_run.read().tokens
    whole = series_run.score(series), text_run.score(tokens)
    monkeypatch.setattr("throughtime.artifacts.series._STEPS_AT_ONCE", 7)
    monkeypatch.setattr("throughtime.artifacts.symbols._STEPS_AT_ONCE", 11)
    np.testing.assert_allclose(series_run.score(series), whole[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(text_run.score(tokens), whole[1], rtol=1e-4, atol=1e-5)


def test_surprise_is_highest_where_something_was_put_in(series_run, tmp_path, written, waves) -> None:
    values = waves[:100]
    values[70] += 40
    surprise = series_run.surprise(series_run.read(written("odd.csv", values)))
    assert surprise.steps == 99
    assert surprise.most(1)["step"].to_list()[0] in (70, 71)
    surprise.write(tmp_path / "surprise.parquet")
    assert pl.read_parquet(tmp_path / "surprise.parquet").equals(surprise.frame())


def test_text_is_the_same_for_a_seed(text_run) -> None:
    one, two, three = (text_run.generate(40, seed=seed).tolist() for seed in (1, 1, 2))
    assert one == two != three
    prompt = text_run.vocabulary.encode("the ")
    assert len(text_run.vocabulary.decode(text_run.generate(7, prompt))) == 7
    with pytest.raises(ConfigurationError, match="length 0"):
        text_run.generate(0)


def test_a_run_on_a_frame_asks_for_a_file(tmp_path, waves) -> None:
    frame = pl.DataFrame({"y": waves[:100]})
    task = {"horizon": 4, "lookback": 8, "windows": 8}
    training = {"epochs": 1}
    prepare(read_series(frame), tmp_path / "run", task=task, family={"hidden_size": 2}, training=training).fit()
    run = load(tmp_path / "run")
    with pytest.raises(ArtifactError, match="a frame in memory"):
        run.read()
    assert len(run.forecast(run.read(frame), samples=3).frame()) == 4


def test_a_series_not_met_in_training_is_scaled_by_itself(series_run) -> None:
    data = series_run.read()
    series = data.series[0]
    stranger = type(series)("stranger", series.times, series.observed + 1000, series.known)
    origin = np.array([len(series.times)])
    known = np.concatenate([series.known, series.known[:2]])
    paths = series_run.paths_at(stranger, known, origin, 2, 20, 0)
    assert abs(np.median(paths) - 1010) < 10
    assert "stranger" not in series_run.scaler


def test_nothing_is_fitted_on_what_comes_after_training(tmp_path, written, waves) -> None:
    """Other values in the test part leave the weights and the scaling as they were, bit for bit."""
    values = waves
    weights, scalers = [], []
    for name, ending in (("one", values[160:]), ("two", [value * 50 - 7 for value in values[160:]])):
        path = written(f"{name}.csv", values[:160] + ending)
        task = {"horizon": 6, "lookback": 12, "windows": 32}
        data = read_series(path, targets="y")
        prepare(data, tmp_path / name, task=task, family={"hidden_size": 3}, training={"epochs": 1}).fit()
        weights.append((tmp_path / name / store.WEIGHTS).read_bytes())
        scalers.append(store.read_json(tmp_path / name / store.DATA)["scaler"])
    assert weights[0] == weights[1]
    assert scalers[0] == scalers[1] == Scaler.fit({"": np.array(values[:140])[:, None]}).to_dict()


def test_nothing_of_a_text_is_learnt_from_its_test_part(tmp_path) -> None:
    text = "the quick brown fox jumps over the lazy dog.\n" * 20
    weights = []
    for name, ending in (("one", text[810:]), ("two", text[810:][::-1])):
        (tmp_path / f"{name}.txt").write_text(text[:810] + ending)
        data = read_text(tmp_path / f"{name}.txt")
        prepare(data, tmp_path / name, family={"hidden_size": 3}, training={"epochs": 1}).fit()
        weights.append((tmp_path / name / store.WEIGHTS).read_bytes())
    assert weights[0] == weights[1]


def test_too_little_history_is_refused(series_run) -> None:
    series = series_run.read().series[0]
    with pytest.raises(DataError, match="no row before the forecast"):
        series_run.paths_at(series, series.known, np.array([0]), 2, 3, 0)
