"""A training's draws follow from its seed alone, and leave the caller's as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from throughtime import ConfigurationError
from throughtime.artifacts import load
from throughtime.data import read_text
from throughtime.training import Training, prepare, resume


def training_in(folder: Path) -> Training:
    file = folder.parent / "vowels.txt"
    file.write_text("aeiou " * 200)
    family = {"hidden_size": 8, "dropout": 0.3}
    return prepare(read_text(file), folder, family=family, training={"epochs": 2}, task={"steps": 16})


def test_what_else_is_drawn_changes_nothing(tmp_path: Path) -> None:
    alone = training_in(tmp_path / "alone")
    alone.fit()
    disturbed = training_in(tmp_path / "disturbed")
    torch.manual_seed(99)
    training_in(tmp_path / "another")
    torch.rand(7)
    disturbed.fit()
    assert disturbed.position.best == alone.position.best


def test_the_callers_draws_are_left_as_they_were(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    training_in(tmp_path / "run").fit()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_folder_with_a_run_is_not_trained_over(tmp_path: Path) -> None:
    training_in(tmp_path / "run").fit()
    with pytest.raises(ConfigurationError, match="holds a run already"):
        training_in(tmp_path / "run").fit()


@pytest.mark.parametrize("changes", [{"nonsense": 3}, {"epochs": "many"}, {"epochs": -1}])
def test_changes_are_validated_before_anything_is_written(tmp_path: Path, changes: dict) -> None:
    training_in(tmp_path / "run").fit()
    written = (tmp_path / "run" / "config.json").read_text()
    with pytest.raises(ConfigurationError, match=next(iter(changes))):
        resume(load(tmp_path / "run", weights=False), **changes)
    assert (tmp_path / "run" / "config.json").read_text() == written
