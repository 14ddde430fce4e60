"""Ancestral sampling: each element is drawn given those before it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution

from .._errors import ConfigurationError
from .._types import State
from .decoding import Decoding


def ancestral(
    model: Callable[[Tensor, State], tuple[Distribution, State]],
    start: Callable[[Tensor | None], tuple[Distribution, State]],
    steps: int,
    first: Tensor | None = None,
    state: State = None,
    *,
    known: Tensor | None = None,
    decoding: Decoding,
) -> Tensor:
    """Draw x_1 … x_steps one after the other, each fed back for the next, [steps, batch, …].

    Args:
        model: `distribution, state = model(inputs [1, batch, …], state)`.
        start: `distribution, state = start(row)`, the first step where `first` is not given; `row` is known[0].
        steps: how many elements to draw.
        first: the input of the first step, [batch, …].
        state: the state before it.
        known: what is known in advance of the steps that are not in `first`, a row a step, appended to the elements.
        decoding: how each element is drawn.

    Raises:
        ConfigurationError: for less than one step.

    Example:
        >>> from torch.distributions import Categorical
        >>> def successor(x, state):  # of three symbols in a ring
        ...     return Categorical(torch.nn.functional.one_hot((x + 1) % 3, 3).double()), state
        >>> ancestral(successor, successor, 4, torch.tensor([0]), decoding=Decoding())[:, 0]
        tensor([1, 2, 0, 1])
    """
    if steps < 1:
        raise ConfigurationError(f"steps={steps}: at least one element is drawn")
    drawn: list[Tensor] = []
    ahead = iter(() if known is None else known)
    for _ in range(steps):
        distribution, state = start(next(ahead, None)) if first is None else model(first[None], state)
        element = decoding.draw(distribution)[0]
        drawn.append(element)
        row = next(ahead, None)
        first = element if row is None else torch.cat([element, row], -1)
    return torch.stack(drawn)
