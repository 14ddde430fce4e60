"""What variational autoencoders of vectors and of sequences have in common."""

from __future__ import annotations

from itertools import pairwise
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from ..._errors import ConfigurationError, DataError, UnsupportedError
from ...nn import Linear


def perceptron(sizes: tuple[int, ...]) -> nn.Sequential:
    """Hidden layers of these sizes, the first being that of the input, each followed by a rectifier."""
    return nn.Sequential(*(layer for before, after in pairwise(sizes) for layer in (Linear(before, after), nn.ReLU())))


def standard_normal(size: int, like: Tensor) -> Distribution:
    """The prior p(z) of `size` latent values."""
    return Independent(Normal(like.new_zeros(size), like.new_ones(size)), 1)


def check_sizes(name: str, **sizes: int) -> None:
    """Each must be at least 1."""
    wrong = {key: size for key, size in sizes.items() if size < 1}
    if wrong:
        given = ", ".join(f"{key}={size}" for key, size in wrong.items())
        raise ConfigurationError(f"{name}({given}): expected at least 1")


def check_binary(name: str, x: Tensor) -> None:
    """A Bernoulli head gives probabilities of 0 and 1 alone."""
    wrong = (x != 0) & (x != 1)
    if not torch.compiler.is_compiling() and wrong.any():
        raise DataError(
            f"{name} got the value {x[wrong][0].item():g}, but a Bernoulli head gives probabilities of 0 and 1 alone: "
            "binarise x, as by torch.bernoulli(x), or use head='normal'"
        )


def refuse_log_prob(name: str) -> NoReturn:
    """There is no exact likelihood."""
    raise UnsupportedError(
        f"{name} has no exact log_prob: log ∫ p(x|z) p(z) dz has no closed form; elbo(x).value and "
        "importance_weighted_bound(x, samples) are lower bounds of it"
    )
