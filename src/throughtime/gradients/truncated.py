"""Backpropagation cut off after a number of steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from .._errors import ConfigurationError, UnsupportedError
from .._state import detach
from .._types import Batch, Loss, Segment, State
from .strategy import Strategy, add_gradient, summed_loss


@dataclass(frozen=True)
class Truncated(Strategy):
    """Every `k1` steps, the gradient of the last `k1` losses, flowing back to the start of those steps and no further.

    The state travels on; the gradient does not. With k1 = 3, the loss in each row reaches the steps marked:

        step      1 2 3 | 4 5 6 |
        loss ℓ_2  x x   |       |
        loss ℓ_3  x x x |       |
        loss ℓ_4        | x     |
        loss ℓ_6        | x x x |

    Memory grows with k1, not with the sequence. The gradient is biased: what a loss owes to steps before its segment
    is missing. The caller may step the optimiser at every segment.

    Args:
        k1: steps between two backward passes.
        k2: how far back a backward pass goes; equal to k1, which is the default.

    Raises:
        ConfigurationError: if k1 < 1.
        UnsupportedError: if k2 differs from k1.

    Example:
        >>> import torch
        >>> model = torch.nn.GRU(2, 3)
        >>> batch = Batch(torch.randn(5, 4, 2), torch.randn(5, 4, 3))
        >>> squared_error = lambda output, target: (output - target).square().sum(-1)
        >>> [(segment.start, segment.stop) for segment in Truncated(2).segments(model, batch, squared_error)]
        [(0, 2), (2, 4), (4, 5)]

    References:
        Williams & Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
        trajectories", Neural Computation 2 (1990).
    """

    k1: int
    k2: int | None = None

    exact = False
    unbiased = False
    memory = "O(k1)"

    def __post_init__(self) -> None:
        if self.k1 < 1:
            raise ConfigurationError(f"Truncated(k1={self.k1}): k1 is a number of steps, at least 1")
        if self.k2 not in (None, self.k1):
            raise UnsupportedError(
                f"Truncated(k1={self.k1}, k2={self.k2}): k2 must equal k1; Truncated({self.k2}) goes as far back"
            )

    def segments(self, model: nn.Module, batch: Batch, loss: Loss, carry: State = None) -> Iterator[Segment]:
        """Segments of `k1` steps, the last one shorter where they do not fit."""
        self.check(model)
        steps, state = batch.inputs.shape[0], carry
        for start in range(0, steps, self.k1):
            stop = min(start + self.k1, steps)
            loss_sum, count, state = summed_loss(model, batch.segment(start, stop), loss, detach(state))
            add_gradient(loss_sum)
            state = detach(state)
            yield Segment(start, stop, loss_sum.detach(), count, state)
