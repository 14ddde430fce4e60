"""What a training says that comes to nothing."""

import math
from pathlib import Path

import pytest
import torch

from throughtime import ThroughtimeError, prepare
from throughtime.data import SeriesData, TextData
from throughtime.training import Training

SMALL = {"family": {"hidden_size": 4}, "training": {"epochs": 1}}
DIVERGED = r"training diverged at step 0: the model's outputs are nan or infinite; lower --learning-rate or --clip"


@pytest.mark.parametrize("kind", ["text", "series"])
def test_a_model_whose_outputs_are_no_numbers_has_diverged(kind: str, request, tmp_path: Path) -> None:
    data: TextData | SeriesData = request.getfixturevalue(kind)
    training = prepare(data, tmp_path / "run", **SMALL)
    assert isinstance(training, Training)
    with torch.no_grad():
        training.model.head.linear.bias.fill_(math.nan)
    with pytest.raises(ThroughtimeError, match=DIVERGED):
        training.fit()
    with pytest.raises(ThroughtimeError, match=DIVERGED):
        training.validation_loss()


def test_other_faults_are_told_as_they_are(text: TextData, tmp_path: Path, monkeypatch) -> None:
    training = prepare(text, tmp_path / "run", **SMALL)
    monkeypatch.setattr(training, "_update", lambda *_: int("many"))
    with pytest.raises(ValueError, match="invalid literal"):
        training.fit()
