"""Remembering which tensors came out of a layer, so that a last state is not taken for a sequence.

torch reads a 2-D input as one sequence without batch, [time, feature]. A last state `h[-1]` or last output
`output[-1]`, [batch, hidden], looks the same; but as a view it knows the tensor it was taken from.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from .._errors import ShapeError
from .._state import map_state
from .._types import State


class _Axes(NamedTuple):
    batch: tuple[int, int]
    """Size and stride of the batch axis."""
    other: tuple[int, int] | None
    """Of the axis beside it: an output's time, a state's layers; the state of a cell has none."""


_AXES: MutableMapping[Tensor, _Axes] = WeakIdKeyDictionary()
"""Kept beside the tensors and not on them, so that they are copied and written as any other."""


def mark_output(output: Tensor, batch_axis: int) -> Tensor:
    """`output` [time, batch, …], or with its first axes the other way round, remembered as such."""
    return _mark(output, batch_axis, 1 - batch_axis)


def mark_state(state: State, batch_axis: int) -> State:
    """`state`, [batch, …], or [layers, batch, …] for a batch axis of 1, its tensors remembered as such."""
    layers = 0 if batch_axis else None
    return map_state(lambda part: _mark(part, batch_axis, layers), state)


def refuse_last_state(input: Tensor) -> None:
    """Refuse a 2-D input that is known to have its batch, not time, on its first axis.

    Raises:
        ShapeError: with what to feed instead.
    """
    if torch.compiler.is_compiling():
        return
    axes = _AXES.get(input)
    if axes is None and input._base is not None:
        axes = _AXES.get(input._base)
    first = (input.shape[0], input.stride(0))
    if axes is not None and first == axes.batch and first != axes.other:
        raise ShapeError(
            f"input {list(input.shape)} is the last state or last output of another layer, [batch, hidden], and would "
            "be read as [time, feature] of one sequence: feed the whole output [time, batch, hidden], "
            "or unsqueeze(0) for a sequence of one step"
        )


def _mark(tensor: Tensor, batch_axis: int, other_axis: int | None) -> Tensor:
    if torch.compiler.is_compiling() or tensor.dim() <= batch_axis:
        return tensor
    batch = (tensor.shape[batch_axis], tensor.stride(batch_axis))
    other = None if other_axis is None else (tensor.shape[other_axis], tensor.stride(other_axis))
    _AXES[tensor if tensor._base is None else tensor._base] = _Axes(batch, other)
    return tensor
