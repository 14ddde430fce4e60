"""Truncation at random places, weighted so that nothing is missing on average."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .._errors import ConfigurationError
from .._state import detach, map_state
from .._types import Batch, Loss, Segment, State
from ._units import whole_number
from .strategy import Strategy, add_gradient, summed_loss


@dataclass(frozen=True)
class RandomTruncation(Strategy):
    """Backpropagation cut at random chunk borders; what passes a border uncut is scaled up to make good for the cuts.

    At a border that is k chunks after the last cut the gradient is cut with probability c_k, and else multiplied by
    1 / (1 − c_k): on average the gradient of the whole batch, whatever the lags in it. The price is variance. With

        c_k = decay / ((decay − 1) expected_length / chunk + k)

    pieces have the expected length on average, the probability of long ones falls like length^−decay, and the factors
    grow with the length as a power instead of exponentially. A batch's end is a cut, as it is for `Full`.

    Draws are made by torch's generator of the CPU.

    Args:
        chunk: steps between two borders.
        expected_length: steps between two cuts, on average.
        decay: how fast the probability of long pieces falls; above 3 it keeps the variance of tame gradients finite.

    Raises:
        ConfigurationError: for settings out of range.

    Example:
        >>> model = torch.nn.GRU(2, 3)
        >>> batch = Batch(torch.randn(12, 4, 2), torch.randn(12, 4, 3))
        >>> squared_error = lambda output, target: (output - target).square().sum(-1)
        >>> [segment.stop for segment in RandomTruncation(4, 4).segments(model, batch, squared_error)]  # always cut
        [4, 8, 12]

    References:
        Tallec & Ollivier, "Unbiasing truncated backpropagation through time" (2017), https://arxiv.org/abs/1705.08209.
    """

    chunk: int
    expected_length: int
    decay: float = 6.0

    exact = False
    unbiased = True
    memory_order = "O(expected_length) on average"
    time_order = "1"
    when = "lags of unknown length in data too long for an exact gradient"

    def __post_init__(self) -> None:
        whole_number(self, "chunk", "expected_length")
        if self.expected_length < self.chunk:
            raise ConfigurationError(
                f"RandomTruncation(chunk={self.chunk}, expected_length={self.expected_length}): expected a length "
                "of at least one chunk"
            )
        if not self.decay > 1:
            raise ConfigurationError(f"RandomTruncation(decay={self.decay}): expected above 1")

    def segments(self, model: nn.Module, batch: Batch, loss: Loss, carry: State = None) -> Iterator[Segment]:
        """A segment from each cut to the next."""
        self.check(model)
        steps, start, state = batch.inputs.shape[0], 0, self.unpacked(carry)[0]
        sums: list[Tensor] = []
        counts: list[Tensor] = []
        for begin in range(0, steps, self.chunk):
            stop = min(begin + self.chunk, steps)
            loss_sum, count, state = summed_loss(model, batch.segment(begin, stop), loss, state)
            sums.append(loss_sum)
            counts.append(count)
            probability = self.cut_probability(len(sums))
            if stop < steps and torch.rand((), device="cpu").item() >= probability:
                state = _amplified(state, 1 / (1 - probability))
                continue
            total, state = torch.stack(sums).sum(), detach(state)
            add_gradient(total)
            yield Segment(start, stop, total.detach(), torch.stack(counts).sum(), state)
            start, sums, counts = stop, [], []

    def cut_probability(self, chunks: int) -> float:
        """Of the border so many chunks after the last cut."""
        return self.decay / ((self.decay - 1) * self.expected_length / self.chunk + chunks)


def _amplified(state: State, factor: float) -> State:
    """The same numbers, whose gradients are multiplied on their way back."""

    def amplify(part: Tensor) -> Tensor:
        if not part.requires_grad:
            return part
        same = part.view_as(part)
        same.register_hook(lambda gradient: gradient * factor)
        return same

    return map_state(amplify, state)
