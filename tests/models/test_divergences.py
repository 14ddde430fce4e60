"""Divergences: closed forms against loops and integrals, estimates against both."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.distributions import (
    Bernoulli,
    Categorical,
    Exponential,
    Independent,
    MixtureSameFamily,
    Normal,
    Poisson,
    StudentT,
    Uniform,
)

from throughtime import ConfigurationError, ShapeError
from throughtime.models import NADE, kl_divergence, kl_from_data


def two_humps() -> MixtureSameFamily:
    means = torch.tensor([-1.0, 2.0]).double()
    return MixtureSameFamily(Categorical(torch.tensor([0.3, 0.7]).double()), Normal(means, 0.5))


def integral(p, q) -> float:
    x = torch.arange(-40, 40, 0.001).double()
    log_p = p.log_prob(x)
    return (log_p.exp() * (log_p - q.log_prob(x))).sum().item() * 0.001


def test_closed_forms() -> None:
    p, q = Normal(torch.tensor([0.0, 1.0]), 2.0), Normal(torch.tensor([0.5, 0.5]), 1.5)
    got = kl_divergence(p, q)
    assert got.exact
    assert got.standard_error is None
    wanted = [math.log(1.5 / 2) + (4 + (m - 0.5) ** 2) / (2 * 1.5**2) - 0.5 for m in (0.0, 1.0)]
    assert got.value.tolist() == pytest.approx(wanted, rel=1e-6)
    whole = kl_divergence(Independent(p, 1), Independent(q, 1))
    assert whole.exact
    assert whole.value.item() == pytest.approx(sum(wanted), rel=1e-6)
    a, b = Categorical(torch.tensor([0.5, 0.5, 0.0])), Categorical(torch.tensor([0.25, 0.25, 0.5]))
    assert kl_divergence(a, b).value.item() == pytest.approx(math.log(2))
    assert kl_divergence(b, a).value.item() == math.inf


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (two_humps(), Normal(torch.tensor(0.5).double(), 2.0)),
        (Normal(torch.tensor(0.5).double(), 1.0), two_humps()),
        (StudentT(torch.tensor(9.0).double()), StudentT(torch.tensor(3.0).double(), 1.0)),
    ],
    ids=["from a mixture", "to a mixture", "Student's t"],
)
def test_estimates_against_integrals(p, q) -> None:
    torch.manual_seed(0)
    got = kl_divergence(p, q, samples=20_000)
    assert not got.exact
    assert abs(got.value.item() - integral(p, q)) < 4 * got.standard_error.item()
    torch.manual_seed(0)
    x = p.sample((20_000,))
    ratios = p.log_prob(x) - q.log_prob(x)
    assert got.standard_error.item() == pytest.approx((ratios.var() / 20_000).sqrt().item())


def test_the_standard_error_is_that_of_many_estimates() -> None:
    p, q = StudentT(torch.full((400,), 9.0)), Normal(torch.zeros(400), 1.5)
    torch.manual_seed(0)
    got = kl_divergence(p, q, samples=500)
    assert got.value.shape == got.standard_error.shape == (400,)
    assert got.value.std().item() == pytest.approx(got.standard_error.mean().item(), rel=0.2)


def test_batches_are_broadcast() -> None:
    p = Independent(StudentT(torch.full((3, 1, 2), 9.0)), 1)
    q = Independent(Normal(torch.zeros(4, 2), 1.5), 1)
    assert kl_divergence(p, q, samples=10).value.shape == (3, 4)


def test_gradients_of_estimates() -> None:
    mean = torch.tensor(0.5).double().requires_grad_()
    torch.manual_seed(0)
    kl_divergence(two_humps(), Normal(mean, 2.0), samples=50_000).value.backward()
    assert mean.grad.item() == pytest.approx((0.5 - (-0.3 + 1.4)) / 4, abs=0.01)  # E_p of (mean − x) / 4
    mean.grad = None
    kl_divergence(Normal(mean, 1.0), two_humps(), samples=50_000).value.backward()
    ahead, behind = (integral(Normal(mean.detach() + h, 1.0), two_humps()) for h in (1e-4, -1e-4))
    assert mean.grad.item() == pytest.approx((ahead - behind) / 2e-4, abs=0.1)
    share = torch.tensor([0.3, 0.7]).double().requires_grad_()
    mixture = MixtureSameFamily(Categorical(share), Normal(torch.tensor([-1.0, 2.0]).double(), 0.5))
    assert not kl_divergence(mixture, Normal(torch.tensor(0.0).double(), 1.0)).value.requires_grad


def test_where_q_gives_no_probability() -> None:
    torch.manual_seed(0)
    outside = kl_divergence(StudentT(torch.tensor([3.0, 9.0])), Exponential(torch.ones(2)))
    assert outside.value.tolist() == [math.inf] * 2
    assert outside.standard_error.isnan().all()
    inside = kl_divergence(Exponential(torch.ones(1)), StudentT(torch.full((1,), 3.0)))
    assert inside.value.isfinite().all()
    two = Independent(StudentT(torch.full((1, 2), 3.0)), 1), Independent(Uniform(torch.zeros(1, 2), 1.0), 1)
    assert kl_divergence(*two).value.tolist() == [math.inf]


def test_discrete_estimates() -> None:
    torch.manual_seed(0)
    p, q = Poisson(torch.tensor(2.0)), MixtureSameFamily(Categorical(torch.ones(2)), Poisson(torch.tensor([1.0, 4.0])))
    counts = torch.arange(60.0)
    wanted = (p.log_prob(counts).exp() * (p.log_prob(counts) - q.log_prob(counts))).sum().item()
    got = kl_divergence(p, q, samples=10_000)
    assert abs(got.value.item() - wanted) < 4 * got.standard_error.item()


def test_from_data_is_cross_entropy_less_entropy() -> None:
    torch.manual_seed(0)
    data, model = NADE(4, 8), NADE(4, 8)
    for parameter in [*data.parameters(), *model.parameters()]:
        parameter.data = torch.randn(parameter.shape)
    every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))
    p, log_ratio = data.log_prob(every).exp(), data.log_prob(every) - model.log_prob(every)
    entropy = -(p * p.log()).sum()
    x = data.sample(20_000)
    got = kl_from_data(model.log_prob(x), entropy)
    assert abs((got.value - (p * log_ratio).sum()).item()) < 4 * got.standard_error.item()
    assert not got.exact
    torch.testing.assert_close(kl_from_data(model.log_prob(x)).value, got.value + entropy)
    batched = kl_from_data(torch.stack([model.log_prob(x), data.log_prob(x)], 1), entropy)
    assert batched.value.shape == (2,)
    assert abs(batched.value[1].item()) < 4 * batched.standard_error[1].item()


def test_refusals() -> None:
    with pytest.raises(ShapeError, match=r"elements \[2\] and q over \[\]"):
        kl_divergence(Independent(Normal(torch.zeros(2), 1.0), 1), Normal(torch.zeros(2), 1.0))
    with pytest.raises(ShapeError, match=r"batches \[2\] and \[3\]"):
        kl_divergence(StudentT(torch.ones(2)), StudentT(torch.ones(3)))
    with pytest.raises(ConfigurationError, match="samples=1: expected at least 2"):
        kl_divergence(StudentT(3.0), Normal(0.0, 1.0), samples=1)
    for wrong in (torch.tensor(1.0), torch.ones(1)):
        with pytest.raises(ShapeError, match="at least two examples"):
            kl_from_data(wrong)
    assert kl_divergence(Bernoulli(0.5), Bernoulli(0.5), samples=0).value == 0  # not needed
