"""`throughtime compare` as it is used: what it prints and writes, stopped and gone on with."""

import json
import re
import signal
from pathlib import Path

import pytest

from throughtime.cli._comparing import ComparingProgress

SMALL = ("--hidden-size", "4", "--epochs", "1", "--seeds", "1")
OF_SERIES = (*SMALL, "--horizon", "4", "--batch-size", "8", "--samples", "10")
PNG = b"\x89PNG"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_series(throughtime, samples) -> None:
    found = throughtime("compare", samples / "hourly.csv", "--models", "gru,ar:2,markov:3", *OF_SERIES, "--json")
    assert found.code == 0
    folder = Path("runs/hourly-compare")
    models = found.json["models"]
    assert {row["model"] for row in models[:2]} == {"gru", "ar:2"}
    assert models[2]["model"] == "markov:3"
    assert models[0]["crps"] <= models[1]["crps"]
    assert found.json["baselines"].keys() == {"naive", "seasonal_naive", "drift"}
    assert json.loads((folder / "comparison.json").read_text()) == found.json
    assert (folder / "comparison.png").read_bytes().startswith(PNG)
    assert "gru, seed 0: crps" in found.err
    assert "markov:3 failed: markov counts symbols" in found.err
    assert throughtime("info", folder / "gru-0").code == 0


def test_text_in_a_table_of_80_columns(throughtime, samples, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = throughtime("compare", samples / "book.txt", "--models", "markov:2,rnn", "--steps", "16", *SMALL)
    assert found.code == 0
    tables, saved = found.out.split("saved to ")
    assert max(map(len, tables.splitlines())) <= 80
    quality, cost = tables.split("what it costs")
    assert re.search(r"bits per .*nats per .*\n.*character .*character ", quality)
    assert all(word in quality for word in ("markov:2", "rnn", "unigram", "best"))
    assert all(word in cost for word in ("parameters", "sampling", "to quality"))
    assert saved.startswith("runs/book-compare: comparison.png, comparison.json")


@pytest.mark.parametrize("moment", [2, 6, 12])
def test_ctrl_c_loses_nothing(throughtime, samples, monkeypatch, moment) -> None:
    whole = throughtime("compare", samples / "hourly.csv", "--models", "gru,ar:2", *OF_SERIES, "--json", "--out", "w")
    told, usual = [], ComparingProgress.__call__

    def stopping(self, event, record) -> None:
        usual(self, event, record)
        told.append(event)
        if len(told) == moment:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(ComparingProgress, "__call__", stopping)
        stopped = throughtime("compare", samples / "hourly.csv", "--models", "gru,ar:2", *OF_SERIES, "--out", "c")
    assert stopped.code == 130
    assert "error: interrupted; go on with: throughtime compare --resume c" in stopped.err
    found = throughtime("compare", "--resume", "c", "--json")
    assert found.code == 0
    for one, other in zip(found.json["models"], whole.json["models"], strict=True):
        assert one["crps"] == other["crps"]
        assert one["settings"] == other["settings"]


def test_options_kept_are_checked_as_those_typed(throughtime, samples) -> None:
    throughtime("compare", samples / "hourly.csv", "--models", "ar:1", *OF_SERIES, "--target", "load", "--out", "c")
    path = Path("c/arguments.json")
    arguments = json.loads(path.read_text())
    for changed, message in (({"seeds": -1}, "'--seeds'"), ({"fill": "sideways"}, "'sideways'"), ({"file": 5}, "5")):
        path.write_text(json.dumps(arguments | changed))
        found = throughtime("compare", "--resume", "c")
        assert found.code == 2
        assert message in found.err
        assert found.err.count("\n") == 1


def test_one_model_that_fails_is_told_and_only_all_are_an_error(throughtime, samples) -> None:
    found = throughtime("compare", samples / "hourly.csv", "--models", "markov:2", *OF_SERIES, "--out", "c")
    assert found.code == 2
    assert "error: no model could be compared; markov:2: markov counts symbols" in found.err
    assert found.out == ""


def test_labelled_sequences_are_sent_where_they_are_learnt(throughtime, tmp_path) -> None:
    (tmp_path / "moves.ts").write_text("@classLabel true up down\n@data\n1,2:up\n2,1:down\n")
    found = throughtime("compare", "moves.ts")
    assert found.code == 2
    assert "not foretold: throughtime train moves.ts --task classify learns their classes, --task regress" in found.err


def test_what_is_done_is_not_done_again(throughtime, samples) -> None:
    first = throughtime("compare", samples / "hourly.csv", "--models", "gru,ar:2", *OF_SERIES, "--json", "--out", "c")
    before = contents(Path("c"))
    again = throughtime("compare", "--resume", "c", "--json")
    assert again.json == first.json
    assert contents(Path("c")) == before
    refused = throughtime("compare", samples / "hourly.csv", *OF_SERIES, "--out", "c")
    assert refused.code == 2
    assert "go on with: throughtime compare --resume c" in refused.err.replace("\n", " ")
