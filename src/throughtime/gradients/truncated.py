"""Backpropagation cut off after a number of steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .._state import detach
from .._types import Batch, Loss, Segment, State
from ._meter import kept
from ._units import whole_number
from .strategy import Strategy, add_gradient, advance, forward, summed_loss


@dataclass(frozen=True)
class Truncated(Strategy):
    """Every `k1` steps, the gradient of the last `k1` losses, flowing back `k2` steps through the state.

    The state travels on; the gradient does not. With k1 = 3, and k2 = 3 (which is the default), 5 or 2, the loss in
    each row reaches the steps marked:

        step      1 2 3 | 4 5 6 |      1 2 3 | 4 5 6 |      1 2 3 | 4 5 6 |
        loss ℓ_1  x     |       |      x     |       |      x     |       |
        loss ℓ_2  x x   |       |      x x   |       |        x   |       |
        loss ℓ_3  x x x |       |      x x x |       |        x x |       |
        loss ℓ_4        | x     |        x x | x     |            | x     |
        loss ℓ_5        | x x   |        x x | x x   |            |   x   |
        loss ℓ_6        | x x x |        x x | x x x |            |   x x |

    At the boundary after step t the gradient through the state is cut at t − k2, so that the last loss reaches k2 steps
    and every other one less; where k2 < k1, losses up to t − k2 reach their own step alone. With k2 > k1 the steps
    before the segment are run once more, by the parameters as they are now, from the state that was kept where they
    began: the caller may step the optimiser at every segment. Dropout draws anew when they are.

    The gradient is biased: what a loss owes to earlier steps is missing. Steps are the batch's: a sequence that has
    ended stands still. The carry holds the state and, for k2 > k1, the steps to be run again, so that the gradient
    flows across the borders of a stream's batches as it does within them.

    Args:
        k1: steps between two backward passes.
        k2: how far back a backward pass goes; `None` for k1, and then no further than the segment's own beginning.

    Raises:
        ConfigurationError: if k1 or k2 is below 1.

    Example:
        >>> model = torch.nn.GRU(2, 3)
        >>> batch = Batch(torch.randn(5, 4, 2), torch.randn(5, 4, 3))
        >>> squared_error = lambda output, target: (output - target).square().sum(-1)
        >>> [(segment.start, segment.stop) for segment in Truncated(2, 4).segments(model, batch, squared_error)]
        [(0, 2), (2, 4), (4, 5)]

    References:
        Williams & Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
        trajectories", Neural Computation 2 (1990); Sutskever, "Training recurrent neural networks", PhD thesis,
        University of Toronto (2013).
    """

    k1: int
    k2: int | None = None

    exact = False
    unbiased = False
    memory_order = "O(max(k1, k2))"
    time_order = "1; at most (k1 + k2) / k1 where k2 > k1"
    when = "streams without end, where what matters is less than k2 steps back"

    def __post_init__(self) -> None:
        whole_number(self, *(("k1",) if self.k2 is None else ("k1", "k2")))

    def segments(self, model: nn.Module, batch: Batch, loss: Loss, carry: State = None) -> Iterator[Segment]:
        """Segments of `k1` steps, the last one shorter where they do not fit."""
        self.check(model)
        reach = self.k2 or self.k1
        state, past = self.unpacked(carry)
        past = past or []
        for start in range(0, batch.inputs.shape[0], self.k1):
            segment = batch.segment(start, min(start + self.k1, batch.inputs.shape[0]))
            steps = segment.inputs.shape[0]
            before = state
            if reach > self.k1:
                state = _replayed(model, past, reach - steps, state)
            alone = max(0, steps - reach)  # losses that reach their own step only
            sums, counts = [], []
            for begin, end in (*((step, step + 1) for step in range(alone)), (alone, steps)):
                loss_sum, count, state = summed_loss(model, segment.segment(begin, end), loss, state)
                add_gradient(loss_sum)
                state = detach(state)
                sums.append(loss_sum.detach())
                counts.append(count)
            carry = state
            if reach > self.k1:
                past = _extended(past, before, segment, reach)
                carry = kept(self.packed(state, past))
            yield Segment(start, start + steps, torch.stack(sums).sum(), torch.stack(counts).sum(), carry)


def _extended(past: list[dict[str, Any]], state: State, segment: Batch, reach: int) -> list[dict[str, Any]]:
    """The pieces of the past after one more segment, from the state before it; no more than the next one can reach.

    Plain dicts, as checkpoints and devices take them.
    """
    inputs = segment.inputs.clone()  # a view would keep its whole batch
    past = [*past, {"state": state, "inputs": inputs, "lengths": segment.lengths, "resets": segment.resets}]
    while sum(len(piece["inputs"]) for piece in past[1:]) >= reach - 1:
        past = past[1:]
    return past


def _replayed(model: nn.Module, past: list[dict[str, Any]], steps: int, state: State) -> State:
    """The state of now, the last `steps` having been run again: gradients flow back through them."""
    pieces, missing = [], steps
    for piece in reversed(past):
        if missing > 0:
            pieces.insert(0, piece)
            missing -= len(piece["inputs"])
    skipped = max(0, -missing)
    for index, piece in enumerate(pieces):
        inputs = piece["inputs"]
        batch = Batch(inputs, inputs, piece["lengths"], piece["resets"])
        if index == 0:
            state = piece["state"]
            if skipped:
                state, batch = advance(model, batch.segment(0, skipped), state), batch.segment(skipped, len(inputs))
        _, state = forward(model, batch, state)
    return state
