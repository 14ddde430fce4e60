"""States are trees of tensors; these few functions are all that is done to them without knowing their kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ._types import State


def map_state(function: Callable[..., Any], state: State, *others: State) -> State:
    """Apply `function` to each tensor of `state` (and of `others`, trees of the same form); the form is kept.

    Example:
        >>> map_state(lambda t: t + 1, {"h": torch.zeros(2), "count": (torch.ones(1),)})
        {'h': tensor([1., 1.]), 'count': (tensor([2.]),)}
    """
    if state is None:
        return None
    if isinstance(state, Tensor):
        return function(state, *others)
    if isinstance(state, dict):
        return {key: map_state(function, value, *(other[key] for other in others)) for key, value in state.items()}
    if isinstance(state, (tuple, list)):
        items = [map_state(function, *parts) for parts in zip(state, *others, strict=True)]
        return type(state)(*items) if hasattr(state, "_fields") else type(state)(items)
    raise TypeError(f"a state is made of tensors, tuples, lists and dicts; this one holds a {type(state).__name__}")


def detach(state: State) -> State:
    """The same state, cut from the graph that computed it."""
    return map_state(Tensor.detach, state)


def tracked(state: State) -> State:
    """The same numbers as leaves of a new graph, each with a gradient of its own if it can have one."""

    def leaf(part: Tensor) -> Tensor:
        return part.detach().requires_grad_(part.is_floating_point() or part.is_complex())

    return map_state(leaf, state)


def leaves(state: State, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a state with its path, as `a.0.b`."""
    if isinstance(state, Tensor):
        yield prefix, state
    elif isinstance(state, dict):
        for key, value in state.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(state, (tuple, list)):
        for index, value in enumerate(state):
            yield from leaves(value, f"{prefix}.{index}" if prefix else str(index))


def numbers(state: State) -> list[Tensor]:
    """Its tensors that can have a gradient, in the order of `leaves`.

    Example:
        >>> [part.shape for part in numbers({"h": torch.zeros(2, 3), "position": torch.tensor([1, 1])})]
        [torch.Size([2, 3])]
    """
    return [part for _, part in leaves(state) if part.is_floating_point()]


def size_of(state: State) -> int:
    """Bytes of a state's tensors.

    Example:
        >>> size_of({"h": torch.zeros(2, 3), "count": (torch.ones(1),)})
        28
    """
    return sum(part.numel() * part.element_size() for _, part in leaves(state))


def select(mask: Tensor, chosen: State, other: State, batch_axis: int = 0) -> State:
    """Per sequence, `chosen` where `mask` [batch] is true and `other` where it is not."""

    def pick(a: Tensor, b: Tensor) -> Tensor:
        shape = [1] * a.dim()
        shape[batch_axis] = -1
        return torch.where(mask.view(shape), a, b)

    return map_state(pick, chosen, other)
