"""A training that was stopped, in whatever way, and resumed ends exactly as one that was not."""

import json
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

import throughtime.training.loop as loop
from throughtime import ArtifactError
from throughtime._state import leaves
from throughtime.artifacts import load, store
from throughtime.data import Split, read_text
from throughtime.training import Training, prepare, resume

OPTIMIZERS = ("adamw", "sgd", "radam", "rmsprop", "rprop")


class StoppedError(Exception):
    """Stands for any fault in the middle of training."""


def at(step: int, act: Callable[[], None]) -> Callable[[str, Mapping[str, Any]], None]:
    """An observer that acts once that many steps are done."""

    def observer(event: str, record: Mapping[str, Any]) -> None:
        if event == "step" and record["step"] == step:
            act()

    return observer


def fail() -> None:
    raise StoppedError


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def outcome(folder: Path) -> dict[str, Any]:
    """All that a training leaves, but how long it took and where."""
    tensors, metadata = store.read_tensors(folder / store.CHECKPOINT)
    form = json.loads(metadata["form"])
    form["position"].pop("elapsed")
    weights, _ = store.read_tensors(folder / store.WEIGHTS)
    return {
        "form": form,
        "metrics": (folder / store.METRICS).read_text(),
        "files": sorted(file.name for file in folder.iterdir()),
        "tensors": {f"last {name}": tensor for name, tensor in tensors.items()}
        | {f"best {name}": tensor for name, tensor in weights.items()},
    }


def assert_same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    tensors, others = found.pop("tensors"), wanted.pop("tensors")
    assert found == wanted
    assert tensors.keys() == others.keys()
    differing = [name for name, tensor in tensors.items() if not torch.equal(tensor, others[name])]
    assert differing == []


@pytest.fixture
def kinds(text, series, monkeypatch) -> dict[str, Callable[..., Training]]:
    """Small trainings of each kind: streams with a carry, and shuffled windows; both with dropout."""
    monkeypatch.setattr("throughtime.training.epochs._FEWEST_BATCHES", 16)
    family = {"hidden_size": 6, "num_layers": 2, "dropout": 0.3}

    def symbols(folder: Path, optimizer: str = "adamw", **training: Any) -> Training:
        return prepare(
            text,
            folder,
            task={"batch_size": 3, "steps": 24},
            family=family | {"name": "lstm"},
            training={"epochs": 2, "strategy": "truncated:8"} | training,
            optimizer={"name": optimizer, "warmup": 3},
        )

    def values(folder: Path, optimizer: str = "adamw", **training: Any) -> Training:
        return prepare(
            series,
            folder,
            task={"batch_size": 8, "lookback": 10, "horizon": 4, "windows": 64},
            family=family,
            training={"epochs": 2, "patience": 1} | training,
            optimizer={"name": optimizer, "warmup": 3},
        )

    return {"symbols": symbols, "series": values}


@pytest.fixture
def every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)


def stopped_and_resumed(training: Training, step: int, act: Callable[[], None], **changes: Any) -> Training:
    training.observers = [at(step, act)]
    with suppress(StoppedError):
        training.fit()
    resumed = resume(load(training.run.folder, weights=False), **changes)
    resumed.fit()
    return resumed


@pytest.mark.parametrize(("step", "act"), [(1, fail), (13, fail), (25, interrupt)])
@pytest.mark.parametrize("kind", ["symbols", "series"])
def test_a_stop_in_mid_epoch_changes_nothing(kinds, every_batch, tmp_path, kind, step, act) -> None:
    kinds[kind](tmp_path / "whole").fit()
    stopped_and_resumed(kinds[kind](tmp_path / "parts"), step, act)
    assert_same(outcome(tmp_path / "parts"), outcome(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("kind", "optimizer"), [*(("symbols", optimizer) for optimizer in OPTIMIZERS), ("series", "sgd")]
)
def test_every_optimizer_goes_on_as_it_was(kinds, every_batch, tmp_path, kind, optimizer) -> None:
    kinds[kind](tmp_path / "whole", optimizer, epochs=1).fit()
    stopped_and_resumed(kinds[kind](tmp_path / "parts", optimizer, epochs=1), 17, fail)
    assert_same(outcome(tmp_path / "parts"), outcome(tmp_path / "whole"))


def test_a_training_goes_on_with_another_strategy(kinds, every_batch, tmp_path) -> None:
    before = kinds["symbols"](tmp_path / "run", epochs=1, strategy="truncated:4,12")
    after = stopped_and_resumed(before, 17, fail, strategy="checkpointed:5")
    assert repr(after.strategy) == "Checkpointed(segment=5, memory=None)"
    assert load(tmp_path / "run").configuration.training.strategy == "checkpointed:5"
    assert after.position.epoch == 1


@pytest.mark.parametrize("strategy", ["truncated:4,12", "checkpointed:5", "checkpointed:1MB", "artbp:4,8", "uoro"])
def test_every_strategy_goes_on_as_it_was(kinds, every_batch, tmp_path, strategy) -> None:
    kinds["symbols"](tmp_path / "whole", epochs=1, strategy=strategy).fit()
    stopped_and_resumed(kinds["symbols"](tmp_path / "parts", epochs=1, strategy=strategy), 17, fail)
    assert_same(outcome(tmp_path / "parts"), outcome(tmp_path / "whole"))


@pytest.mark.parametrize("kind", ["symbols", "series"])
def test_batches_after_the_last_checkpoint_are_done_again(kinds, tmp_path, kind) -> None:
    kinds[kind](tmp_path / "whole").fit()
    training = kinds[kind](tmp_path / "parts")
    resumed = stopped_and_resumed(training, 26, fail)
    assert resumed.position.epoch == 2
    assert_same(outcome(tmp_path / "parts"), outcome(tmp_path / "whole"))


def test_a_carry_is_passed_on_in_mid_epoch(kinds, every_batch, tmp_path) -> None:
    training = kinds["symbols"](tmp_path / "run")
    training.observers = [at(10, fail)]
    with pytest.raises(StoppedError):
        training.fit()
    resumed = resume(load(tmp_path / "run", weights=False))
    assert resumed.position.index > 0
    assert resumed.carry is not None
    assert any(tensor.abs().sum() > 0 for _, tensor in leaves(resumed.carry))


def test_a_time_budget_that_was_used_up_can_be_raised(kinds, tmp_path, monkeypatch) -> None:
    """Only the validation at the stop is added; weights and steps are those of a run without a stop."""
    monkeypatch.setattr(Training, "share", lambda self: self.position.step / 1000)
    kinds["symbols"](tmp_path / "whole", time_budget=1e9).fit()
    training = kinds["symbols"](tmp_path / "parts", time_budget=1e9)
    monkeypatch.setattr(Training, "_time_is_over", lambda self: self.position.step == 18)
    assert training.fit() == "time budget"
    monkeypatch.setattr(Training, "_time_is_over", lambda self: False)
    resume(load(tmp_path / "parts", weights=False), time_budget=1e9).fit()
    found, wanted = outcome(tmp_path / "parts"), outcome(tmp_path / "whole")
    extra = [line for line in found.pop("metrics").splitlines() if line not in wanted["metrics"].splitlines()]
    assert [json.loads(line)["step"] for line in extra] == [18]
    wanted.pop("metrics")
    assert found.pop("form")["optimizer"] == wanted.pop("form")["optimizer"]
    assert_same(found, wanted)


def test_a_kill_between_validation_and_checkpoint_leaves_no_double_record(kinds, every_batch, tmp_path) -> None:
    kinds["series"](tmp_path / "whole").fit()
    training = kinds["series"](tmp_path / "parts")

    def observer(event: str, record: Mapping[str, Any]) -> None:
        if event == "validation":
            raise StoppedError

    training.observers = [observer]
    with pytest.raises(StoppedError):
        training.fit()
    resume(load(tmp_path / "parts", weights=False)).fit()
    assert_same(outcome(tmp_path / "parts"), outcome(tmp_path / "whole"))


def test_a_kill_before_the_first_batch_starts_from_the_same_weights(kinds, tmp_path, monkeypatch) -> None:
    kinds["series"](tmp_path / "whole").fit()
    training = kinds["series"](tmp_path / "parts")
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_epochs", lambda self, asked: fail())
        with pytest.raises(StoppedError):
            training.fit()
    resume(load(tmp_path / "parts", weights=False)).fit()
    assert_same(outcome(tmp_path / "parts"), outcome(tmp_path / "whole"))


def test_more_epochs_go_on_from_the_end(kinds, tmp_path) -> None:
    kinds["symbols"](tmp_path / "run", epochs=1).fit()
    before = (tmp_path / "run" / store.METRICS).read_text()
    training = resume(load(tmp_path / "run", weights=False), epochs=2)
    assert training.fit() == "epochs"
    assert training.position.epoch == 2
    assert (tmp_path / "run" / store.METRICS).read_text().startswith(before)
    assert load(tmp_path / "run").configuration.training.epochs == 2


def test_a_training_that_is_over_stays_over(kinds, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Training, "validation_loss", lambda self: 1.0)
    assert kinds["series"](tmp_path / "run", epochs=9, patience=2).fit() == "patience"
    before = outcome(tmp_path / "run")
    training = resume(load(tmp_path / "run", weights=False))
    assert training.fit() == "patience"
    assert_same(outcome(tmp_path / "run"), before)
    assert resume(load(tmp_path / "run", weights=False), epochs=1).fit() == "epochs"  # which are done long ago
    assert load(tmp_path / "run").configuration.training.epochs == 9


def test_the_best_weights_are_kept_and_loaded_at_the_end(kinds, tmp_path, monkeypatch) -> None:
    losses = iter([2.0, 1.0, 3.0])
    seen = []

    def pretended(self: Training) -> float:
        seen.append({name: value.clone() for name, value in self.model.state_dict().items()})
        return next(losses)

    monkeypatch.setattr(Training, "validation_loss", pretended)
    training = kinds["symbols"](tmp_path / "run", epochs=3)
    training.fit()
    assert all(torch.equal(value, seen[1][name]) for name, value in training.model.state_dict().items())
    assert not all(torch.equal(value, seen[2][name]) for name, value in training.model.state_dict().items())
    assert training.position.best == 1.0


def test_leftovers_of_a_killed_writer_are_taken_away(kinds, tmp_path) -> None:
    kinds["symbols"](tmp_path / "run", epochs=1).fit()
    leftover = tmp_path / "run" / f".{store.CHECKPOINT}.ab12cd_9.safetensors"
    leftover.write_bytes(b"half")
    resume(load(tmp_path / "run", weights=False))
    assert not leftover.exists()


def test_a_last_record_cut_short_is_taken_away(kinds, tmp_path) -> None:
    kinds["symbols"](tmp_path / "run", epochs=1).fit()
    metrics = tmp_path / "run" / store.METRICS
    whole = metrics.read_text()
    metrics.write_text(whole + '{"step": 99, "los')
    resume(load(tmp_path / "run", weights=False))
    assert metrics.read_text() == whole


def test_a_checkpoint_that_is_gone_or_damaged_is_refused(kinds, tmp_path) -> None:
    kinds["symbols"](tmp_path / "run", epochs=1).fit()
    checkpoint = tmp_path / "run" / store.CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:-40])
    with pytest.raises(ArtifactError, match=r"checkpoint\.safetensors is damaged or truncated"):
        resume(load(tmp_path / "run", weights=False))
    checkpoint.unlink()
    with pytest.raises(ArtifactError, match=r"has no checkpoint\.safetensors: it cannot go on"):
        resume(load(tmp_path / "run", weights=False))


def test_a_checkpoint_of_another_model_is_refused(kinds, tmp_path) -> None:
    kinds["symbols"](tmp_path / "one", epochs=1).fit()
    kinds["series"](tmp_path / "two", epochs=1).fit()
    (tmp_path / "one" / store.CHECKPOINT).write_bytes((tmp_path / "two" / store.CHECKPOINT).read_bytes())
    with pytest.raises(ArtifactError, match="no checkpoint of this model"):
        resume(load(tmp_path / "one", weights=False))


def test_changed_data_is_refused(kinds, tmp_path, text_file) -> None:
    kinds["symbols"](tmp_path / "run", epochs=1).fit()
    text_file.write_text(text_file.read_text() + "one more line\n")
    with pytest.raises(ArtifactError, match="has changed since it was read"):
        resume(load(tmp_path / "run", weights=False))


def test_a_run_that_cannot_begin_leaves_nothing(kinds, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("throughtime.artifacts.run.Run.create", lambda self: fail())
    with pytest.raises(StoppedError):
        kinds["symbols"](tmp_path / "runs" / "new").fit()
    assert not (tmp_path / "runs").exists()


def test_without_a_validation_part_the_last_weights_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "vowels.txt"
    file.write_text("aeiou " * 200)
    small = {
        "family": {"hidden_size": 8},
        "training": {"epochs": 2},
        "task": {"steps": 16, "split": Split(0.9, 0.0, 0.1)},
    }
    training = prepare(read_text(file), tmp_path / "run", **small)
    assert training.fit() == "epochs"
    last = {name: value.clone() for name, value in training.model.state_dict().items()}
    loaded = load(tmp_path / "run").model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in last.items())
    assert not [record for record in training.run.metrics() if "validation_loss" in record]
