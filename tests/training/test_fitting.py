"""Models fitted in one pass: what is fitted on what, what is written, told, refused, and taken up again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from throughtime import ArtifactError, ConfigurationError, DataError, ThroughtimeError
from throughtime.artifacts import load, store
from throughtime.data import Split, TextData, read_series, read_text
from throughtime.models import Autoregression, Markov
from throughtime.training import Fitting, Training, prepare, resume

FILES = ["config.json", "data.json", "metrics.jsonl", "model.safetensors"]


class StoppedError(Exception):
    """Stands for any fault in the middle of fitting."""


class Told(list[tuple[str, dict[str, Any]]]):
    """An observer that keeps what it is told, and may stop at an event."""

    def __init__(self, stop: str = "") -> None:
        super().__init__()
        self.stop = stop

    def __call__(self, event: str, record: Mapping[str, Any]) -> None:
        self.append((event, dict(record)))
        if event == self.stop:
            raise StoppedError


def markov(text: TextData, folder: Path, **task: Any) -> Fitting:
    fitting = prepare(text, folder, family="markov:2", task=task)
    assert isinstance(fitting, Fitting)
    return fitting


def autoregression(values: np.ndarray, folder: Path, **task: Any) -> Fitting:
    data = read_series(pl.DataFrame({"y": values[:, 0], "other": values[:, 1]}), targets="y", past="other")
    fitting = prepare(data, folder, family="ar:3", task={"horizon": 2, "lookback": 12, **task})
    assert isinstance(fitting, Fitting)
    return fitting


@pytest.fixture
def values() -> np.ndarray:
    """[time, 2]."""
    return np.random.default_rng(0).normal(size=(100, 2)).cumsum(0) * [1, 50] + [7, -3]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def assert_same_weights(model: torch.nn.Module, wanted: torch.nn.Module) -> None:
    found, others = model.state_dict(), wanted.state_dict()
    assert found.keys() == others.keys()
    assert [name for name, part in found.items() if not torch.equal(part, others[name])] == []


def test_markov_counts_the_training_part_of_a_text(text: TextData, tmp_path: Path) -> None:
    fitting = markov(text, tmp_path / "run", batch_size=1, steps=7)
    assert not (tmp_path / "run").exists()
    assert fitting.fit() == "fit"
    tokens = np.asarray(text.tokens).astype(np.int64)
    end, stop, _ = Split(0.8, 0.1, 0.1).bounds(len(tokens))
    wanted = Markov(len(text.vocabulary), 2).fit([tokens[:end]])
    assert_same_weights(fitting.model, wanted)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == FILES
    validation = torch.tensor(tokens[end:stop])[:, None]
    surprise = -wanted(validation[:-1])[0].log_prob(validation[1:]).mean().item()
    assert fitting.position.best == pytest.approx(surprise, rel=1e-6)
    assert json.loads((tmp_path / "run" / store.METRICS).read_text()) == {
        "step": 1,
        "epoch": 1,
        "validation_loss": fitting.position.best,
    }
    run = load(tmp_path / "run")
    assert_same_weights(run.model, wanted)
    assert run.summary()["parameters"] == wanted.parameter_count
    assert run.summary()["best validation loss"] == fitting.position.best


def test_a_long_text_is_read_in_pieces(text: TextData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = markov(text, tmp_path / "whole")
    whole.fit()
    monkeypatch.setattr("throughtime.training.symbols._AT_ONCE", 7)
    pieces = markov(text, tmp_path / "pieces")
    assert len(list(pieces.pieces())) > 10
    pieces.fit()
    assert_same_weights(pieces.model, whole.model)


def test_autoregression_fits_the_training_part_of_a_series(values: np.ndarray, tmp_path: Path) -> None:
    fitting = autoregression(values, tmp_path / "run")
    assert fitting.fit() == "fit"
    learnt = values[:70]  # of which scaling and coefficients know
    scaled = (learnt - learnt.mean(0)) / learnt.std(0)
    wanted = Autoregression(2, 3).fit([(scaled[:-1], scaled[1:])])
    found = fitting.model.state_dict()
    for name, part in wanted.state_dict().items():
        torch.testing.assert_close(found[name], part, rtol=1e-5, atol=1e-6)
    assert not fitting.model.training
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == FILES
    run = load(tmp_path / "run")
    assert_same_weights(run.model, fitting.model)
    assert math.isfinite(fitting.position.best)
    assert run.summary()["best validation loss"] == fitting.position.best


def test_several_series_are_pooled(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    parts = {"a": generator.normal(size=60).cumsum(), "b": generator.normal(size=80).cumsum()}
    frame = pl.concat([pl.DataFrame({"id": [name] * len(part), "y": part}) for name, part in parts.items()])
    fitting = prepare(read_series(frame, id="id"), tmp_path / "run", family="ar:2", task={"horizon": 2})
    fitting.fit()
    pairs = []
    for part in parts.values():
        learnt = part[: round(0.7 * len(part))]
        scaled = ((learnt - learnt.mean()) / learnt.std())[:, None]
        pairs.append((scaled[:-1], scaled[1:]))
    wanted = Autoregression(1, 2).fit(pairs).head.linear
    torch.testing.assert_close(fitting.model.head.linear.weight, wanted.weight, rtol=1e-5, atol=1e-6)


def test_observers_are_told(text: TextData, tmp_path: Path) -> None:
    fitting, told = markov(text, tmp_path / "run"), Told()
    fitting.observers = [told]
    fitting.fit()
    assert [event for event, _ in told] == ["begin", "validation", "end"]
    (_, begun), (_, validated), (_, ended) = told
    best = fitting.position.best
    assert begun == {"step": 0}
    assert validated == {"step": 1, "epoch": 1, "validation_loss": best, "improved": True, "best": best}
    assert ended == {"step": 1, "reason": "fit", "seconds": fitting.position.elapsed}
    assert fitting.position.step == fitting.position.epoch == 1


def test_without_a_validation_part_there_is_no_loss(text: TextData, values: np.ndarray, tmp_path: Path) -> None:
    for fitting in (
        markov(text, tmp_path / "text", split=Split(0.8, 0, 0.2)),
        autoregression(values, tmp_path / "series", split=Split(0.8, 0, 0.2)),
    ):
        told = Told()
        fitting.observers = [told]
        fitting.fit()
        assert [event for event, _ in told] == ["begin", "end"]
        assert fitting.position.best == math.inf
        assert sorted(contents(fitting.run.folder)) == FILES
        summary = load(fitting.run.folder).summary()
        assert (summary["steps"], summary["validations"], summary["best validation loss"]) == (1, 0, None)


def test_a_folder_with_a_run_is_refused_and_left_alone(text: TextData, tmp_path: Path) -> None:
    markov(text, tmp_path / "run").fit()
    before = contents(tmp_path / "run")
    for again in (
        markov(text, tmp_path / "run"),
        prepare(text, tmp_path / "run", family={"hidden_size": 2}, training={"epochs": 1}),
    ):
        with pytest.raises(ConfigurationError, match="run holds a run already: name another folder, or resume it"):
            again.fit()
    assert contents(tmp_path / "run") == before


def test_what_is_fitted_is_not_fitted_again(text: TextData, tmp_path: Path) -> None:
    markov(text, tmp_path / "run").fit()
    before = contents(tmp_path / "run")
    fitting = resume(load(tmp_path / "run", weights=False))
    assert isinstance(fitting, Fitting)
    assert fitting.position.step == fitting.position.epoch == 1
    assert_same_weights(fitting.model, load(tmp_path / "run").model)
    told = Told()
    fitting.observers = [told]
    assert fitting.fit() == "fit"
    assert told[0] == ("begin", {"step": 1})
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize("kind", ["text", "series"])
def test_a_fit_that_was_stopped_begins_anew(kind: str, text_file: Path, series_file: Path, tmp_path: Path) -> None:
    def made(folder: Path) -> Training | Fitting:
        if kind == "text":
            return prepare(read_text(text_file), folder, family="markov:2")
        return prepare(read_series(series_file, targets="y", past="other"), folder, family="ar:3")

    made(tmp_path / "whole").fit()
    stopped = made(tmp_path / "parts")
    stopped.observers = [Told(stop="begin")]
    with pytest.raises(StoppedError):
        stopped.fit()
    with pytest.raises(ArtifactError, match=r"has no model.safetensors yet"):
        load(tmp_path / "parts")
    resumed = resume(load(tmp_path / "parts", weights=False))
    assert resumed.position.step == 0
    assert resumed.fit() == "fit"
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_nothing_of_a_text_is_counted_from_its_test_part(tmp_path: Path) -> None:
    text, outcomes = "the quick brown fox jumps over the lazy dog.\n" * 20, []
    for name, ending in (("one", text[810:]), ("two", text[810:][::-1])):
        (tmp_path / f"{name}.txt").write_text(text[:810] + ending)
        fitting = markov(read_text(tmp_path / f"{name}.txt"), tmp_path / name)
        fitting.fit()
        outcomes.append((contents(tmp_path / name)[store.WEIGHTS], fitting.position.best))
    assert outcomes[0] == outcomes[1]


def test_nothing_of_a_series_is_fitted_on_what_comes_after_training(values: np.ndarray, tmp_path: Path) -> None:
    """The test part changes nothing, the validation part the loss alone."""
    weights, losses = [], []
    for name, row in (("as it is", 100), ("test", 80), ("validation", 70)):
        changed = values.copy()
        changed[row:] = changed[row:] * 20 - 9
        fitting = autoregression(changed, tmp_path / name)
        fitting.fit()
        weights.append(contents(tmp_path / name)[store.WEIGHTS])
        losses.append(fitting.position.best)
        assert fitting.run.scaler.to_dict() == autoregression(values, tmp_path / "none").run.scaler.to_dict()
    assert weights[0] == weights[1] == weights[2]
    assert losses[0] == losses[1] != losses[2]


def test_a_loss_that_is_not_finite_is_told_and_nothing_is_kept(values: np.ndarray, tmp_path: Path) -> None:
    values[75] = 1e30
    fitting, told = autoregression(values, tmp_path / "run"), Told()
    fitting.observers = [told]
    with pytest.raises(ThroughtimeError, match="the validation loss is inf: the data may be constant, or its order"):
        fitting.fit()
    assert [event for event, _ in told] == ["begin"]
    assert not {store.WEIGHTS, store.METRICS} & set(contents(tmp_path / "run"))
    values[75] = values[74]
    assert autoregression(values, tmp_path / "run").fit() == "fit"


def test_too_little_data_is_told_and_leaves_no_weights(values: np.ndarray, tmp_path: Path) -> None:
    fitting = autoregression(values[:11], tmp_path / "run", lookback=3, horizon=1)  # 9 rows; 6 follow 3 others
    with pytest.raises(DataError, match="6 rows for the 7 coefficients of ar:3: lower the order"):
        fitting.fit()
    assert store.WEIGHTS not in contents(tmp_path / "run")


def test_words_and_device(text: TextData, tmp_path: Path) -> None:
    fitting = markov(text, tmp_path / "run")
    assert fitting.words == "in one pass, without gradients"
    assert repr(fitting) == f"Fitting(SymbolRun('{tmp_path / 'run'}'))"
    assert fitting.to("cpu") is fitting
    assert fitting.settings == fitting.run.configuration.training
