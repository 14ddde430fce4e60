"""Losses by name, against loops on plain numbers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from throughtime import GRU, Batch, ConfigurationError, DataError, ShapeError, UnsupportedError
from throughtime.gradients import backward
from throughtime.models import LOSSES, loss_named, negative_log_likelihood

PER_ELEMENT = {
    "mse": (lambda e: e * e, True),
    "squared_error": (lambda e: e * e, False),
    "mae": (abs, True),
    "huber": (lambda e: e * e / 2 if abs(e) <= 1 else abs(e) - 0.5, True),
    "binary_cross_entropy": (None, False),
}


def by_hand(name: str, output: Tensor, target: Tensor) -> Tensor:
    measure, averaged = PER_ELEMENT[name]
    wanted = torch.zeros(output.shape[:2]).double()
    for t in range(output.shape[0]):
        for b in range(output.shape[1]):
            values = []
            for x, y in zip(output[t, b].reshape(-1).tolist(), target[t, b].reshape(-1).tolist(), strict=True):
                if measure is None:
                    p = 1 / (1 + math.exp(-x))
                    values.append(-(y * math.log(p) + (1 - y) * math.log(1 - p)))
                else:
                    values.append(measure(x - y))
            wanted[t, b] = sum(values) / (len(values) if averaged else 1)
    return wanted


@pytest.mark.parametrize("name", PER_ELEMENT)
@pytest.mark.parametrize("shape", [(3, 2, 5), (3, 2, 1), (3, 2)])
def test_against_a_loop(name: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    output, target = 2 * torch.randn(shape).double(), torch.rand(shape).double()
    got = loss_named(name)(output, target)
    torch.testing.assert_close(got, by_hand(name, output, target), rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(lambda x: loss_named(name)(x, target), output.requires_grad_())


def test_cross_entropy_against_a_loop() -> None:
    torch.manual_seed(0)
    output, target = torch.randn(4, 3, 5).double(), torch.randint(5, (4, 3))
    wanted = torch.zeros(4, 3).double()
    for t in range(4):
        for b in range(3):
            row = output[t, b].tolist()
            wanted[t, b] = math.log(sum(math.exp(x) for x in row)) - row[target[t, b]]
    got = loss_named("cross_entropy")(output, target)
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(loss_named("cross_entropy")(output + 1e4, target.int()), wanted)
    assert torch.autograd.gradcheck(lambda x: loss_named("cross_entropy")(x, target), output.requires_grad_())


def test_the_summed_squared_error_is_twice_a_normals_surprise() -> None:
    output, target = torch.randn(4, 3, 5), torch.randn(4, 3, 5)
    surprise = -Normal(output, 1.0).log_prob(target).sum(-1) - 5 * math.log(2 * math.pi) / 2
    torch.testing.assert_close(loss_named("squared_error")(output, target), 2 * surprise)


def test_a_named_loss_trains_under_a_strategy() -> None:
    torch.manual_seed(0)
    model, batch = GRU(2, 3), Batch(torch.randn(5, 2, 2), torch.randn(5, 2, 3), lengths=torch.tensor([5, 2]))
    done = backward(model, batch, loss_named("mse"))
    error = (model(batch.inputs)[0] - batch.targets).square().mean(-1)
    torch.testing.assert_close(done.loss_sum, error[:, 0].sum().detach() + error[:2, 1].sum().detach())
    assert done.count == 7


def test_names() -> None:
    assert loss_named("nll") is negative_log_likelihood
    for name, loss in LOSSES.items():
        assert loss_named(name) is loss
    with pytest.raises(ConfigurationError, match="no loss named 'l2': expected one of nll, crps, cross_entropy"):
        loss_named("l2")


def test_refusals() -> None:
    for name in PER_ELEMENT:
        with pytest.raises(ShapeError, match=r"\[4, 3, 1\] and the target \[4, 3\]"):
            loss_named(name)(torch.zeros(4, 3, 1), torch.zeros(4, 3))
        with pytest.raises(ShapeError, match="expected both"):
            loss_named(name)(torch.zeros(4), torch.zeros(4))
    loss = loss_named("cross_entropy")
    for target in (torch.zeros(4, 3), torch.zeros(3, 4, dtype=torch.long), torch.zeros(4, 3, 5, dtype=torch.long)):
        with pytest.raises(ShapeError, match=r"expected logits \[time, batch, symbols\] and integers"):
            loss(torch.zeros(4, 3, 5), target)
    for wrong in (5, -1, -100):
        with pytest.raises(DataError, match=rf"the target {wrong}, expected 0 … 4"):
            loss(torch.zeros(4, 3, 5), torch.full((4, 3), wrong))


def test_losses_are_those_of_torch() -> None:
    output, target = torch.randn(4, 3, 5), torch.randn(4, 3, 5)
    for name, module in (("mse", nn.MSELoss()), ("mae", nn.L1Loss()), ("huber", nn.HuberLoss())):
        torch.testing.assert_close(loss_named(name)(output, target).mean(), module(output, target))


@pytest.mark.parametrize("kind", [torch.distributions.Normal, torch.distributions.Laplace])
@pytest.mark.parametrize("target", [-3.0, 0.2, 0.3, 2.5])
def test_crps_is_the_integral_of_the_squared_distance_of_distributions(kind: type, target: float) -> None:
    location, scale = torch.tensor(0.3, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)
    x = torch.linspace(-30, 30, 600_001, dtype=torch.float64)
    distance = (kind(location, scale).cdf(x) - (x >= target).double()).square()
    output = torch.distributions.Independent(kind(location.reshape(1, 1, 1), scale.reshape(1, 1, 1)), 1)
    found = loss_named("crps")(output, torch.full((1, 1, 1), target, dtype=torch.float64))
    assert found.item() == pytest.approx(torch.trapezoid(distance, x).item(), abs=2e-4)


def test_crps_adds_its_features_up_and_refuses_others() -> None:
    output = torch.distributions.Independent(torch.distributions.Laplace(torch.zeros(2, 3, 4), torch.ones(4)), 1)
    target = torch.randn(2, 3, 4)
    one = torch.distributions.Independent(torch.distributions.Laplace(torch.zeros(2, 3, 1), torch.ones(1)), 1)
    each = [loss_named("crps")(one, target[..., [index]]) for index in range(4)]
    torch.testing.assert_close(loss_named("crps")(output, target), torch.stack(each).sum(0))
    other = torch.distributions.Independent(torch.distributions.StudentT(torch.full((2, 3, 4), 3.0)), 1)
    with pytest.raises(UnsupportedError, match=r"crps is known of normal and laplace heads, the output is StudentT"):
        loss_named("crps")(other, target)
