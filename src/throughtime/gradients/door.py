"""For people who keep their own training loop."""

from __future__ import annotations

import torch
from torch import nn

from .._errors import ConfigurationError, ShapeError, UnsupportedError
from .._types import Batch, Loss, Segment, State
from .full import Full
from .names import strategy_of
from .strategy import Strategy

_FULL = Full()


def backward(
    model: nn.Module, batch: Batch, loss: Loss, strategy: Strategy | str = _FULL, carry: State = None
) -> Segment:
    """Add the gradient of the batch's summed loss to `.grad`, by the strategy given.

    Args:
        model: keeps `output, state = model(x, state)`, x being [time, batch, …].
        batch: the sequences and what is wanted of them.
        loss: `loss(output, target) → [time, batch]`.
        strategy: how the gradient travels; by name too, as "truncated:32".
        carry: `.carry` of the last call, where this batch continues the same streams.

    Returns:
        A segment that spans the batch: divide the gradients by its `count` for a mean.

    Raises:
        ShapeError: for a batch without a step.
        UnsupportedError: for a model that is fitted without a gradient, as a Markov chain is.
        ConfigurationError: for what is no Batch, no loss or no strategy; beyond that, what the strategy raises.

    Example:
        >>> model = torch.nn.LSTM(2, 3)
        >>> batch = Batch(torch.randn(5, 4, 2), torch.randn(5, 4, 3))
        >>> done = backward(model, batch, lambda output, target: (output - target).square().sum(-1))
        >>> int(done.count), model.weight_hh_l0.grad is not None
        (20, True)
    """
    if not isinstance(batch, Batch):
        raise ConfigurationError(f"the batch is a {type(batch).__name__}: expected Batch(inputs, targets)")
    if not callable(loss):
        raise ConfigurationError(f"the loss is {loss!r}: expected a function, loss(output, target) → [time, batch]")
    if 0 in batch.inputs.shape[:2]:
        raise ShapeError(f"inputs are {list(batch.inputs.shape)}: a batch without a step has no gradient")
    if hasattr(model, "fit") and not any(parameter.requires_grad for parameter in model.parameters()):
        raise UnsupportedError(f"{type(model).__name__} has nothing a gradient changes: it is fitted, by model.fit(…)")
    segments = list(strategy_of(strategy).segments(model, batch, loss, carry))
    return Segment(
        segments[0].start,
        segments[-1].stop,
        torch.stack([segment.loss_sum for segment in segments]).sum(),
        torch.stack([segment.count for segment in segments]).sum(),
        segments[-1].carry,
    )
