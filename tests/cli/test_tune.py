"""`throughtime tune` as it is used: what it prints and writes, stopped and gone on with, and what `train` takes up."""

import json
import signal
from pathlib import Path

import pytest

from throughtime.cli._tuning import TuningProgress

pytest.importorskip("optuna")

SMALL = ("--epochs", "1", "--steps", "16", "--batch-size", "4", "--model", "gru")
NARROW = ("--tune", "learning-rate", "--range", "hidden-size=2..8")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_a_few_labelled_cases_are_tuned_too(throughtime, task) -> None:
    rows = [f"{sign * step},{step % 3}:{sign}" for sign in (1, -1) for step in range(1, 21)]
    head = "@classLabel true 1 -1" if task == "classify" else "@targetLabel true"
    Path("moves.ts").write_text("\n".join([head, "@data", *rows]) + "\n")
    found = throughtime("tune", "moves.ts", "--task", task, "--trials", 2, "--epochs", 1, "--json")
    assert (found.code, len(found.json["trials"])) == (0, 2)
    assert throughtime("train", "moves.ts", "--config", "runs/moves-tune/best.json", "--out", "a").code == 0


def test_tuned_and_trained_by_what_was_found(throughtime, samples) -> None:
    found = throughtime("tune", samples / "book.txt", *SMALL, *NARROW, "--trials", 3, "--seed", 5, "--json")
    assert found.code == 0
    folder = Path("runs/book-tune")
    assert len(found.json["trials"]) == 3
    assert json.loads((folder / "tuning.json").read_text()) == found.json
    assert (folder / "history.png").read_bytes().startswith(b"\x89PNG")
    assert "trial 0: " in found.err
    again = throughtime("train", samples / "book.txt", "--config", folder / "best.json", "--out", "a", "--json")
    assert again.json["validation_loss"] == found.json["validation_loss"]
    other = throughtime("train", samples / "book.txt", "--config", folder / "best.json", "--out", "b", "--model", "tcn",
                        "--layers", 1, "--seed", 6)  # fmt: skip
    assert other.code == 0
    written = json.loads(Path("b/config.json").read_text())
    assert written["model"]["family"]["name"] == "tcn"
    assert written["model"]["family"]["hidden_size"] == found.json["settings"]["family"]["hidden_size"]
    assert written["training"]["seed"] == 6
    assert throughtime("evaluate", found.json["run"]).code == 0


def test_how_series_were_read_is_kept(throughtime, samples) -> None:
    found = throughtime("tune", samples / "long.csv", "--target", "y", "--future", "price", "--horizon", 4,
                        "--lookback", 8, "--epochs", 1, "--range", "hidden-size=2..4", "--tune", "dropout",
                        "--trials", 1, "--out", "t")  # fmt: skip
    assert found.code == 0
    assert "the best of 1 trials" in found.out
    assert "saved to t: best.json, tuning.json, history.png" in found.out
    assert json.loads(Path("t/best.json").read_text())["reading"] == {"target": ["y"], "future": ["price"]}
    assert throughtime("train", samples / "long.csv", "--config", "t/best.json", "--out", "r").code == 0
    columns = json.loads(Path("r/data.json").read_text())["layout"]["columns"]
    assert (columns["targets"], columns["future"]) == (["y"], ["price"])
    throughtime("train", samples / "long.csv", "--config", "t/best.json", "--target", "wind", "--out", "w")
    assert json.loads(Path("w/data.json").read_text())["layout"]["columns"]["targets"] == ["wind"]


def test_ctrl_c_leaves_a_study_that_goes_on(throughtime, samples, monkeypatch) -> None:
    asked = ("tune", samples / "book.txt", *SMALL, *NARROW, "--trials", 3, "--no-prune")
    whole = throughtime(*asked, "--out", "w", "--json")
    usual = TuningProgress.__call__

    def stopping(self, event, record) -> None:
        usual(self, event, record)
        if event == "progress" and record["number"] == 1:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(TuningProgress, "__call__", stopping)
        stopped = throughtime(*asked, "--out", "c")
    assert stopped.code == 130
    assert "error: interrupted; go on with: throughtime tune --resume c" in stopped.err
    found = throughtime("tune", "--resume", "c", "--json")
    assert [(one["loss"], one["drawn"]) for one in found.json["trials"]] == [
        (one["loss"], one["drawn"]) for one in whole.json["trials"]
    ]
    more = throughtime("tune", "--resume", "c", "--trials", 4, "--json")
    assert len(more.json["trials"]) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tune", "learning_rate"), "'learning_rate' is no setting that can be tuned"),
        (("--range", "hidden-size"), "expected NAME=LOW..HIGH or NAME=A,B"),
        (("--range", "hidden-size=9..2"), "9 is not below 2"),
        (("--range", "hidden-size=2..4", "--hidden-size", "3"), "both fixed and tuned"),
        (("--lookback", "9"), "--lookback is for series"),
        (("--storage", "nowhere"), "expected the address of a database"),
        (("--storage", "sqlite:////no/such/place.db"), "cannot be used"),
        (("--resume", "nothing"), "--resume takes its settings from nothing"),
        (("--config", "none.json"), "none.json is no settings file"),
        (("--time-budget", "soon"), "time 'soon'"),
    ],
)
def test_refused_in_one_line(throughtime, samples, options, message) -> None:
    found = throughtime("tune", samples / "book.txt", *SMALL, *options, "--out", "t")
    assert found.code == 2
    assert message in found.err
    assert found.err.count("\n") == 1
    assert not Path("t").exists()


def test_what_cannot_be_gone_on_with(throughtime, samples) -> None:
    assert "nothing that tune left" in throughtime("tune", "--resume", "nothing").err
    assert "name a FILE to tune on" in throughtime("tune").err
    throughtime("tune", samples / "book.txt", *SMALL, *NARROW, "--trials", 1, "--out", "t")
    again = throughtime("tune", samples / "book.txt", *SMALL, *NARROW, "--trials", 1, "--out", "t")
    assert "--out t is in use already" in again.err
    refused = throughtime("train", "--resume", "t/trials/0", "--config", "t/best.json")
    assert "--config cannot be given with it" in refused.err
