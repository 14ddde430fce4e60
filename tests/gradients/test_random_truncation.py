"""Randomly truncated gradients: unbiased, by enumeration and by averaging."""

from __future__ import annotations

from itertools import product
from unittest.mock import patch

import pytest
import torch
from cases import KINDS, H, I, T, batch_of, gradients, squared_error, takes
from torch import nn

from throughtime import Batch, ConfigurationError, Full, RandomTruncation, Truncated, backward
from throughtime.nn import GRU


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_over_all_draws_is_full(model: nn.Module, kind: str) -> None:
    """Borders after steps 2, 4 and 6: each of the eight outcomes, weighted by its probability."""
    if not takes(model, kind):
        return
    batch, strategy = batch_of(kind), RandomTruncation(2, 4)
    backward(model, batch, squared_error, Full())
    wanted = gradients(model)
    mean = {name: torch.zeros_like(gradient) for name, gradient in wanted.items()}
    for outcome in product((True, False), repeat=3):
        probability, since = 1.0, 0
        for cut in outcome:
            since += 1
            own = strategy.cut_probability(since)
            probability *= own if cut else 1 - own
            since = 0 if cut else since
        with patch("torch.rand", side_effect=[torch.tensor(0.0 if cut else 1.0) for cut in outcome]):
            stops = [segment.stop for segment in strategy.segments(model, batch, squared_error)]
        assert stops == [2 * (place + 1) for place, cut in enumerate(outcome) if cut] + [T]
        for name, gradient in gradients(model).items():
            mean[name] += probability * gradient
    for name, gradient in mean.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-13)


def test_the_mean_of_many_draws_is_full_within_its_interval() -> None:
    torch.manual_seed(0)
    model, batch = GRU(I, H).double(), batch_of("last", 24)
    backward(model, batch, squared_error, Full())
    wanted = gradients(model)["weight_hh_l0"]
    draws = []
    for _ in range(400):
        backward(model, batch, squared_error, RandomTruncation(3, 9))
        draws.append(gradients(model)["weight_hh_l0"])
    draws = torch.stack(draws)
    error = (draws.mean(0) - wanted).abs() / (draws.std(0) / len(draws) ** 0.5)
    assert error.max() < 4.5  # of 48 numbers
    backward(model, batch, squared_error, Truncated(3))
    biased = (gradients(model)["weight_hh_l0"] - wanted).abs() / (draws.std(0) / len(draws) ** 0.5)
    assert biased.max() > 10  # the same test would see a bias


def test_pieces_have_the_expected_length() -> None:
    model = GRU(1, 1)
    torch.manual_seed(0)
    inputs = torch.zeros(20_000, 1, 1)
    stops = [segment.stop for segment in RandomTruncation(10, 50).segments(model, Batch(inputs, inputs), squared_error)]
    assert 20_000 / len(stops) == pytest.approx(50, rel=0.1)


def test_what_is_drawn_follows_from_the_seed_and_the_carry_goes_on() -> None:
    torch.manual_seed(0)
    model, batch = GRU(I, H).double(), batch_of("plain", 30)
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        done = backward(model, batch, squared_error, RandomTruncation(2, 4))
        found.append(gradients(model)["weight_ih_l0"])
    assert torch.equal(*found)
    torch.testing.assert_close(done.carry, model(batch.inputs)[1], rtol=1e-12, atol=1e-14)
    assert not done.carry.requires_grad


def test_refusals() -> None:
    for wrong in ((0, 4), (4, 3), (4, 8, 1.0)):
        with pytest.raises(ConfigurationError):
            RandomTruncation(*wrong)
