"""Remembering which tensors came out of a layer, so that a last state is not taken for a sequence.

torch reads a 2-D input as one sequence without batch, [time, feature]. A last state `h[-1]` or last output
`output[-1]`, [batch, hidden], looks the same; but as a view it knows the tensor it was taken from.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .._errors import ShapeError
from .._state import map_state
from .._types import State

_NAME = "_throughtime_axes"


class _Axes(NamedTuple):
    batch: tuple[int, int]
    """Size and stride of the batch axis."""
    time: tuple[int, int] | None
    """Of the time axis; a state has none."""


def mark_output(output: Tensor, batch_axis: int) -> Tensor:
    """`output` [time, batch, …], or with its first axes the other way round, remembered as such."""
    return _mark(output, batch_axis, 1 - batch_axis)


def mark_state(state: State, batch_axis: int) -> State:
    """`state`, its tensors remembered as having no time axis."""
    return map_state(lambda part: _mark(part, batch_axis, None), state)


def refuse_last_state(input: Tensor) -> None:
    """Refuse a 2-D input that is known to have its batch, not time, on its first axis.

    Raises:
        ShapeError: with what to feed instead.
    """
    if torch.compiler.is_compiling():
        return
    origin = input if hasattr(input, _NAME) else input._base
    axes: _Axes | None = getattr(origin, _NAME, None)
    first = (input.shape[0], input.stride(0))
    if axes is not None and first == axes.batch and first != axes.time:
        raise ShapeError(
            f"input {list(input.shape)} is the last state or last output of another layer, [batch, hidden], and would "
            "be read as [time, feature] of one sequence: feed the whole output [time, batch, hidden], "
            "or unsqueeze(0) for a sequence of one step"
        )


def _mark(tensor: Tensor, batch_axis: int, time_axis: int | None) -> Tensor:
    if torch.compiler.is_compiling() or tensor.dim() <= batch_axis:
        return tensor
    sizes = [None if axis is None else (tensor.shape[axis], tensor.stride(axis)) for axis in (batch_axis, time_axis)]
    origin = tensor if tensor._base is None else tensor._base
    setattr(origin, _NAME, _Axes(*sizes))  # type: ignore[arg-type]
    return tensor
