"""Real-time recurrent learning: the exact gradient, forward in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jvp, vmap

from .._errors import UnsupportedError
from .._state import size_of
from .._types import State
from . import snap1
from ._online import Online, OnlineStep, add_to_gradient, pairs
from ._units import bytes_of, in_words

_TANGENTS = 1 << 24  # elements of parameters' tangents at a time


@dataclass(frozen=True)
class RTRL(Online):
    """The influence of every parameter on every number of the state, carried along: exact, and dear.

    With J_t = dh_t/dθ and D_t = ∂h_t/∂h_{t−1}, each step computes

        dℓ_t/dθ = ∂ℓ_t/∂θ + ∂ℓ_t/∂h_{t−1} J_{t−1},    J_t = D_t J_{t−1} + ∂h_t/∂θ

    J has P × B × S numbers, for P parameters, B sequences and S numbers of state each, and a step costs P forwards of
    one step: about H⁴ for H units. What it takes is checked before the first step. As long as the parameters stand
    still the sum over all steps is the gradient of `Full`.

    Where the cell declares `elementwise = True` (no unit's next state depends on another unit's) and each parameter
    acts on one unit, most of J is zero: the rest is kept alone, P × B numbers for each tensor of the state.

    Args:
        limit: how much memory J may take, in bytes or as "1GB".

    Raises:
        UnsupportedError: where it would take more, or the model's initial state is learnt.

    Example:
        >>> from throughtime import Batch, GRUCell, Recurrent
        >>> model = Recurrent(GRUCell(2, 3))
        >>> batch = Batch(torch.randn(5, 4, 2), torch.randn(5, 4, 3))
        >>> squared_error = lambda output, target: (output - target).square().sum(-1)
        >>> [segment.stop for segment in RTRL().segments(model, batch, squared_error)]
        [1, 2, 3, 4, 5]

    References:
        Williams & Zipser, "A learning algorithm for continually running fully recurrent neural networks", Neural
        Computation 1 (1989); Irie, Gopalakrishnan & Schmidhuber, "Exploring the promise and limits of real-time
        recurrent learning" (2023), https://arxiv.org/abs/2305.19044.
    """

    limit: int | str = "1GB"

    exact = True
    unbiased = True
    memory_order = "O(1): parameters × state"
    time_order = "parameters: one forward for each"
    when = "small networks that learn at every step, or element-wise ones"

    def __post_init__(self) -> None:
        bytes_of(self.limit, "limit")

    def begin(self, step: OnlineStep) -> State:
        """No influence of anything, all of it."""
        influences = step.influences()
        if step.elementwise and snap1.obstacle(step) is None:
            compact = snap1.begin(step)
            known = [entry is not None and bool((entry["unit"] >= 0).all()) for entry in compact["entries"]]
            if known == influences:
                return compact
        state = step.floats(step.state)
        counts = [parameter.numel() * found for parameter, found in zip(step.parameters, influences, strict=True)]
        needed = sum(counts) * size_of(state)
        if needed > bytes_of(self.limit, "limit"):
            raise UnsupportedError(
                f"RTRL(limit={self.limit!r}) would keep the influence of {sum(counts)} parameters on "
                f"{sum(part.numel() for part in state)} numbers of state, {in_words(needed)}, and run as many forwards "
                f"a step: use SnAp1() or UORO(), Truncated() or Checkpointed(), or raise limit={in_words(needed)!r}"
            )
        return tuple(tuple(part.new_zeros(count, *part.shape) for part in state) if count else None for count in counts)

    def credit(self, step: OnlineStep, account: State, cotangents: Sequence[Tensor | None]) -> None:
        """∂ℓ/∂h J."""
        if isinstance(account, dict):
            return snap1.credit(step, account, cotangents)
        for parameter, influence in zip(step.parameters, account, strict=True):
            if influence is None:
                continue
            for cotangent, own in pairs(cotangents, influence):
                add_to_gradient(parameter, (own.flatten(1) @ cotangent.flatten()).view_as(parameter))

    def follow(self, step: OnlineStep, account: State) -> State:
        """D J + ∂h/∂θ, by as many directional derivatives as there are parameters."""
        if isinstance(account, dict):
            return snap1.follow(step, account)
        return tuple(
            None if influence is None else _pushed(step, index, influence) for index, influence in enumerate(account)
        )


def _pushed(step: OnlineStep, index: int, influence: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The influence of one parameter tensor after the step."""
    parameter, state = step.parameters[index].detach(), step.floats(step.state)
    parameters = [other.detach() for other in step.parameters]

    def after(own: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        return tuple(step.after([*parameters[:index], own, *parameters[index + 1 :]], parts))

    def along(own: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        return jvp(after, (parameter, *state), (own.view_as(parameter), *parts))[1]

    count = parameter.numel()
    at_a_time = max(1, _TANGENTS // max(count, sum(part.numel() for part in state)))
    pieces = []
    for begin in range(0, count, at_a_time):
        some = slice(begin, min(begin + at_a_time, count))
        one_each = torch.zeros(some.stop - begin, count, dtype=parameter.dtype, device=parameter.device)
        one_each[:, some].fill_diagonal_(1)
        pieces.append(vmap(along, randomness="same")(one_each, *(part[some] for part in influence)))
    return tuple(map(torch.cat, zip(*pieces, strict=True)))
