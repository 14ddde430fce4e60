"""Settings in a file: what is written is read, and what is not known is refused with its place."""

import json

import pytest

from throughtime import ArtifactError, ConfigurationError
from throughtime.data import Split
from throughtime.training.settings import Settings, read_settings, write_settings

ALL = {
    "task": {"horizon": 4, "lookback": 12, "split": Split(0.6, 0.2, 0.2)},
    "family": {"name": "tcn", "kernel_size": 2},
    "training": {"strategy": "truncated:8,16", "seed": 3},
    "optimizer": {"learning_rate": 0.01, "clip": None},
    "model": {"head": "normal"},
}


def test_what_is_written_is_read(tmp_path) -> None:
    write_settings(tmp_path / "s.json", Settings(ALL, {"fill": "linear", "target": ["load"]}))
    assert read_settings(tmp_path / "s.json") == Settings(ALL, {"fill": "linear", "target": ["load"]})


@pytest.mark.parametrize(
    "own",
    [{"task": {"steps": 8}}, {"task": {"batch_size": 4}}, {"task": {"class_weights": "balanced"}},
     {"model": {"embedding_size": 8}}, {"model": {"pooling": "mean"}}, {"family": {"order": 3}}, {}],
)  # fmt: skip
def test_a_part_is_enough(tmp_path, own) -> None:
    (tmp_path / "s.json").write_text(json.dumps(own))
    assert read_settings(tmp_path / "s.json").preparation == own


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"optimiser": {}}, r"s.json: 'optimiser' is no group of settings; known: reading, task, family, training"),
        ({"optimizer": {"learning_rat": 1}}, r"s.json: optimizer.learning_rat = 1: there is no such setting"),
        ({"optimizer": {"learning_rate": "fast"}}, r"optimizer.learning_rate = 'fast'"),
        ({"training": {"strategy": "backwards"}}, r"strategy 'backwards' is not known"),
        ({"training": {"optimizer": {"clip": -1}}}, r"training.optimizer.clip = -1"),
        ({"task": {"steps": 0}}, r"task.steps = 0"),
        ({"task": {"steps": 4, "lookback": 4}}, r"task.steps = 4: there is no such setting"),
        ({"family": {"name": "elman"}}, r"elman"),
        ({"family": {"name": "gru", "kernel_size": 3}}, r"kernel_size"),
        ({"family": {"hiden_size": 3}}, r"hiden_size"),
        ({"reading": {"file": "x"}}, r"reading.file: there is no such setting; known: task, label, time"),
        ({"task": 3}, r"task is 3; expected an object"),
    ],
)
def test_refused(tmp_path, content, message) -> None:
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match=message):
        read_settings(tmp_path / "s.json")


def test_no_file_no_json(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=r"none.json is no settings file: no such file"):
        read_settings(tmp_path / "none.json")
    with pytest.raises(ConfigurationError, match=r"is no settings file: a folder"):
        read_settings(tmp_path)
    (tmp_path / "cut.json").write_text('{"task"')
    with pytest.raises(ArtifactError, match=r"cut.json cannot be read"):
        read_settings(tmp_path / "cut.json")
