"""Files of a run folder, whole or damaged."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from throughtime import ArtifactError, ConfigurationError
from throughtime.artifacts import OptimizerSettings, RunConfiguration, SeriesTask, TrainingSettings, load, store
from throughtime.data import read_series
from throughtime.models import SymbolModelConfiguration
from throughtime.training import Training, prepare, resume


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Path:
    """A run that may be damaged."""
    return Path(shutil.copytree(folder / "series", tmp_path / "run"))


def change(path: Path, key: str, value: object) -> None:
    content = json.loads(path.read_text())
    place = content
    *parents, last = key.split(".")
    for parent in parents:
        place = place[parent]
    place[last] = value
    path.write_text(json.dumps(content))


def test_settings_come_back_as_they_were(run) -> None:
    loaded = store.read_configuration(run)
    store.write_json(run / store.CONFIGURATION, loaded.model_dump(mode="json"))
    assert store.read_configuration(run) == loaded


def test_tensors_come_back_as_they_were(tmp_path) -> None:
    tensors = {"a": torch.randn(3, 2), "b": torch.arange(4), "c": torch.zeros(0, dtype=torch.uint8)}
    store.write_tensors(tmp_path / "t.safetensors", tensors, {"note": "한글"})
    found, metadata = store.read_tensors(tmp_path / "t.safetensors")
    assert metadata == {"note": "한글"}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("name", [store.WEIGHTS, store.CONFIGURATION, store.DATA])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_every_file_cut_short_is_named(run, name, share) -> None:
    path = run / name
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ArtifactError, match=name):
        load(run)


@pytest.mark.parametrize("name", [store.WEIGHTS, store.CONFIGURATION, store.DATA])
def test_a_folder_in_place_of_a_file_is_named(run, name) -> None:
    (run / name).unlink()
    (run / name).mkdir()
    with pytest.raises(ArtifactError, match=name):
        load(run)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", 3, "has format 3, .*this version reads up to format 2: upgrade throughtime"),
        ("format", "new", "format = 'new'"),
        ("task.kind", "dreams", "task"),
        ("task.horizon", -3, "horizon = -3: Input should be greater than 0"),
        ("task.split", {"train": 0.5, "validation": 0.1, "test": 0.1}, "adds up to 0.7"),
        ("task.colour", "red", "colour = 'red': there is no such setting"),
        ("model.family.name", "brain", "'rnn', 'gru', 'lstm', 'mingru', 'minlstm', 'tcn', 'transformer'"),
        ("model.observed", 3, "it has 2 observed columns, the model 3"),
        ("model.known", 9, "columns known in advance, the model 9"),
        ("training.seed", -1, "seed = -1"),
        ("training.optimizer.learning_rate", "fast", "learning_rate = 'fast'"),
        ("model.lags", [0], "greater than 0"),
    ],
)
def test_settings_out_of_range_are_named(run, key, value, message) -> None:
    change(run / store.CONFIGURATION, key, value)
    with pytest.raises(ArtifactError, match=message) as caught:
        load(run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, 3, [], {}, "text"])
@pytest.mark.parametrize("key", ["layout.columns", "scaler"])
def test_a_description_of_data_that_is_none_is_refused(run, key, value) -> None:
    change(run / store.DATA, key, value)
    if (key, value) == ("scaler", {}):
        # A scaler may know no series: those met later are scaled by themselves.
        assert load(run).scaler.means == {}
        return
    with pytest.raises(Exception, match=r"data\.json") as caught:
        load(run)
    assert isinstance(caught.value, ArtifactError)


def test_a_number_that_no_integer_holds_is_refused(run, monkeypatch) -> None:
    monkeypatch.setattr("throughtime.artifacts.series.SeriesRun._restore", lambda self: int(self.data["scaler"]))
    change(run / store.DATA, "scaler", float("inf"))
    with pytest.raises(ArtifactError, match=r"data\.json is damaged.*cannot convert float infinity"):
        load(run)


def test_a_model_and_a_task_must_agree() -> None:
    settings = {"throughtime": "0", "task": SeriesTask(horizon=1, lookback=1), "training": TrainingSettings()}
    with pytest.raises(ValueError, match="needs a model of values"):
        RunConfiguration(model=SymbolModelConfiguration(vocabulary=3), **settings)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_rates_that_are_none_are_refused(rate) -> None:
    with pytest.raises(ValueError, match="learning_rate"):
        OptimizerSettings(learning_rate=rate)


@pytest.fixture
def planned(tmp_path) -> Training:
    """A finished training with a column known in advance, without the tensors that format 1 had not."""
    rows = np.arange(80)
    pl.DataFrame({"y": np.sin(rows / 3), "plan": rows % 7 * 100.0}).write_csv(tmp_path / "planned.csv")
    data = read_series(tmp_path / "planned.csv", targets="y", future="plan")
    training = prepare(data, tmp_path / "run", task={"horizon": 4, "lookback": 8}, family={"hidden_size": 4},
                       training={"epochs": 1})  # fmt: skip
    training.fit()
    for name in (store.WEIGHTS, store.CHECKPOINT):
        tensors, metadata = store.read_tensors(tmp_path / "run" / name)
        old = {name: tensor for name, tensor in tensors.items() if "embedding." not in name}
        assert len(old) == len(tensors) - 2
        store.write_tensors(tmp_path / "run" / name, old, metadata)
    return training


def of_format_1(run: Path) -> None:
    content = json.loads((run / store.CONFIGURATION).read_text())
    del content["training"]["loss"], content["task"]["transform"], content["model"]["direct"]
    (run / store.CONFIGURATION).write_text(json.dumps(content | {"format": 1}))


def test_a_run_of_format_1_is_read_as_it_was(planned, tmp_path) -> None:
    of_format_1(tmp_path / "run")
    data = planned.run.read()
    planned.model.embedding = nn.Identity()
    np.testing.assert_array_equal(load(tmp_path / "run").score(data.series[0]), planned.run.score(data.series[0]))


def test_a_run_of_format_1_goes_on(planned, tmp_path) -> None:
    of_format_1(tmp_path / "run")
    further = resume(load(tmp_path / "run", weights=False), epochs=2)
    assert (further.model.embedding.mean, further.model.embedding.deviation) == (0, 1)
    assert further.fit() == "epochs"
    assert load(tmp_path / "run").model.embedding.deviation == 1


def test_what_a_run_of_format_2_lacks_is_a_fault(planned, tmp_path) -> None:
    with pytest.raises(ArtifactError, match=r"model\.safetensors does not fit .*embedding\.deviation differs"):
        load(tmp_path / "run")
    with pytest.raises(ArtifactError, match=r"is no checkpoint of this model"):
        resume(load(tmp_path / "run", weights=False))


def test_weights_of_another_model_are_refused(tmp_path) -> None:
    store.write_tensors(tmp_path / "w.safetensors", nn.Linear(2, 3).state_dict())
    for other in (nn.Linear(3, 2), nn.Linear(2, 3, bias=False), nn.GRU(2, 3)):
        before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
        with pytest.raises(ArtifactError, match="does not fit the model"):
            store.load_weights(other, tmp_path / "w.safetensors")
        assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


def test_a_table_is_written_by_its_suffix_alone(folder, tmp_path) -> None:
    made = load(folder / "text").surprise(load(folder / "text").read())
    with pytest.raises(ConfigurationError, match=r"\.csv, \.parquet or \.png"):
        made.write(tmp_path / "made.xlsx")
    assert list(tmp_path.iterdir()) == []
