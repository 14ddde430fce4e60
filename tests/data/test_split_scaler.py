import json

import numpy as np
import pytest

from throughtime._errors import ConfigurationError, DataError, ShapeError
from throughtime.artifacts import SeriesTask
from throughtime.data import Scaler, Split, Streams, shifted


def test_split_takes_the_last_rows_for_the_test():
    assert Split().bounds(144) == (101, 115, 144)
    assert Split(0.8, 0.0, 0.2).bounds(10) == (8, 8, 10)
    assert Split.from_dict(json.loads(json.dumps(Split(0.5, 0.25, 0.25).to_dict()))) == Split(0.5, 0.25, 0.25)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((0.7, 0.1, 0.1), "adds up to 0.9"),
        ((0.0, 0.5, 0.5), "train part above 0"),
        ((1.2, -0.2, 0.0), "no part below"),
        ((1, 1.5, 3), "a whole number"),
        ((0.9, 12, 24), "adds up to 0.9"),
        ((5, 12, 24), "adds up to 5"),
    ],
)
def test_split_refuses(parts, message):
    with pytest.raises(ConfigurationError, match=message):
        Split(*parts)


def test_split_refuses_an_empty_part():
    with pytest.raises(
        DataError, match=r"3 rows leave the validation part empty \(train 70%, validation 10%, test 20%\)"
    ):
        Split().bounds(3)


def test_a_part_may_be_given_in_rows():
    assert Split(1, 12, 24).bounds(100) == (64, 76, 100)
    assert Split(1.0, 12.0, 24.0).bounds(37) == (1, 13, 37)
    assert Split(1, 0, 1).bounds(2) == (1, 1, 2)
    assert Split(0.9, 0.1, 7).bounds(50) == (38, 43, 50)
    assert Split.from_dict(json.loads(json.dumps(Split(1, 12, 24).to_dict()))) == Split(1, 12, 24)
    assert Split(0.9, 0.1, 7).words() == "train the rest, validation 10%, test 7 rows"
    with pytest.raises(DataError, match="36 rows leave the train part empty"):
        Split(1, 12, 24).bounds(36)


def test_a_task_keeps_rows_on_disk():
    task = SeriesTask(horizon=2, lookback=4, split=Split(1, 12, 24))
    assert SeriesTask.model_validate_json(task.model_dump_json()).split.bounds(100) == (64, 76, 100)


def test_scaler_standardises_each_series_by_itself_and_back():
    rng = np.random.default_rng(0)
    data = {"a": rng.normal(5, 3, (50, 2)), "b": rng.normal(-1e6, 1e-3, (40, 2))}
    scaler = Scaler.fit(data)
    for name, values in data.items():
        scaled = scaler.transform(name, values)
        np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(scaled.std(0), 1, rtol=1e-5)
        np.testing.assert_allclose(scaler.inverse(name, scaled), values, rtol=1e-14)
        paths = rng.normal(size=(7, 3, 2))
        np.testing.assert_allclose(scaler.transform(name, scaler.inverse(name, paths)), paths, atol=1e-5)
        np.testing.assert_allclose(scaler.spread(name, values)[0], values.std(0), rtol=1e-6)


def test_a_constant_column_keeps_its_scale_and_is_named():
    scaler = Scaler.fit({"a": np.array([[7.0, 1.0], [7.0, 2.0]])})
    assert scaler.constants["a"] == (0,)
    assert scaler.transform("a", np.array([[7.0, 1.0]])).tolist() == [[0, -1]]


def test_scaler_survives_json_exactly():
    scaler = Scaler.fit({"a": np.random.default_rng(1).normal(size=(9, 3))})
    again = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert np.array_equal(again.means["a"], scaler.means["a"])
    assert np.array_equal(again.deviations["a"], scaler.deviations["a"])
    assert again.constants == scaler.constants


def test_a_new_series_is_fitted_on_its_own_history():
    scaler = Scaler.fit({"hall": np.zeros((3, 1))})
    with pytest.raises(DataError, match=r"'hal'; did you mean 'hall'\? extend"):
        scaler.transform("hal", np.zeros((1, 1)))
    wider = scaler.extend("hal", np.array([[0.0], [4.0]]))
    assert wider.transform("hal", np.array([[4.0]])).tolist() == [[1.0]]
    assert "hal" not in scaler


def test_scaler_refuses_other_shapes():
    scaler = Scaler.fit({"a": np.zeros((3, 2))})
    with pytest.raises(ShapeError, match=r"values are \[4, 3\]: series 'a' was fitted on 2 features"):
        scaler.transform("a", np.zeros((4, 3)))
    with pytest.raises(DataError, match="no row"):
        Scaler.fit({"a": np.zeros((0, 2))})
    with pytest.raises(ShapeError, match=r"\[3\]: expected \[time, feature\]"):
        Scaler.fit({"a": np.zeros(3)})


def test_a_view_gives_the_same_batches_as_the_scaled_array():
    values, known = np.random.default_rng(2).normal(size=(40, 2)), np.arange(40.0)[:, None]
    scaler = Scaler.fit({"a": values})
    whole = Streams(shifted(scaler.transform("a", values), known), 3, 5)
    lazy = Streams(shifted(scaler.view("a", values), known), 3, 5)
    for a, b in zip(whole.batches(0), lazy.batches(0), strict=True):
        assert a.inputs.equal(b.inputs)
        assert a.targets.equal(b.targets)
