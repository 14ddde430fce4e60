"""How much of a validation part is read."""

import numpy as np
import pytest
from torch import nn

from throughtime.data import Streams, Windows, shifted
from throughtime.training import validation


@pytest.fixture
def read(monkeypatch):
    """How many steps of each batch were read."""
    monkeypatch.setattr(validation, "_MOST_STEPS", 1000)
    sizes: list[int] = []

    def summed(model, batch, loss, carry):
        sizes.append(batch.targets[..., 0].numel() if batch.targets.dim() == 3 else batch.targets.numel())
        return 2.0 * sizes[-1], sizes[-1], carry

    monkeypatch.setattr(validation, "summed_loss", summed)
    return sizes


@pytest.mark.parametrize(("batch", "steps"), [(4, 25), (20, 50), (1, 10)])
def test_of_streams_as_much_whatever_their_number(read, batch, steps):
    assert validation.mean_loss(nn.Linear(1, 1), Streams(shifted(np.arange(5001) % 7), batch, steps)) == 2.0
    assert sum(read) == 1000


def test_short_streams_are_read_to_their_end(read):
    validation.mean_loss(nn.Linear(1, 1), Streams(shifted(np.arange(601) % 7), 4, 25))
    assert sum(read) == 600


def test_windows_are_all_read(read):
    source = Windows([shifted(np.arange(4000.0))], 10, 50, batch_size=8, per_epoch=64)
    validation.mean_loss(nn.Linear(1, 1), source)
    assert sum(read) == 64 * 60
