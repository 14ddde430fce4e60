"""Divergences of one distribution from another, exact where there is a formula and by samples where there is none."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions import kl_divergence as closed_form

from .._errors import ConfigurationError, ShapeError


@dataclass(frozen=True)
class Divergence:
    """A divergence in nats, and how well it is known.

    Args:
        value: [batch].
        standard_error: of an estimate, [batch]; `None` where the value is exact.
        exact: whether the value is a closed form.
    """

    value: Tensor
    standard_error: Tensor | None
    exact: bool


def kl_divergence(p: Distribution, q: Distribution, samples: int = 1000) -> Divergence:
    """KL(p‖q) = E_p log(p(x) / q(x)) in nats, of the distributions' batch shape.

    By torch's closed form where there is one, else the mean over samples of p with its standard error. Where q gives a
    sample no probability, it is infinite, and the standard error is NaN. The gradient of an estimate reaches q always,
    and p where p can be reparameterised (`has_rsample`).

    Raises:
        ShapeError: where p and q are not over the same kind of element.
        ConfigurationError: where samples are needed and there are fewer than two.

    Example:
        >>> from torch.distributions import Normal, StudentT
        >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
        Divergence(value=tensor(0.5000), standard_error=None, exact=True)
        >>> kl_divergence(StudentT(3.0), Normal(0.0, 1.0)).exact
        False
    """
    if p.event_shape != q.event_shape:
        raise ShapeError(
            f"p is over elements {list(p.event_shape)} and q over {list(q.event_shape)}: expected the same; "
            "Independent(distribution, 1) takes the last batch axis into the element"
        )
    try:
        return Divergence(closed_form(p, q), None, exact=True)
    except NotImplementedError:
        return _sampled(p, q, samples)


def kl_from_data(log_prob: Tensor, entropy: Tensor | float = 0.0) -> Divergence:
    """KL(data‖model) = cross-entropy − entropy = E_data[−log p_model(x)] − H(data) in nats, from examples of the data.

    The cross-entropy is the mean surprise of the model. The entropy of real data is not known, but it is the same for
    all models: without it this is the cross-entropy, whose differences between models are those of their divergences.
    So minimising the divergence from the data is maximising the likelihood.

    Args:
        log_prob: the model's log_prob of examples drawn from the data, [example] or [example, batch].
        entropy: H(data) in nats, where it is known.

    Raises:
        ShapeError: for fewer than two examples.

    Example:
        >>> fair, biased = torch.distributions.Bernoulli(0.5), torch.distributions.Bernoulli(0.9)
        >>> data = torch.tensor([0.0, 1.0] * 500)
        >>> kl_from_data(biased.log_prob(data), fair.entropy()).value, kl_divergence(fair, biased).value
        (tensor(0.5108), tensor(0.5108))
    """
    if log_prob.dim() < 1 or len(log_prob) < 2:
        raise ShapeError(f"log_prob is {list(log_prob.shape)}: expected [example, …] of at least two examples")
    return _estimate(-log_prob - entropy)


def _sampled(p: Distribution, q: Distribution, samples: int) -> Divergence:
    if samples < 2:
        raise ConfigurationError(f"samples={samples}: expected at least 2, a standard error being needed")
    try:
        shape = torch.broadcast_shapes(p.batch_shape, q.batch_shape)
    except RuntimeError:
        raise ShapeError(
            f"p and q are of batches {list(p.batch_shape)} and {list(q.batch_shape)}: make them one size"
        ) from None
    p, q = p.expand(shape), q.expand(shape)
    x = p.rsample((samples,)) if p.has_rsample else p.sample((samples,))
    log_p = p.log_prob(x) if p.has_rsample else p.log_prob(x).detach()
    return _estimate(log_p - _log_prob_or_nothing(q, x))


def _log_prob_or_nothing(q: Distribution, x: Tensor) -> Tensor:
    """log q(x), minus infinity outside of q's support."""
    try:
        inside: Tensor = q.support.check(x)  # type: ignore[union-attr]
    except NotImplementedError:
        return q.log_prob(x)
    within = inside.reshape(*inside.shape, *[1] * len(q.event_shape))
    values = q.log_prob(torch.where(within, x, q.sample(x.shape[:1])))
    return values.masked_fill(~inside, -torch.inf)


def _estimate(values: Tensor) -> Divergence:
    return Divergence(values.mean(0), values.detach().std(0) / len(values) ** 0.5, exact=False)
