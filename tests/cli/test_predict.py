"""Labelled sequences from the command line: train, evaluate, predict, and what is refused."""

import re

import numpy as np
import polars as pl
import pytest

from throughtime import cli

SMALL = ["--hidden-size", "6", "--epochs", "1", "--batch-size", "8"]


def write_gestures(path, cases=40, labels=True, numbers=False):
    """Ramps up or down below each other in one file."""
    chance = np.random.default_rng(0)
    rows = []
    for case in range(cases):
        slope = 1 if case % 2 else -1
        label = float(slope) if numbers else ("down", "up")[case % 2]
        for step in range(4 + case % 3):
            row = {"recording": f"r{case}", "x": slope * step + float(chance.normal(0, 0.1)), "y": float(case % 5)}
            rows.append(row | ({"gesture": label} if labels else {}))
    pl.DataFrame(rows).write_csv(path)
    return path


@pytest.fixture(scope="module")
def gestures(tmp_path_factory):
    return write_gestures(tmp_path_factory.mktemp("gestures") / "gestures.csv")


@pytest.fixture(scope="module")
def run(gestures):
    folder = gestures.parent / "run"
    columns = ["--task", "classify", "--label", "gesture", "--id", "recording"]
    given = ["train", str(gestures), *columns, "--pooling", "mean", "--class-weights", "balanced", *SMALL]
    assert cli.run([*given, "--out", str(folder)]) == 0
    return folder


def test_a_run_is_evaluated_on_its_test_part_and_on_a_file(throughtime, run, gestures, tmp_path):
    own = throughtime("evaluate", run, "--json", "--out", tmp_path / "figures").json
    assert own["part"] == "test part"
    assert own["cases"] == 8
    assert (tmp_path / "figures" / "evaluation.png").stat().st_size > 10_000
    assert throughtime("evaluate", run, gestures, "--json").json == own
    new = write_gestures(tmp_path / "new.csv", cases=10)
    other = throughtime("evaluate", run, new, "--json").json
    assert (other["part"], other["cases"]) == ("new.csv", 10)
    assert "majority class" in throughtime("evaluate", run).out


def test_predictions_need_no_labels(throughtime, run, tmp_path):
    path = write_gestures(tmp_path / "new.csv", cases=5, labels=False)
    outcome = throughtime("predict", run, path, "--out", tmp_path / "told.csv")
    assert outcome.code == 0
    assert re.match(r"5 cases: (down|up) × \d.*; p not calibrated; saved ", outcome.out)
    table = pl.read_csv(tmp_path / "told.csv")
    assert table.columns == ["name", "predicted", "p(down)", "p(up)"]
    assert table["name"].to_list() == ["r0", "r1", "r2", "r3", "r4"]
    np.testing.assert_allclose(table["p(down)"] + table["p(up)"], 1)


def test_few_cases_are_told_one_by_one(throughtime, run, tmp_path):
    path = write_gestures(tmp_path / "new.csv", cases=1, labels=False)
    out = throughtime("predict", run, path, "--out", tmp_path / "told.csv").out
    assert re.match(r"r0: class (down|up), p (0\.\d\d|1\.00); p not calibrated; saved ", out)


def test_cases_that_were_trained_on_are_told_of(throughtime, run, gestures, tmp_path):
    out = throughtime("predict", run, "--out", tmp_path / "told.csv").out
    assert f"% right, but trained on 32 of them (the rest: throughtime evaluate {run})" in out
    other = write_gestures(tmp_path / "new.csv", cases=8)
    assert "trained on" not in throughtime("predict", run, other, "--out", tmp_path / "told.csv").out


def test_a_run_is_told_of_in_plain_lines(throughtime, run, gestures, tmp_path):
    read = "40 cases of 2 classes (down, up), 4–6 steps each of x, y"
    steps = throughtime("info", run, "--json").json["steps"]
    assert steps == 32
    out = " ".join(throughtime("info", run).out.replace("│", " ").split())
    assert read in out
    assert not [word for word in ("None", "{", "'") if word in out]
    options = ["--task", "classify", "--label", "gesture", "--split", "0.6,0.2,0.2"]
    outcome = throughtime("train", gestures, *options, *SMALL, "--out", tmp_path / "run")
    assert read in outcome.out
    assert "shuffled, class by class" in outcome.out
    assert "not calibrated" not in throughtime("predict", tmp_path / "run").out


def test_predictions_beside_the_truth(throughtime, run, gestures):
    content = throughtime("predict", run, gestures, "--json").json
    assert content["cases"] == 40
    assert sum(content["told"].values()) == 40
    assert 0 <= content["accuracy"] <= 1
    assert pl.read_csv(run / "predictions.csv").columns[-1] == "truth"


def test_numbers_are_told_with_intervals(throughtime, tmp_path):
    path = write_gestures(tmp_path / "numbers.csv", numbers=True)
    columns = ["--task", "regress", "--label", "gesture", "--id", "recording"]
    given = [path, *columns, "--head", "normal", "--out", tmp_path / "run"]
    assert "test 20%, shuffled\n" in re.sub(" +\n", "\n", throughtime("train", *given, *SMALL).out)
    out = throughtime("predict", tmp_path / "run", write_gestures(tmp_path / "few.csv", 2, labels=False)).out
    assert re.match(r"r0: -?\d\S*, r1: -?\d\S*; saved ", out)
    content = throughtime("predict", tmp_path / "run", "--json").json
    assert content["least"] <= content["median"] <= content["most"]
    assert {"mae", "rmse", "r2"} == throughtime("evaluate", tmp_path / "run", "--json").json["model"].keys()


def test_the_other_commands_on_a_run_of_labels(throughtime, run):
    for command in (("info", run), ("features", run, "--per", "sequence"), ("inspect", run)):
        outcome = throughtime(*command)
        assert outcome.code == 0, outcome.err
    for command, words in (
        (("score", run), "tells the label of whole sequences and foretells no steps"),
        (("forecast", run), "is a model of labels: use throughtime predict"),
        (("generate", run), "is a model of labels: use throughtime predict"),
        (("evaluate", run, "--horizon", "3"), "--horizon and --stride are for series"),
        (("gradients", run), "Truncated feeds a sequence in pieces, and SequenceModel normalises over a batch"),
    ):
        outcome = throughtime(*command)
        assert outcome.code == 2
        assert words in outcome.err
        assert [line[:6] for line in outcome.err.splitlines() if not line.startswith("note:")] == ["error:"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task", "classify", "--horizon", "3"], "--horizon is not for labelled sequences"),
        (["--task", "classify", "--target", "x"], "--target is not for labelled sequences"),
        (["--task", "classify", "--calendar", "none"], "--calendar is not for labelled sequences"),
        (["--task", "classify", "--label", "nothing"], "nothing"),
        (["--task", "regress", "--label", "gesture", "--id", "recording"], "is no finite number"),
        (["--task", "classify", "--label", "gesture", "--id", "recording", "--head", "normal"], "categorical"),
        (["--task", "classify", "--label", "gesture", "--id", "recording", "--model", "ar:3"], "use a network such"),
        (["--pooling", "mean"], "--pooling is for whole sequences with labels: say --task"),
        (["--class-weights", "balanced"], "with labels: say --task classify too"),
    ],
)
def test_strangers_are_refused_in_a_line(throughtime, gestures, tmp_path, options, words):
    outcome = throughtime("train", gestures, *options, "--out", tmp_path / "run")
    assert outcome.code == 2
    assert words in outcome.err
    assert [line[:6] for line in outcome.err.splitlines() if not line.startswith("note:")] == ["error:"]
    assert not (tmp_path / "run").exists()


def test_bad_input_to_predict_leaves_nothing_behind(throughtime, run, gestures, tmp_path, runs):
    assert "is a model of series: use throughtime forecast" in throughtime("predict", runs / "hourly").err
    outcome = throughtime("predict", run, gestures, "--out", tmp_path / "told.txt")
    assert outcome.code == 2
    assert ".csv, .parquet or .png" in outcome.err
    pl.DataFrame({"recording": ["a"], "x": [1.0]}).write_csv(tmp_path / "narrow.csv")
    outcome = throughtime("predict", run, tmp_path / "narrow.csv", "--out", tmp_path / "told.csv")
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith("error:")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["narrow.csv"]
