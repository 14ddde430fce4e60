"""Tuning: what is drawn becomes a training, the best can be made again, and no trial is lost or done twice."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import pytest

from throughtime import ConfigurationError, DataError, load, prepare, read_series, read_text
from throughtime.data import SeriesData, Split, TextData, read_labelled
from throughtime.evaluation import TUNABLES, tune
from throughtime.evaluation.tuning.ranges import Choices, Numbers, range_of
from throughtime.evaluation.tuning.record import TunedTrial, Tuning
from throughtime.evaluation.tuning.space import Space
from throughtime.training import Training
from throughtime.training.settings import read_settings

optuna = pytest.importorskip("optuna")

from throughtime.evaluation.tuning.shared import SharedStudy, storage_of  # noqa: E402

SMALL: dict[str, Any] = {"task": {"steps": 16}, "family": {"name": "gru"}, "training": {"epochs": 2}}
NARROW = {"hidden-size": "2..8", "learning-rate": "0.001..0.1"}
FEW: dict[str, Any] = {"tuned": [], "ranges": NARROW, "trials": 4}


@pytest.fixture(scope="module")
def series() -> SeriesData:
    chance = np.random.default_rng(0)
    return read_series(pl.DataFrame({"load": chance.normal(size=160)}))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> TextData:
    path = tmp_path_factory.mktemp("text") / "book.txt"
    path.write_text("".join(f"{n} bottles of beer on the wall.\n" for n in range(60)))
    return read_text(path)


def stopping_at(event: str, number: int) -> Any:
    """An observer that interrupts as Ctrl-C does."""

    def observer(told: str, record: Mapping[str, Any]) -> None:
        if told == event and record.get("number") == number:
            raise KeyboardInterrupt

    return observer


def outcomes(found: Tuning) -> list[tuple[Any, ...]]:
    return [(one.number, one.state, one.loss, dict(one.drawn)) for one in found.trials]


def test_the_best_is_found_and_can_be_made_again(text, tmp_path) -> None:
    found = tune(text, tmp_path / "t", **FEW, **SMALL, reading={"fill": "linear"})
    losses = [one.loss for one in found.trials]
    assert [one.state for one in found.trials] == ["finished"] * 4
    assert found.best.loss == min(losses)
    assert found.run is not None
    best = min(record["validation_loss"] for record in load(found.run).metrics() if "validation_loss" in record)
    assert best == found.best.loss
    assert [path.name for path in (tmp_path / "t" / "trials").iterdir()] == [str(found.best.number)]
    kept = read_settings(tmp_path / "t" / "best.json")
    assert kept.reading == {"fill": "linear"}
    again = prepare(text, tmp_path / "again", **kept.preparation)
    again.fit()
    assert again.position.best == found.best.loss
    written = json.loads((tmp_path / "t" / "tuning.json").read_text())
    assert written == found.to_dict()
    assert (tmp_path / "t" / "history.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "t" / "importance.png").exists()
    assert found.importance.keys() == {"hidden-size", "learning-rate"}
    assert sum(found.importance.values()) == pytest.approx(1)


def test_the_first_trial_is_by_the_defaults(text, tmp_path) -> None:
    found = tune(text, tmp_path / "t", trials=1, **SMALL)
    usual = prepare(text, tmp_path / "usual", **SMALL)
    usual.fit()
    assert found.usual is not None
    assert found.usual.loss == usual.position.best
    assert found.usual.drawn.keys() == {"learning-rate", "hidden-size", "layers", "dropout"}
    moved = tune(text, tmp_path / "moved", **{**FEW, "trials": 1}, **SMALL)
    assert moved.usual is None  # 128 units are none of 2 to 8
    assert moved.best.drawn["hidden-size"] == 8


def test_one_process_draws_the_same_from_the_same_seed(text, tmp_path) -> None:
    whole = tune(text, tmp_path / "whole", **FEW, **SMALL)
    other = tune(text, tmp_path / "other", **FEW, task=SMALL["task"], training={"epochs": 2, "seed": 1})
    assert whole.trials[1].drawn != other.trials[1].drawn
    for event, number in (("trial", 1), ("progress", 2)):
        with pytest.raises(KeyboardInterrupt):
            tune(text, tmp_path / "cut", **FEW, **SMALL, observer=stopping_at(event, number))
    cut = tune(text, tmp_path / "cut", **FEW, **SMALL)
    assert outcomes(cut) == outcomes(whole)


def test_an_interrupted_training_goes_on_at_its_checkpoint(text, tmp_path, monkeypatch) -> None:
    settings = {**SMALL, "training": {"epochs": 4}}
    whole = tune(text, tmp_path / "whole", **FEW, **settings)
    steps: list[int] = []

    def observer(told: str, record: Mapping[str, Any]) -> None:
        if told == "progress" and record["number"] == 1 and record["share"] > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(text, tmp_path / "cut", **FEW, **settings, observer=observer)
    resume = Training.resume
    monkeypatch.setattr(Training, "resume", lambda self: (resume(self), steps.append(self.position.step))[0])
    assert outcomes(tune(text, tmp_path / "cut", **FEW, **settings)) == outcomes(whole)
    assert steps[0] > 0


def test_what_is_done_is_not_done_again_and_more_can_be_asked_for(text, tmp_path, monkeypatch) -> None:
    first = tune(text, tmp_path, **FEW, **SMALL)
    more = tune(text, tmp_path, **{**FEW, "trials": 5}, **SMALL)
    assert outcomes(more)[:4] == outcomes(first)
    monkeypatch.setattr(Training, "fit", lambda self: pytest.fail("trained again"))
    assert outcomes(tune(text, tmp_path, **{**FEW, "trials": 5}, **SMALL)) == outcomes(more)


def test_a_trial_that_fails_is_kept_in_words(text, tmp_path) -> None:
    told = []
    ranges = {"learning-rate": "0.01,1e30", "clip": "0.1,1e30"}
    found = tune(text, tmp_path, tuned=[], ranges=ranges, trials=8, **SMALL, optimizer={"warmup": 0},
                 observer=lambda event, record: told.append((event, record)))  # fmt: skip
    failed = [one for one in found.trials if one.state == "failed"]
    assert failed
    assert all(re.search(r"diverged|nan", str(one.reason)) for one in failed)
    assert found.best.state == "finished"
    assert f"{len(failed)} failed" in str(found.table().caption)
    assert sum(event == "done" for event, _ in told) == 8
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_lags_behind_ends_early(text, tmp_path) -> None:
    settings = {**SMALL, "family": {"name": "gru", "hidden_size": 8}, "training": {"epochs": 6}}
    ranges = {"learning-rate": "1e-7..0.03"}
    found = tune(text, tmp_path / "p", tuned=[], ranges=ranges, trials=12, **settings)
    pruned = [one for one in found.trials if one.state == "pruned"]
    assert pruned
    assert all(one.loss is not None and one.loss > found.best.loss for one in pruned)
    assert not (tmp_path / "p" / "trials" / str(pruned[0].number)).exists()
    kept = tune(text, tmp_path / "k", tuned=[], ranges=ranges, trials=9, pruning=False, **settings)
    assert {one.state for one in kept.trials} == {"finished"}


def test_the_same_settings_are_trained_once(text, tmp_path, monkeypatch) -> None:
    fits: list[Training] = []
    fit = Training.fit
    monkeypatch.setattr(Training, "fit", lambda self: (fits.append(self), fit(self))[1])
    found = tune(text, tmp_path, tuned=[], ranges={"hidden-size": "2,3"}, trials=6, **SMALL)
    assert len(fits) == 2
    assert [one.state for one in found.trials] == ["finished"] * 6
    assert len({one.loss for one in found.trials}) == 2


def test_time_ends_a_study_and_what_was_begun_goes_on(text, tmp_path) -> None:
    settings = {**SMALL, "training": {"epochs": 10**6, "time_budget": 0.3}}
    found = tune(text, tmp_path, **{**FEW, "trials": None}, **settings, time_budget=1.2)
    states = [one.state for one in found.trials]
    assert states[:-1] == ["finished"] * (len(states) - 1)
    assert states[-1] in ("waiting", "finished")
    if states[-1] == "waiting":
        drawn = found.trials[-1].drawn
        again = tune(text, tmp_path, **{**FEW, "trials": len(states)}, **settings)
        assert again.trials[-1].state == "finished"
        assert again.trials[-1].drawn == drawn


def test_models_strategies_and_their_own_settings(text, tmp_path) -> None:
    names = ["model", "strategy", "k2", "optimizer", "momentum", "kernel-size", "forget-bias", "order"]
    ranges = {"model": "gru,lstm,tcn,markov", "strategy": "full,truncated,checkpointed,truncated:4,8",
              "k1": "2..8", "hidden-size": "4..8"}  # fmt: skip
    found = tune(text, tmp_path, tuned=names, ranges=ranges, trials=14, task={"steps": 16}, training={"epochs": 1})
    assert {one.state for one in found.trials} <= {"finished", "pruned"}
    models = {one.drawn["model"] for one in found.trials}
    assert len(models) > 2
    for one in found.trials:
        drawn, settings = one.drawn, one.settings
        assert ("kernel-size" in drawn) == (drawn["model"] == "tcn")
        assert ("forget-bias" in drawn) == (drawn["model"] == "lstm")
        assert ("order" in drawn) == (drawn["model"] == "markov")
        assert ("strategy" in drawn) == (drawn["model"] != "markov")
        assert ("momentum" in drawn) == (drawn.get("optimizer") in ("nesterov", "rmsprop"))
        if drawn.get("strategy") == "truncated":
            numbers = [drawn["k1"]] if drawn["k1"] == drawn["k2"] else [drawn["k1"], drawn["k2"]]
            assert settings["training"]["strategy"] == f"truncated:{','.join(map(str, numbers))}"
    json.dumps(found.to_dict(), allow_nan=False)
    assert "strategy" in [column.header for column in found.table().columns]


PROCESS = """
import os, sys, time
from pathlib import Path
from throughtime import read_text
from throughtime.evaluation import tune

place, me, other, storage = Path(sys.argv[1]), *sys.argv[2:]

def observer(event, record):
    if other == "killed":
        if event == "progress" and record["number"] == 2:
            os._exit(9)
    elif event == "begin":  # both have to be there before either trains
        (place / me).touch()
        while not (place / other).exists():
            time.sleep(0.01)

tune(read_text(place / "book.txt"), place / (f"of-{me}" if storage else "study"), tuned=[],
     ranges={"hidden-size": "2..64", "learning-rate": "0.001..0.1"}, trials=8, storage=storage or None,
     task={"steps": 16}, training={"epochs": 1}, observer=observer)
"""


@pytest.mark.parametrize("storage", ["", pytest.param("sqlite:///{}/study.db", marks=pytest.mark.slow)])
def test_two_processes_share_a_study(text, tmp_path, storage) -> None:
    (tmp_path / "book.txt").write_text(Path(text.source.path).read_text())
    url = storage.format(tmp_path)
    if url:
        optuna.storages.get_storage(url)  # a schema is made by one
    both = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path), *names, url], stderr=subprocess.PIPE, text=True)
        for names in (("one", "two"), ("two", "one"))
    ]
    for process in both:
        _, words = process.communicate(timeout=100)
        assert process.returncode == 0, words
    kept = optuna.storages.get_storage(url) if url else optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "study" / "study.jsonl")))  # fmt: skip
    trials = optuna.load_study(study_name="tuning", storage=kept).trials
    done = [one for one in trials if one.state.is_finished()]
    assert [one.number for one in done] == list(range(8))
    assert {one.user_attrs["worker"]["process"] for one in done} == {process.pid for process in both}
    assert len({json.dumps(one.params, sort_keys=True) for one in done}) == 8
    assert all(one.state == optuna.trial.TrialState.WAITING for one in trials[8:])


def test_a_trial_whose_process_was_killed_is_taken_up_anew(text, tmp_path) -> None:
    (tmp_path / "book.txt").write_text(Path(text.source.path).read_text())
    ended = subprocess.run([sys.executable, "-c", PROCESS, str(tmp_path), "one", "killed", ""], check=False)
    assert ended.returncode == 9
    found = tune(read_text(tmp_path / "book.txt"), tmp_path / "study", tuned=[], trials=8,
                 ranges={"hidden-size": "2..64", "learning-rate": "0.001..0.1"},
                 task={"steps": 16}, training={"epochs": 1})  # fmt: skip
    assert [one.state for one in found.trials].count("lost") == 1
    assert found.trials[2].state == "lost"
    assert sum(one.state in ("finished", "pruned") for one in found.trials) == 8
    assert found.trials[3].drawn == found.trials[2].drawn
    assert not (tmp_path / "study" / "trials" / "2").exists()


def shared_study(folder: Path, begun: Mapping[str, Any] = MappingProxyType({})) -> SharedStudy:
    return SharedStudy(storage_of(None, folder / "study.jsonl"), "s", 0, begun, False)


def test_defaults_that_were_lost_are_drawn_anew_as_defaults(tmp_path) -> None:
    study = shared_study(tmp_path, {"k1": 7})
    for number in range(2):
        trial = study.claim(None)
        assert trial is not None
        assert trial.number == number
        trial.set_user_attr("worker", trial.user_attrs["worker"] | {"process": 2**22 + 1})  # which no process has
    trial = study.claim(None)
    assert trial is not None
    assert trial.suggest_int("k1", 1, 128) == 7
    study.finish(trial, 1.0)
    assert [(one.state, one.by_defaults) for one in study.trials()] == [
        ("lost", True),
        ("lost", True),
        ("finished", True),
    ]
    other = study.claim(None)
    assert other is not None
    assert not study.trials()[-1].by_defaults
    assert other.suggest_int("k1", 1, 10**9) != 7


def test_a_trial_that_is_taken_for_lost_while_it_is_claimed(tmp_path, monkeypatch) -> None:
    study = shared_study(tmp_path)
    trial = study.claim(None)
    assert trial is not None
    study.give_back(trial)
    assert study.study.trials[0].user_attrs["worker"] is None
    ask = study.study.ask

    def slow() -> Any:
        asked = ask()
        if asked.number == 0:
            shared_study(tmp_path).storage.set_trial_state_values(asked._trial_id, optuna.trial.TrialState.FAIL)
        return asked

    monkeypatch.setattr(study.study, "ask", slow)
    trial = study.claim(None)
    assert trial is not None
    assert trial.number == 1


def test_another_study_s_training_is_not_gone_on_with(text, tmp_path) -> None:
    small = {"tuned": [], "trials": 1, **SMALL}
    tune(text, tmp_path / "both", study="one", ranges={"learning-rate": "0.01..0.1"}, **small)
    (tmp_path / "other.txt").write_text("abcdefgh" * 300)
    for place, (data, ranges) in enumerate(
        [(text, {"learning-rate": "1e-6..1e-5"}), (read_text(tmp_path / "other.txt"), {"learning-rate": "0.01..0.1"})]
    ):
        found = tune(data, tmp_path / "both", study=f"later {place}", ranges=ranges, **small)
        assert found.best.loss == tune(data, tmp_path / f"own {place}", ranges=ranges, **small).best.loss


def test_layers_reach_as_far_as_the_defaults() -> None:
    frame = pl.DataFrame({"id": np.arange(40) // 4, "x": 0.0, "y": 1.0, "label": np.arange(40) // 4 % 2})
    assert str(Space.of(read_labelled(frame), None, {}, {}).ranges["layers"]) == "1..5"


def test_a_model_without_steps_to_train_has_no_strategy(text, tmp_path) -> None:
    ranges = {"model": "markov,lstm", "k1": "2..4", "hidden-size": "4..8"}
    found = tune(text, tmp_path, tuned=[], ranges=ranges, trials=6, task={"steps": 16}, training={"epochs": 1})
    assert {one.state for one in found.trials} == {"finished"}
    assert {one.drawn["model"]: "strategy" in one.settings["training"] for one in found.trials} == {
        "markov": False,
        "lstm": True,
    }


def test_series(series, tmp_path) -> None:
    task = {"horizon": 3, "windows": 8, "batch_size": 8}
    found = tune(series, tmp_path, ranges={"hidden-size": "2..4", "lookback": "4..8"}, trials=2, task=task,
                 training={"epochs": 1}, family={"num_layers": 1})  # fmt: skip
    assert {one.state for one in found.trials} == {"finished"}
    assert found.best.drawn.keys() == {"learning-rate", "hidden-size", "dropout", "lookback"}
    run = load(tmp_path / "trials" / str(found.best.number))
    assert run.configuration.task.lookback == found.best.drawn["lookback"]  # type: ignore[union-attr]
    assert found.unit == "nats a step of the scaled series"


def test_models_of_several_losses_are_compared_by_one(series, tmp_path) -> None:
    task = {"horizon": 3, "lookback": 8, "windows": 8, "batch_size": 8}
    settings = {"tuned": [], "task": task, "training": {"epochs": 1}, "trials": 4}
    both = tune(series, tmp_path / "both", **settings, ranges={"model": "gru,segrnn"})
    assert {one.drawn["model"] for one in both.trials} == {"gru", "segrnn"}
    assert {one.settings["training"]["loss"] for one in both.trials} == {"nll"}
    assert both.unit == "nats a step of the scaled series"
    heads = tune(series, tmp_path / "heads", **settings, ranges={"head": "student_t,laplace"}, family="segrnn")
    assert {one.state for one in heads.trials} == {"finished"}
    assert {one.settings["training"]["loss"] for one in heads.trials} == {"nll"}
    alone = tune(series, tmp_path / "alone", **settings, ranges={"segment": "2..4"}, family="segrnn")
    assert alone.unit == "CRPS a step of the scaled series"
    assert alone.usual is None  # a segment is a fifteenth of the lookback, which no number says


def test_windows_are_normalised_as_drawn(series, tmp_path) -> None:
    task = {"horizon": 3, "lookback": 8, "windows": 8, "batch_size": 8}
    found = tune(series, tmp_path / "t", tuned=["normalisation"], trials=6, task=task, training={"epochs": 1},
                 family={"name": "gru", "hidden_size": 4}, model={"decoding": "direct"})  # fmt: skip
    assert found.usual is not None
    assert found.usual.drawn["normalisation"] == "last"
    assert len({one.drawn["normalisation"] for one in found.trials}) > 1
    kept = read_settings(tmp_path / "t" / "best.json").preparation
    again = prepare(series, tmp_path / "again", **kept).run.configuration.model
    assert again.direct.normalisation == found.best.drawn["normalisation"]
    with pytest.raises(ConfigurationError, match=r"normalisation is no setting of gru on series"):
        Space.of(series, ["normalisation"], {}, {"family": "gru"})


def test_nothing_is_pickled(text, tmp_path) -> None:
    tune(text, tmp_path, **FEW, **SMALL)
    for line in (tmp_path / "study.jsonl").read_text().splitlines():
        json.loads(line)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {
        ".json", ".jsonl", ".png", ".safetensors"
    }  # fmt: skip


def test_a_study_of_other_settings_or_data_is_refused(text, tmp_path) -> None:
    tune(text, tmp_path / "t", **{**FEW, "trials": 1}, **SMALL)
    with pytest.raises(ConfigurationError, match=r"was begun with ranges .*2\.\.8.*here it is .*2\.\.16"):
        tune(text, tmp_path / "t", tuned=[], ranges={**NARROW, "hidden-size": "2..16"}, **SMALL)
    with pytest.raises(ConfigurationError, match=r"was begun with fixed"):
        tune(text, tmp_path / "t", **FEW, **{**SMALL, "training": {"epochs": 3}})
    (tmp_path / "other.txt").write_text("abc " * 400)
    with pytest.raises(ConfigurationError, match=r"was begun with data"):
        tune(read_text(tmp_path / "other.txt"), tmp_path / "t", **FEW, **SMALL)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tuned": ["learning_rate"]}, r"'learning_rate' is no setting that can be tuned; known: model, strategy, k1"),
        ({"tuned": ["horizon"]}, r"'horizon' says what is asked"),
        ({"tuned": ["kernel-size"]}, r"kernel-size is no setting of gru on series"),
        ({"tuned": ["steps"]}, r"steps is no setting of gru on series"),
        ({"tuned": ["hidden-size"], "family": {"hidden_size": 4}}, r"hidden-size is both fixed and tuned"),
        ({"tuned": ["k1"], "training": {"strategy": "full"}}, r"k1 is no setting of gru"),
        ({"tuned": []}, r"nothing is tuned"),
        ({"ranges": {"dropout": "0..2"}}, r"range dropout=0\.\.2: dropout = 2.0|range dropout=0\.\.2: .*less than 1"),
        ({"ranges": {"hidden-size": "big"}}, r"range hidden-size=big: expected two whole numbers"),
        ({"ranges": {"hidden-size": "64..16"}}, r"64 is not below 16"),
        ({"ranges": {"learning-rate": "0..1"}}, r"begin above 0"),
        ({"ranges": {"strategy": "full,backwards"}}, r"strategy 'backwards' is not known"),
        ({"ranges": {"model": "gru,elman"}}, r"model 'elman' is not known"),
        ({"ranges": {"layer-norm": "1"}}, r"expected false,true"),
        ({"storage": "study.db"}, r"storage 'study.db': expected the address of a database"),
        ({"storage": "redis://host"}, r"storage 'redis://host': expected"),
        ({"trials": 0}, r"trials=0"),
        ({"time_budget": -1.0}, r"time_budget=-1.0"),
        ({"task": {"split": Split(0.8, 0, 0.2), "horizon": 3}}, r"no validation part"),
        ({"training": {"epochs": 0}}, r"epochs"),
    ],
)
def test_refused_before_anything_is_written(series, tmp_path, given, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        tune(series, tmp_path / "t", **given)
    assert not (tmp_path / "t").exists()


def test_without_a_finished_trial_there_is_no_best(text, tmp_path) -> None:
    with pytest.raises(DataError, match=r"no trial of study 'tuning' has finished: give it more time; trial 0: .*"):
        tune(text, tmp_path, tuned=[], ranges={"learning-rate": "1e30,1e31"}, trials=2, **SMALL,
             optimizer={"warmup": 0, "clip": 1e30})  # fmt: skip


def test_without_optuna_one_line_says_how_to_install_it(series, tmp_path, monkeypatch) -> None:
    for name in [name for name in sys.modules if name.startswith("optuna") or name.endswith("tuning.shared")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(sys.modules["throughtime.evaluation.tuning"], "shared", raising=False)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigurationError, match=r"tuning needs Optuna: pip install 'throughtime\[tune\]'"):
        tune(series, tmp_path)


def test_every_tunable_can_be_drawn_by_some_model(series, text) -> None:
    drawn: set[str] = set()
    for data, models in ((series, "gru,lstm,tcn,transformer,mlp,ar,segrnn"), (text, "lstm,mlp,markov")):
        for optimizer in ("adamw", "rmsprop"):
            for model in models.split(","):
                usual = Space.of(data, None, {}, {"family": model, "optimizer": {"name": optimizer}})
                ranges = dict.fromkeys(TUNABLES)
                for name in ranges:
                    try:
                        space = Space.of(data, [name], {}, {"family": model, "optimizer": {"name": optimizer}})
                    except ConfigurationError:
                        continue
                    drawn |= space.settings(lambda _, range_: range_.ends[-1])[1].keys()
                assert usual.ranges
    assert drawn >= TUNABLES.keys() - {"model", "optimizer", "pooling"}


def test_ranges() -> None:
    assert range_of("dropout", "0.1,0.2", Numbers(0.0, 0.5)) == Choices((0.1, 0.2))
    assert range_of("clip", "0.5..2", Numbers(0.1, 10.0, log=True)) == Numbers(0.5, 2.0, log=True)
    assert range_of("recurrent-init", "none,orthogonal", Choices((None, "orthogonal"))) == Choices((None, "orthogonal"))
    assert range_of("layer-norm", "true", Choices((False, True))) == Choices((True,))
    assert range_of("num-heads", "1,2,4", Choices((1, 2))) == Choices((1, 2, 4))
    assert range_of("hidden-size", "10..20", Numbers(16, 64, True, True, 8)).multiple == 1  # type: ignore[union-attr]
    assert Numbers(16, 64, whole=True, multiple=8).exact(21) == 24
    assert Numbers(16, 64, whole=True, multiple=8).nearest(1000) == 64


def test_the_table_and_the_pictures_of_many_trials(tmp_path) -> None:
    chance = np.random.default_rng(0)
    trials = [
        TunedTrial(number, state, None if state == "failed" else loss, {"learning-rate": 0.1 * loss},
                   {}, 10.0 * number, 10.0 * number + 9, "diverged" if state == "failed" else None, number == 0)
        for number, (state, loss) in enumerate(
            zip(["finished", "pruned", "failed", "finished"] * 6, chance.gamma(2, size=24), strict=True))
    ]  # fmt: skip
    found = Tuning("s", tmp_path, tuple(trials), {"learning-rate": 1.0}, True, "nats a symbol")
    assert found.table().row_count == (10 if found.usual in found.ranked[:10] else 11)
    assert [one.loss for one in found.ranked] == sorted(one.loss for one in trials if one.state == "finished")
    stairs = found.plot().axes[0].get_lines()
    heights = next(line.get_ydata() for line in stairs if line.get_label() == "best so far")
    assert list(heights)[-1] == found.best.loss
    assert list(heights) == sorted(heights, reverse=True)
    (axes,) = found.importance_plot().axes
    assert axes.get_xlim()[0] == 0
    assert [bar.get_width() for bar in axes.patches] == [1.0]
