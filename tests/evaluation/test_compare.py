"""Comparisons: the same data for all, the figures of the models' own evaluation, nothing lost, nothing done twice."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from throughtime import ConfigurationError, DataError, read_series, read_text
from throughtime.artifacts import SeriesRun, SymbolRun, load
from throughtime.data import SeriesData, Split, TextData
from throughtime.evaluation import backtest, compare, likelihood
from throughtime.evaluation.trial import LEARNING, TRIAL
from throughtime.training import Training

SMALL: dict[str, Any] = {"shared": {"hidden_size": 4}, "training": {"epochs": 2}, "seeds": 2, "samples": 10}
OF_SERIES: dict[str, Any] = SMALL | {"task": {"horizon": 3, "windows": 32, "batch_size": 8}}
OF_TEXT: dict[str, Any] = SMALL | {"task": {"steps": 16}}


@pytest.fixture(scope="module")
def series() -> SeriesData:
    chance = np.random.default_rng(0)
    values = np.zeros(260)
    for step in range(2, 260):
        values[step] = 1.2 * values[step - 1] - 0.5 * values[step - 2] + chance.normal()
    return read_series(pl.DataFrame({"load": values}))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> TextData:
    path = tmp_path_factory.mktemp("text") / "book.txt"
    path.write_text("".join(f"{n} bottles of beer on the wall.\n" for n in range(300)))
    return read_text(path)


class Watching:
    """Keeps what was told; interrupts at the given event."""

    def __init__(self, interrupt: str = "", at: int = -1) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.interrupt, self.at = interrupt, at

    def __call__(self, event: str, record: Mapping[str, Any]) -> None:
        self.events.append((event, record))
        if event == self.interrupt and sum(name == event for name, _ in self.events) == self.at:
            raise KeyboardInterrupt

    def of(self, event: str) -> list[Mapping[str, Any]]:
        return [record for name, record in self.events if name == event]


def interrupt_evaluation(event: str, record: Mapping[str, Any]) -> None:
    if event == "progress" and record["phase"] == "evaluating":
        raise KeyboardInterrupt


def test_series(series, tmp_path) -> None:
    watching = Watching()
    found = compare(series, tmp_path / "c", ["gru", "ar:2", "markov:3", "tcn"], observer=watching, **OF_SERIES)
    assert [one.model for one in found.candidates] == ["gru", "ar:2", "markov:3", "tcn"]
    assert "counts symbols" in (found.candidates[2].error or "")
    assert [len(one.trials) for one in found.candidates] == [2, 1, 0, 2]  # a formula has one outcome
    assert found.ranked[0].model == "ar:2"  # which made the data
    runs = {folder.name: load(folder) for folder in (tmp_path / "c").iterdir() if folder.is_dir()}
    assert runs.keys() == {"gru-0", "gru-1", "ar2-0", "tcn-0", "tcn-1"}
    assert len({run.configuration.task for run in runs.values()}) == 1
    for one in found.ranked:
        for trial in one.trials:
            run = runs[f"{one.model.replace(':', '')}-{trial.seed}"]
            assert isinstance(run, SeriesRun)
            again = backtest(run, series, samples=10)
            assert trial.figures == {"crps": again.model.crps, "mae": again.model.mae,
                                     "log_likelihood": again.log_likelihood}  # fmt: skip
            test = run.task.split.bounds(260)[1]
            assert trial.figures["log_likelihood"] == pytest.approx(-run.score(series.series[0])[test - 1 :].mean())
            for name, parts in trial.parts.items():
                assert np.average(parts, weights=trial.sizes[name]) == pytest.approx(trial.figures[name], rel=1e-9)
            assert trial.memory > (0 if one.model == "ar:2" else 16 * trial.parameters)
            assert trial.density_seconds > 0
            assert trial.sampling_seconds > trial.density_seconds
            assert trial.learning[0][0] <= trial.training_seconds
            assert json.loads((run.folder / TRIAL).read_text())["seed"] == trial.seed
    assert [record["model"] for record in watching.of("failed")] == ["markov:3"]
    assert [record["index"] for record in watching.of("trial")] == [0, 1, 2, 4, 6, 7]
    assert all(0 <= record["share"] <= 1 for record in watching.of("progress"))
    assert {record["phase"] for record in watching.of("progress")} == {"training", "evaluating", "timing"}


def test_text(text, tmp_path) -> None:
    found = compare(text, tmp_path, ["markov:2", "lstm", "ar:2"], metric="nats_per_character", **OF_TEXT)
    record = found.to_dict()
    assert [row["model"] for row in record["models"]] == ["markov:2", "lstm", "ar:2"]
    assert record["models"][2].keys() == {"model", "error"}
    for row in record["models"][:2]:
        assert row["bits_per_character"] == pytest.approx(row["nats_per_character"] / math.log(2))
        assert row["bits_per_character"] == pytest.approx(np.mean([one["bits_per_character"] for one in row["trials"]]))
    run = load(tmp_path / "lstm-1")
    assert isinstance(run, SymbolRun)
    assert found.candidates[1].trials[1].figures["nats_per_character"] == likelihood(run, text).model["nats"]
    assert run.configuration.training.seed == 1
    first, second = record["models"][:2]
    assert first["difference"] == {"to": "markov:2", "mean": 0, "interval": [0, 0], "tie": True}
    gap = second["nats_per_character"] - first["nats_per_character"]
    assert second["difference"]["mean"] == pytest.approx(gap, rel=1e-9)
    assert {"unigram"} < record["baselines"].keys()
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_nothing_is_done_twice(series, tmp_path, monkeypatch) -> None:
    first = compare(series, tmp_path, ["gru", "ar:1"], **OF_SERIES)
    monkeypatch.setattr(Training, "fit", lambda self: pytest.fail("trained again"))
    assert compare(series, tmp_path, ["gru", "ar:1"], **OF_SERIES) == first
    other = compare(series, tmp_path, ["gru"], **(OF_SERIES | {"shared": {"hidden_size": 5}}))
    assert "holds a run with other settings" in (other.candidates[0].error or "")


def test_the_difference_is_that_of_the_figures_where_series_have_other_lengths(tmp_path) -> None:
    noise = np.random.default_rng(0)
    rows = [(f"s{index}", value) for index, length in enumerate((900, 100, 100)) for value in noise.normal(size=length)]
    data = read_series(pl.DataFrame(rows, schema=["id", "y"], orient="row"), id="id")
    found = compare(data, tmp_path, ["ar:1", "ar:3"], **(OF_SERIES | {"seeds": 1}))
    best, other = found.ranked
    assert found.difference(other).mean == pytest.approx(other.figure("crps") - best.figure("crps"), rel=1e-9)


def test_another_number_of_samples_is_measured_elsewhere(series, tmp_path) -> None:
    compare(series, tmp_path, ["ar:1"], **OF_SERIES)
    again = compare(series, tmp_path, ["ar:1"], **(OF_SERIES | {"samples": 7}))
    assert re.search("was measured by .* samples, not 7", again.candidates[0].error or "")


def test_a_shared_setting_that_no_model_has_is_refused(series, tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=r"shared setting 'hiden_size' is of no model; known: .*hidden_size"):
        compare(series, tmp_path, ["gru"], shared={"hiden_size": 4})


@pytest.mark.parametrize("model", ["gru", "ar:2"])
def test_what_was_trained_before_an_interruption_is_not_trained_further(series, tmp_path, model) -> None:
    settings = OF_SERIES | {"seeds": 1, "training": {"epochs": 10**6, "time_budget": 0.2}}
    steps: list[int] = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            compare(series, tmp_path, [model], observer=interrupt_evaluation, **settings)
        records = map(json.loads, (tmp_path / f"{model.replace(':', '')}-0" / LEARNING).read_text().splitlines())
        steps.append([record["step"] for record in records][-1])
    assert steps[0] == steps[1]
    (trial,) = compare(series, tmp_path, [model], **settings).candidates[0].trials
    assert trial.training_seconds >= trial.learning[0][0] > 0


def test_without_a_validation_part_there_is_no_quality(series, tmp_path) -> None:
    found = compare(series, tmp_path, ["ar:1"], **(OF_SERIES | {"task": {"split": Split(0.8, 0, 0.2), "horizon": 4}}))
    record = found.to_dict()
    assert record["quality"] is None
    json.dumps(record, allow_nan=False)


@pytest.mark.parametrize(("event", "at"), [("trial", 2), ("progress", 40), ("done", 1), ("progress", 3)])
def test_goes_on_after_an_interruption(series, tmp_path, event, at) -> None:
    whole = compare(series, tmp_path / "whole", ["gru", "lstm"], **OF_SERIES)
    with pytest.raises(KeyboardInterrupt):
        compare(series, tmp_path / "c", ["gru", "lstm"], observer=Watching(event, at), **OF_SERIES)
    again = compare(series, tmp_path / "c", ["gru", "lstm"], **OF_SERIES)
    for one, other in zip(whole.candidates, again.candidates, strict=True):
        assert [trial.figures for trial in one.trials] == [trial.figures for trial in other.trials]
        assert [[loss for _, loss in trial.learning] for trial in one.trials] == [
            [loss for _, loss in trial.learning] for trial in other.trials
        ]


def test_a_run_killed_while_it_was_written_begins_anew(series, tmp_path) -> None:
    compare(series, tmp_path, ["gru"], **OF_SERIES)
    run = tmp_path / "gru-0"
    for name in (TRIAL, LEARNING, "checkpoint.safetensors", "model.safetensors", "metrics.jsonl"):
        (run / name).unlink()
    assert compare(series, tmp_path, ["gru"], **OF_SERIES).candidates[0].error is None


def test_a_model_that_fails_does_not_stop_the_others(series, tmp_path) -> None:
    diverging = OF_SERIES | {"optimizer": {"learning_rate": 1e18, "clip": None, "warmup": 0}}
    found = compare(series, tmp_path, ["gru", "ar:2"], **diverging)
    assert "diverged" in (found.candidates[0].error or "") or "is nan" in (found.candidates[0].error or "")
    assert found.candidates[1].error is None
    assert found.to_dict()["models"][-1]["error"] == found.candidates[0].error


def test_the_budget_is_for_all_seeds_of_a_model(series, tmp_path) -> None:
    settings = OF_SERIES | {"training": {"epochs": 10**6, "time_budget": 0.4}}
    found = compare(series, tmp_path, ["gru"], **settings)
    assert load(tmp_path / "gru-1").configuration.training.time_budget == 0.2
    assert 0.4 <= sum(trial.training_seconds for trial in found.candidates[0].trials) < 4


def test_all_see_what_the_longest_memory_needs(series, tmp_path) -> None:
    compare(series, tmp_path, ["ar:40", "gru", "ar:100000"], **OF_SERIES)
    assert load(tmp_path / "gru-0").configuration.task.lookback == 40  # type: ignore[union-attr]


def test_ranking_front_and_time_to_quality(series, tmp_path) -> None:
    found = compare(series, tmp_path, ["gru", "ar:1", "ar:2"], metric="log_likelihood", quality=100.0, **OF_SERIES)
    figures = [one.figure("log_likelihood") for one in found.ranked]
    assert figures == sorted(figures, reverse=True)
    for one in found.ranked:
        assert found.seconds_to_quality(one) == np.mean([trial.learning[0][0] for trial in one.trials])
    hardest = min(loss for one in found.candidates for trial in one.trials for _, loss in trial.learning)
    impossible = compare(series, tmp_path, ["gru", "ar:1", "ar:2"], quality=hardest - 1, **OF_SERIES)
    assert {row["seconds_to_quality"] for row in impossible.to_dict()["models"]} == {None}
    usual = compare(series, tmp_path, ["gru", "ar:1", "ar:2"], **OF_SERIES)
    assert all(math.isfinite(usual.seconds_to_quality(one)) for one in usual.ranked)


@pytest.mark.parametrize(
    ("models", "settings", "message"),
    [
        (["gru", "elman"], {}, "model 'elman' is not known"),
        (["gru", "gru"], {}, "named twice"),
        ([], {}, "no model is named"),
        (["gru"], {"metric": "bits_per_character"}, "known: crps, mae, log_likelihood"),
        (["gru"], {"seeds": 0}, "seeds=0"),
        (["gru"], {"task": {"horizon": 100}}, "the validation part has"),
        (["gru"], {"task": {"horizon": 30, "split": Split(0.5, 0.4, 0.1)}}, "horizon is 30"),
    ],
)
def test_refused_before_anything_is_written(series, tmp_path, models, settings, message) -> None:
    with pytest.raises((ConfigurationError, DataError), match=message):
        compare(series, tmp_path / "c", models, **(OF_SERIES | settings))
    assert not (tmp_path / "c").exists()
