"""Music from the command line: described, trained on, evaluated, played on, and what is refused."""

import math
import shutil
import sys

import numpy as np
import pytest

from throughtime import cli
from throughtime.data import read_midi, write_midi

pytest.importorskip("mido")
SMALL = ["--hidden-size", "6", "--epochs", "1"]


@pytest.fixture(scope="module")
def tunes(tmp_path_factory):
    """Six short pieces."""
    folder = tmp_path_factory.mktemp("music") / "tunes"
    folder.mkdir()
    for shift in range(6):
        roll = np.zeros((12 + shift, 88), bool)
        roll[::2, 30 + shift] = roll[1::2, 42 + shift] = True
        write_midi(folder / f"{shift}.mid", roll)
    return folder


@pytest.fixture(scope="module")
def run(tunes):
    assert cli.run(["train", str(tunes), *SMALL, "--out", str(tunes.parent / "run")]) == 0
    return tunes.parent / "run"


def test_describe(throughtime, tunes, tmp_path):
    outcome = throughtime("describe", tunes, "--frames-per-beat", "4", "--out", tmp_path)
    assert outcome.code == 0
    assert "pieces  6" in outcome.out
    assert (tmp_path / "tunes-description.png").stat().st_size > 10_000
    found = throughtime("describe", tunes / "0.mid", "--json", "--out", tmp_path).json
    assert (found["kind"], found["pieces"], found["frames"], found["lowest"]) == ("music", 1, 12, "D♯3")


def test_train_tells_what_a_frame_is(throughtime, tunes, tmp_path):
    outcome = throughtime("train", tunes, *SMALL, "--frames-per-beat", "4", "--out", tmp_path / "run")
    assert outcome.code == 0
    assert "frames per beat 4" in outcome.out
    assert "nats a frame" in outcome.out
    assert f"throughtime generate {tmp_path / 'run'}" in outcome.out
    assert throughtime("generate", tmp_path / "run", "--length", "8").code == 0
    assert len(read_midi(tmp_path / "run" / "generated.mid", frames_per_beat=4)) == 8


def test_a_single_piece_is_enough(throughtime, tunes, tmp_path):
    assert throughtime("train", tunes / "5.mid", *SMALL, "--out", tmp_path / "run").code == 0
    counted = throughtime("train", tunes / "5.mid", *SMALL, "--split", "1,4,3", "--out", tmp_path / "counted")
    assert "train the rest, validation 4 pieces or frames" in counted.out
    assert throughtime("evaluate", tmp_path / "run", "--json").json["symbols"] == 3


def test_evaluate(throughtime, run, tunes, tmp_path):
    own = throughtime("evaluate", run, "--json", "--out", tmp_path / "figures").json
    assert (own["part"], own["unit"]) == ("test part", "frame")
    assert own["model"].keys() == {"nats", "bits"}
    assert own["baselines"].keys() == {"key frequencies", "each key's last frame"}
    assert (tmp_path / "figures" / "evaluation.png").stat().st_size > 5_000
    assert throughtime("evaluate", run, tunes, "--json").json == own
    other = throughtime("evaluate", run, tunes / "1.mid", "--json").json
    assert (other["part"], other["symbols"]) == ("1.mid", 13)
    assert "1.mid: 13 frames" in throughtime("evaluate", run, tunes / "1.mid").out


def test_figures_on_disk_are_json_where_they_are_no_numbers(throughtime, run, tmp_path, monkeypatch):
    monkeypatch.setattr("throughtime.evaluation.Likelihood.to_dict", lambda self: {"nats": math.inf})
    assert throughtime("evaluate", run, "--out", tmp_path).code == 0
    assert (tmp_path / "evaluation.json").read_text() == '{\n  "nats": null\n}\n'


def test_generate_writes_midi_and_a_picture(throughtime, run, tunes, tmp_path):
    outcome = throughtime("generate", run, "--length", "16", "--seed", "3")
    assert outcome.code == 0
    assert "16 frames, 8 beats" in outcome.out
    assert str(run / "generated.mid") in outcome.out
    assert (run / "generated.png").stat().st_size > 5_000
    given = read_midi(tunes / "2.mid")
    for name in ("a.mid", "b.mid"):
        begun = throughtime("generate", run, "--prompt", tunes / "2.mid", "--length", "6", "--temperature", "0.5",
                            "--seed", "1", "--out", tmp_path / name, "--json")  # fmt: skip
        assert begun.json == {"files": [str(tmp_path / name)], "given": 14, "frames": 6, "seed": 1}
    whole = read_midi(tmp_path / "a.mid")
    assert len(whole) == 20
    np.testing.assert_array_equal(whole[:14], given)
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()
    assert throughtime("generate", run, "--out", tmp_path / "roll.png").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mid", "b.mid", "roll.png"]


def test_the_other_commands_on_a_run_of_music(throughtime, run, tmp_path):
    for command in (
        ("info", run),
        ("score", run, "--out", tmp_path / "scores.csv"),
        ("score", run, "--out", tmp_path / "scores.png", "--false-alarms", "0.1"),
        ("features", run, "--per", "sequence", "--out", tmp_path / "features.csv"),
        ("gradients", run, "--strategy", "truncated:4"),
        ("inspect", run, "--out", tmp_path / "page.html"),
    ):
        outcome = throughtime(*command)
        assert outcome.code == 0, outcome.err
    for command, words in (
        (("forecast", run), "is a model of music: use throughtime generate"),
        (("predict", run), "is a model of music: use throughtime generate"),
        (("evaluate", run, "--horizon", "3"), "--horizon and --stride are for series"),
        (("generate", run, "--out", tmp_path / "a.wav"), "expected a name that ends in .mid, .midi or .png"),
        (("generate", run, "--top-k", "3"), "top-k and top-p are for symbols"),
        (("generate", run, "--prompt", tmp_path / "no.mid"), "no.mid: no such file"),
        (("generate", run, "--prompt", tmp_path), "is no MIDI file that can be read"),
    ):
        outcome = throughtime(*command)
        assert outcome.code == 2
        assert words in outcome.err
        assert len(outcome.err.splitlines()) == 1


def test_tune_and_train_by_what_it_found(throughtime, tunes, tmp_path):
    pytest.importorskip("optuna")
    given = ["--trials", "2", "--epochs", "1", "--range", "hidden-size=4..8", "--frames-per-beat", "4"]
    assert throughtime("tune", tunes, *given, "--tune", "hidden-size", "--out", tmp_path / "study").code == 0
    trained = throughtime("train", tunes, "--config", tmp_path / "study" / "best.json", "--out", tmp_path / "run")
    assert "frames per beat 4" in trained.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--horizon", "3"], "--horizon is for series"),
        (["--steps", "3"], "--steps is for text or sound"),
        (["--time", "x"], "--time is for series"),
        (["--unit", "byte"], "--unit is for text"),
        (["--pooling", "mean"], "--pooling is for whole sequences with labels"),
        (["--model", "markov:2"], "markov is no model of binary vectors"),
        (["--frames-per-beat", "0"], "--frames-per-beat"),
        (["--split", "0.9,0.05,0.05"], "6 pieces leave the validation part empty"),
    ],
)
def test_strangers_are_refused_in_a_line(throughtime, tunes, tmp_path, options, words):
    outcome = throughtime("train", tunes, *options, "--out", tmp_path / "run")
    assert outcome.code == 2
    assert words in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_frames_are_for_music_and_nothing_is_compared_on_it(throughtime, tunes, samples, tmp_path):
    assert "--frames-per-beat is for music" in throughtime("train", samples / "book.txt", "--frames-per-beat", "2").err
    outcome = throughtime("compare", tunes, "--out", tmp_path / "compared")
    assert outcome.code == 2
    assert "is music, on which nothing is compared" in outcome.err


def test_changed_pieces_are_noticed(throughtime, run, tunes, tmp_path):
    shutil.copytree(tunes, tmp_path / "tunes")
    assert throughtime("train", tmp_path / "tunes", *SMALL, "--out", tmp_path / "run").code == 0
    (tmp_path / "tunes" / "6.mid").write_bytes((tunes / "0.mid").read_bytes())
    assert "has changed since it was read" in throughtime("evaluate", tmp_path / "run").err


def test_without_mido_it_is_told_how_to_get_it(throughtime, tunes, monkeypatch):
    monkeypatch.setitem(sys.modules, "mido", None)
    outcome = throughtime("train", tunes)
    assert outcome.code == 2
    assert outcome.err == "error: MIDI needs mido: pip install 'throughtime[music]'\n"
