"""Lower bounds of log p(x) = log ∫ p(x|z) p(z) dz, where the integral has no closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from ..._errors import ConfigurationError

LogLikelihood: TypeAlias = Callable[[Tensor], Tensor]
"""z [sample, batch, latent] → log p(x|z) in nats, [sample, batch]."""


@dataclass(frozen=True)
class EvidenceLowerBound:
    """E_q log p(x|z) − KL(q(z|x) ‖ p(z)) ≤ log p(x), by its two terms, each [batch] in nats.

    Args:
        reconstruction: E_q log p(x|z), estimated by samples of z.
        kl: KL(q(z|x) ‖ p(z)): how many nats z carries of x.

    Example:
        >>> import torch
        >>> bound = EvidenceLowerBound(torch.tensor([-3.0]), kl=torch.tensor([1.0]))
        >>> bound.value, bound.loss(kl_weight=0.5)
        (tensor([-4.]), tensor([3.5000]))
    """

    reconstruction: Tensor
    kl: Tensor

    @property
    def value(self) -> Tensor:
        """The bound."""
        return self.reconstruction - self.kl

    def loss(self, kl_weight: float = 1.0) -> Tensor:
        """What to minimise, [batch], unreduced: minus the bound, its KL term multiplied by `kl_weight`.

        A weight that grows from 0 to 1 in training keeps a strong decoder from ignoring z (Bowman et al., 2016,
        https://arxiv.org/abs/1511.06349). Below 1, minus the loss is no bound.
        """
        return kl_weight * self.kl - self.reconstruction


def evidence_lower_bound(
    posterior: Distribution, prior: Distribution, log_likelihood: LogLikelihood, samples: int = 1
) -> EvidenceLowerBound:
    """The evidence lower bound, its KL term in closed form and its other term by reparameterised samples.

    Args:
        posterior: q(z|x), of batch shape [batch].
        prior: p(z).
        log_likelihood: z [sample, batch, latent] → log p(x|z), [sample, batch].
        samples: how many z of each example.

    Raises:
        ConfigurationError: for fewer than one sample.

    Example:
        >>> import torch
        >>> from torch.distributions import Independent, Normal
        >>> prior = Independent(Normal(torch.zeros(1, 1), torch.ones(1, 1)), 1)  # x is z plus noise; x = 0
        >>> bound = evidence_lower_bound(prior, prior, lambda z: Normal(z[..., 0], 1.0).log_prob(torch.zeros(1)))
        >>> bound.kl
        tensor([0.])

    References:
        Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014, https://arxiv.org/abs/1312.6114.
    """
    z = posterior.rsample((_checked(samples),))
    return EvidenceLowerBound(log_likelihood(z).mean(0), kl_divergence(posterior, prior))


def importance_weighted_bound(
    posterior: Distribution, prior: Distribution, log_likelihood: LogLikelihood, samples: int
) -> Tensor:
    """E log (1/k) Σ_i p(x|z_i) p(z_i) / q(z_i|x) ≤ log p(x), [batch]: tighter the more samples k.

    With one sample it is the evidence lower bound; as k grows it approaches log p(x). It stays a bound in expectation:
    a single estimate can lie above. Arguments and errors as of `evidence_lower_bound`.

    Example:
        >>> import torch
        >>> from torch.distributions import Independent, Normal
        >>> prior = Independent(Normal(torch.zeros(1, 1), torch.ones(1, 1)), 1)
        >>> exact = Independent(Normal(torch.zeros(1, 1), torch.full((1, 1), 0.5**0.5)), 1)  # p(z | x = 0)
        >>> importance_weighted_bound(exact, prior, lambda z: Normal(z[..., 0], 1.0).log_prob(torch.zeros(1)), 3)
        tensor([-1.2655])

    References:
        Burda, Grosse & Salakhutdinov, "Importance weighted autoencoders", ICLR 2016, https://arxiv.org/abs/1509.00519.
    """
    z = posterior.rsample((_checked(samples),))
    weights = log_likelihood(z) + prior.log_prob(z) - posterior.log_prob(z)
    return weights.logsumexp(0) - math.log(samples)


def _checked(samples: int) -> int:
    if samples < 1:
        raise ConfigurationError(f"samples={samples}: expected at least 1 sample of z for each example")
    return samples
