"""Backpropagation through the whole sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from .._state import detach
from .._types import Batch, Loss, Segment, State
from .strategy import Strategy, add_gradient, summed_loss


@dataclass(frozen=True)
class Full(Strategy):
    """One forward over the whole sequence, one backward through all of it: the reference for every other strategy.

    Exact; memory grows with the number of steps, since every step's activations are kept.

    Example:
        >>> import torch
        >>> model = torch.nn.RNN(2, 3)
        >>> batch = Batch(torch.randn(5, 4, 2), torch.randn(5, 4, 3))
        >>> squared_error = lambda output, target: (output - target).square().sum(-1)
        >>> [segment.stop for segment in Full().segments(model, batch, squared_error)]
        [5]

    References:
        Werbos, "Backpropagation through time: what it does and how to do it", Proc. IEEE 78 (1990).
    """

    exact = True
    unbiased = True
    memory_order = "O(T)"
    time_order = "1"
    when = "whenever the sequence fits into memory: the reference"
    whole = True

    def segments(self, model: nn.Module, batch: Batch, loss: Loss, carry: State = None) -> Iterator[Segment]:
        """One segment: all of it."""
        if 0 in batch.inputs.shape[:2]:
            return
        steps = batch.inputs.shape[1 if getattr(model, "batch_first", False) else 0]
        whole = batch.segment(0, batch.inputs.shape[0])
        loss_sum, count, state = summed_loss(model, whole, loss, self.unpacked(carry)[0])
        add_gradient(loss_sum)
        yield Segment(0, steps, loss_sum.detach(), count, detach(state))
