"""A layer one step at a time, in real time: for audio, control and whatever arrives while it is computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .._errors import ShapeError
from .._state import map_state
from .._types import State
from ..ops import PackedLayers

if TYPE_CHECKING:
    from ._stack import Stack


class Stepper(ABC):
    """What `layer.stepper()` gives: the layer as it is in evaluation, and the state that it is in.

    Nothing is differentiated. With the native kernels the weights are packed once, so that later changes of the layer
    are not seen, and a step allocates nothing.

    Example:
        >>> from throughtime.nn import GRU
        >>> layer = GRU(3, 5)
        >>> stepper = layer.stepper()
        >>> x = torch.randn(4, 1, 3)
        >>> outputs = torch.stack([stepper.step(row).clone() for row in x])
        >>> bool(torch.allclose(outputs, layer(x)[0], atol=1e-6))
        True
    """

    @abstractmethod
    def step(self, x: Tensor) -> Tensor:
        """Feed x [batch, input]; the output [batch, hidden], which the next step may overwrite: `.clone()` to keep it.

        Raises:
            ShapeError: for another shape.
        """

    @abstractmethod
    def run(self, x: Tensor) -> Tensor:
        """Feed x [time, batch, input]; the outputs [time, batch, hidden].

        Raises:
            ShapeError: for another shape.
        """

    @property
    @abstractmethod
    def state(self) -> State:
        """A copy of the state, as the layer's `hx`; assigning sets it, and `None` is zeros."""

    @state.setter
    @abstractmethod
    def state(self, state: State) -> None: ...

    def reset(self) -> None:
        """Begin a new sequence, from zeros."""
        self.state = None


class PackedStepper(Stepper):
    """By the native kernels."""

    def __init__(self, layers: PackedLayers) -> None:
        self._layers = layers
        self.step = layers.step  # no call in between: a step takes less time than two of Python's calls
        self.run = layers.run

    def step(self, x: Tensor) -> Tensor:  # noqa: D102 - as the base class says
        return self._layers.step(x)

    def run(self, x: Tensor) -> Tensor:  # noqa: D102
        return self._layers.run(x)

    @property
    def state(self) -> State:  # noqa: D102
        h, c = self._layers.h, self._layers.c
        return h.clone() if c is None else (h.clone(), c.clone())

    @state.setter
    def state(self, state: State) -> None:
        h, c = self._layers.h, self._layers.c
        parts = (h,) if c is None else (h, c)
        given = state if isinstance(state, (tuple, list)) else (state,) * len(parts)
        _check_shapes(given, parts)
        for part, value in zip(parts, given, strict=True):
            part.zero_() if value is None else part.copy_(value.detach())


class LayerStepper(Stepper):
    """By the layer itself, on whatever backend it takes."""

    def __init__(self, layer: Stack, batch_size: int) -> None:
        self._layer, self._batch_size = layer, batch_size
        self.reset()

    def step(self, x: Tensor) -> Tensor:  # noqa: D102
        if x.shape != (self._batch_size, self._layer.input_size):
            raise ShapeError(f"step got {list(x.shape)}, expected {[self._batch_size, self._layer.input_size]}")
        return self.run(x.unsqueeze(0))[0]

    def run(self, x: Tensor) -> Tensor:  # noqa: D102
        if x.dim() != 3 or x.shape[1:] != (self._batch_size, self._layer.input_size):
            expected = f"[time, {self._batch_size}, {self._layer.input_size}]"
            raise ShapeError(f"run got {list(x.shape)}, expected {expected}")
        training = self._layer.training
        try:
            with torch.no_grad():
                output, self._state = self._layer.eval()(x, self._state)
        finally:
            self._layer.train(training)
        return output

    @property
    def state(self) -> State:  # noqa: D102
        return map_state(torch.clone, self._state)

    @state.setter
    def state(self, state: State) -> None:
        zeros = self._layer.initial_state(self._batch_size)
        if state is not None:
            _check_shapes(*(part if isinstance(part, (tuple, list)) else (part,) for part in (state, zeros)))
        self._state = zeros if state is None else map_state(lambda part: part.detach().clone(), state)


def _check_shapes(given: Any, wanted: Any) -> None:
    found = [None if part is None else list(part.shape) for part in given]
    expected = [list(part.shape) for part in wanted]
    if len(found) != len(expected) or any(a is not None and a != b for a, b in zip(found, expected, strict=True)):
        raise ShapeError(f"the state has shapes {found}, expected {expected}")
