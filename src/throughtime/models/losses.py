"""Losses by name: each `loss(output, target) → [time, batch]`, unreduced."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal
from torch.nn import functional

from .._errors import ConfigurationError, DataError, ShapeError, UnsupportedError
from .._types import Loss
from .sequence import last_steps, negative_log_likelihood


def mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """(output − target)², averaged over the features; without a feature axis, of the values themselves.

    Example:
        >>> mean_squared_error(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 3.0]]]))
        tensor([[5.]])
    """
    return _averaged(_errors(output, target).square())


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """(output − target)², summed over the features: twice the −log p of normals of variance 1, but for a constant.

    Example:
        >>> squared_error(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 3.0]]]))
        tensor([[10.]])
    """
    return _summed(_errors(output, target).square())


def mean_absolute_error(output: Tensor, target: Tensor) -> Tensor:
    """|output − target|, averaged over the features; least where the output is the median.

    Example:
        >>> mean_absolute_error(torch.zeros(1, 1, 2), torch.tensor([[[1.0, -3.0]]]))
        tensor([[2.]])
    """
    return _averaged(_errors(output, target).abs())


def huber(output: Tensor, target: Tensor) -> Tensor:
    """½ e² where the error e is within 1, |e| − ½ beyond, averaged over the features: outliers count linearly.

    Example:
        >>> huber(torch.zeros(1, 1, 2), torch.tensor([[[0.5, -3.0]]]))
        tensor([[1.3125]])
    """
    _check_alike(output, target)
    return _averaged(functional.huber_loss(output, target, reduction="none"))


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """−log softmax(output)[target] in nats, from logits [time, batch, symbols] and symbols [time, batch].

    Raises:
        ShapeError: for other shapes, or targets that are no integers.
        DataError: for a target that is no symbol; none is left out.

    Example:
        >>> cross_entropy(torch.zeros(1, 1, 4), torch.tensor([[2]]))  # ln 4
        tensor([[1.3863]])
    """
    if output.dim() != 3 or output.shape[:2] != target.shape or target.is_floating_point():
        raise ShapeError(
            f"cross_entropy got an output {list(output.shape)} for a target {list(target.shape)} of {target.dtype}: "
            "expected logits [time, batch, symbols] and integers [time, batch]"
        )
    wrong = (target < 0) | (target >= output.shape[-1])
    if not torch.compiler.is_compiling() and wrong.any():
        raise DataError(
            f"cross_entropy got the target {target[wrong][0].item()}, expected 0 … {output.shape[-1] - 1}, as many as "
            "the output has logits; give weights 0 to steps that are to be left out"
        )
    return -output.log_softmax(-1).gather(-1, target.long()[..., None])[..., 0]


def binary_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """−log p(target) in nats of logits, summed over the features; targets are 0, 1 or probabilities.

    Example:
        >>> binary_cross_entropy(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 0.0]]]))  # 2 ln 2
        tensor([[1.3863]])
    """
    _check_alike(output, target)
    target = target.to(output.dtype)
    return _summed(functional.binary_cross_entropy_with_logits(output, target, reduction="none"))


def continuous_ranked_probability_score(output: Distribution, target: Tensor) -> Tensor:
    """CRPS of a distribution of values, summed over the features: its mean absolute error, sharpness counted in.

    As a loss it weighs a step by the size of its error; the likelihood weighs all alike, relative to their scales.

    Where the output has the last steps alone, as a `DirectForecaster` gives them, the others lose nothing.

    Raises:
        UnsupportedError: for others than normal and Laplace distributions, whose score has no closed form here.

    Example:
        >>> sure = torch.distributions.Independent(torch.distributions.Laplace(torch.zeros(1, 1, 1), 1e-6), 1)
        >>> continuous_ranked_probability_score(sure, torch.ones(1, 1, 1))
        tensor([[1.0000]])

    References:
        Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102 (2007); for the
        Laplace distribution Jordan, Krüger and Lerch, J. Stat. Softw. 90(12) (2019).
    """
    inner = getattr(output, "base_dist", output)
    error = target[len(target) - output.batch_shape[0] :] - inner.mean
    if isinstance(inner, Laplace):
        away = error.abs() / inner.scale
        score = inner.scale * (away + torch.exp(-away) - 0.75)
    elif isinstance(inner, Normal):
        z = error / inner.scale
        density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
        score = inner.scale * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))
    else:
        raise UnsupportedError(
            f"crps is known of normal and laplace heads, the output is {type(inner).__name__}: choose one of these"
        )
    return last_steps(_summed(score), len(target))


LOSSES: dict[str, Loss] = {
    "nll": negative_log_likelihood,
    "crps": continuous_ranked_probability_score,
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "mse": mean_squared_error,
    "squared_error": squared_error,
    "mae": mean_absolute_error,
    "huber": huber,
}


def loss_named(name: str) -> Loss:
    """The loss of that name, `loss(output, target) → [time, batch]`, unreduced.

    | name | of | over the features |
    |---|---|---|
    | nll | a distribution: −log p(target) in nats | the distribution's own |
    | crps | a normal or Laplace distribution: the continuous ranked probability score | summed |
    | cross_entropy | logits [time, batch, symbols] and symbols [time, batch], in nats | |
    | binary_cross_entropy | logits and 0, 1 or probabilities, in nats | summed |
    | mse | squared errors | averaged |
    | squared_error | squared errors | summed |
    | mae | absolute errors | averaged |
    | huber | squared errors, beyond 1 absolute ones | averaged |

    Raises:
        ConfigurationError: for another name.

    Example:
        >>> loss_named("mse")(torch.zeros(3, 2, 5), torch.ones(3, 2, 5)).shape
        torch.Size([3, 2])
    """
    if name not in LOSSES:
        raise ConfigurationError(f"there is no loss named {name!r}: expected one of {', '.join(LOSSES)}")
    return LOSSES[name]


def _errors(output: Tensor, target: Tensor) -> Tensor:
    _check_alike(output, target)
    return output - target


def _averaged(values: Tensor) -> Tensor:
    return values.mean(-1) if values.dim() > 2 else values


def _summed(values: Tensor) -> Tensor:
    return values.sum(-1) if values.dim() > 2 else values


def _check_alike(output: Tensor, target: Tensor) -> None:
    if output.shape != target.shape or output.dim() not in (2, 3):
        raise ShapeError(
            f"the output is {list(output.shape)} and the target {list(target.shape)}: expected both "
            "[time, batch, feature], or both [time, batch]"
        )
