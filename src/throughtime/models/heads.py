"""From features to a distribution over the next element."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Distribution, Independent, Laplace, Normal, StudentT
from torch.nn.functional import softplus

from .._errors import UnsupportedError
from ..nn import Linear

SMALLEST_SCALE = 1e-4


class Head(nn.Module, ABC):
    """Features [time, batch, in_features] → a distribution with batch shape [time, batch].

    Args:
        in_features: size of the features.
        size: what is predicted: the number of symbols, or of values a step.

    Where a head has a location, `base` is added to it: the head then predicts a change from there.
    """

    parameters_per_value: ClassVar[int]
    located: ClassVar[bool] = False
    discrete: ClassVar[bool] = False

    def __init__(self, in_features: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.linear = Linear(in_features, size * self.parameters_per_value)

    def forward(self, features: Tensor, base: Tensor | None = None) -> Distribution:
        """The distribution of each step, its location counted from `base` [time, batch, size] if that is given.

        Its numbers are float32, or float64 where the features are.
        """
        if base is not None and not self.located:
            raise UnsupportedError(f"{type(self).__name__} has no location to add a base to: use Normal or StudentT")
        raw = self.raw(features)
        return self.distribution(*raw) if base is None else self.distribution(raw[0] + base, *raw[1:])

    def raw(self, features: Tensor) -> tuple[Tensor, ...]:
        """The unconstrained parameters of `distribution`, each [..., size]."""
        outputs = self.linear(features)
        outputs = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        return outputs.unflatten(-1, (self.parameters_per_value, self.size)).unbind(-2)

    @abstractmethod
    def distribution(self, *raw: Tensor) -> Distribution:
        """The distribution whose unconstrained parameters are `raw`, each [time, batch, size]."""


class CategoricalHead(Head):
    """One of `size` symbols; targets are indices [time, batch].

    Example:
        >>> import torch
        >>> CategoricalHead(8, 5)(torch.zeros(3, 2, 8)).log_prob(torch.zeros(3, 2)).shape
        torch.Size([3, 2])
    """

    parameters_per_value = 1
    discrete = True

    def distribution(self, *raw: Tensor) -> Distribution:
        """From logits."""
        return Categorical(logits=raw[0], validate_args=checks(raw[0]))


class BernoulliHead(Head):
    """`size` independent binary values a step, such as the keys of a piano; targets [time, batch, size]."""

    parameters_per_value = 1

    def distribution(self, *raw: Tensor) -> Distribution:
        """From logits."""
        return Independent(Bernoulli(logits=raw[0], validate_args=checks(raw[0])), 1)


class _LocationScaleHead(Head):
    """Values that are independent given the past, each by a `law` with a location and a scale."""

    parameters_per_value = 2
    located = True
    law: ClassVar[type[Normal | Laplace]]

    def distribution(self, *raw: Tensor) -> Distribution:
        """From a location and a scale before softplus."""
        location, scale = raw
        checked = checks(location)
        return Independent(self.law(location, softplus(scale) + SMALLEST_SCALE, validate_args=checked), 1)


class NormalHead(_LocationScaleHead):
    """`size` values a step, normal and independent given the past; targets [time, batch, size]."""

    law = Normal


class LaplaceHead(_LocationScaleHead):
    """`size` values a step, Laplace and independent given the past: errors count as they are, not squared.

    Targets [time, batch, size].
    """

    law = Laplace


class StudentTHead(Head):
    """`size` values a step, Student's t and independent given the past: outliers cost less than under a normal.

    The degrees of freedom are learned and stay above 2, so that the variance exists. Targets [time, batch, size].

    Example:
        >>> import torch
        >>> StudentTHead(8, 1)(torch.zeros(3, 2, 8)).log_prob(torch.zeros(3, 2, 1)).shape
        torch.Size([3, 2])
    """

    parameters_per_value = 3
    located = True

    def distribution(self, *raw: Tensor) -> Distribution:
        """From a location, and a scale and degrees of freedom before softplus."""
        location, scale, freedom = raw
        checked = checks(location)
        scale = softplus(scale) + SMALLEST_SCALE
        return Independent(StudentT(2 + softplus(freedom), location, scale, validate_args=checked), 1)


def placed(distribution: Independent, level: Tensor, spread: Tensor) -> Independent:
    """The distribution of level + spread · x, where x has one that a head with a location gives.

    Example:
        >>> standard = NormalHead(8, 1).distribution(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1))
        >>> placed(standard, torch.tensor(3.0), torch.tensor(2.0)).mean
        tensor([[[3.]]])
    """
    inner = distribution.base_dist
    location, scale = level + spread * inner.loc, spread * inner.scale
    checked = checks(location)
    if isinstance(inner, StudentT):
        return Independent(StudentT(inner.df, location, scale, validate_args=checked), 1)
    return Independent(type(inner)(location, scale, validate_args=checked), 1)


def checks(outputs: Tensor) -> bool | None:
    """`validate_args` of a distribution: torch's default, but where there is no step, which its checks cannot take."""
    return None if outputs.numel() else False


HEADS: dict[str, type[Head]] = {
    "categorical": CategoricalHead,
    "bernoulli": BernoulliHead,
    "normal": NormalHead,
    "laplace": LaplaceHead,
    "student_t": StudentTHead,
}
