"""A layer one step at a time, in real time: for audio, control and whatever arrives while it is computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .._errors import ShapeError
from .._state import map_state
from .._types import State
from ..ops import PackedLayers
from ._step import without_masks

if TYPE_CHECKING:
    from ._stack import Stack


class Stepper(ABC):
    """What `layer.stepper()` gives: the layer as it is in evaluation, and the state that it is in.

    It holds a copy of the weights: after they have changed, make a new one. Nothing is differentiated. Of a float32
    layer that the native kernels can run, the weights are packed and a step allocates nothing; of any other layer the
    copy is called step by step.

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
    def step(self, x: Tensor | np.ndarray) -> Tensor:
        """Feed x [batch, input]; the output [batch, hidden], which the next step may overwrite: `.clone()` to keep it.

        To be kept is also what a later `backward` reads, as in `loss += head(stepper.step(x).clone())`.

        Raises:
            ShapeError: for another shape.
        """

    @abstractmethod
    def run(self, x: Tensor | np.ndarray) -> Tensor:
        """Feed x [time, batch, input], time first even if the layer is not; the outputs [time, batch, hidden].

        Raises:
            ShapeError: for another shape.
        """

    @property
    @abstractmethod
    def state(self) -> State:
        """A copy of the state, as the layer's `hx`; assigning sets it, and `None` is zeros, whole or in a pair (h, C).

        Raises:
            ShapeError: where a state of other shapes is assigned.
        """

    @state.setter
    @abstractmethod
    def state(self, state: State) -> None: ...

    def reset(self) -> None:
        """Begin a new sequence, from zeros."""
        self.state = None


class PackedStepper(PackedLayers, Stepper):
    """By the native kernels."""

    @property
    def state(self) -> State:  # noqa: D102 - as the base class says
        return self.h.clone() if self.c is None else (self.h.clone(), self.c.clone())

    @state.setter
    def state(self, state: State) -> None:
        _fill((self.h,) if self.c is None else (self.h, self.c), state)


class LayerStepper(Stepper):
    """By a copy of the layer, on whatever backend it takes."""

    def __init__(self, layer: Stack, batch_size: int) -> None:
        self._layer, self._batch_size = deepcopy(layer).eval(), batch_size
        self.reset()

    def step(self, x: Tensor | np.ndarray) -> Tensor:  # noqa: D102
        x = x if isinstance(x, Tensor) else torch.from_numpy(x)
        if x.shape != (self._batch_size, self._layer.input_size):
            expected = [self._batch_size, self._layer.input_size]
            raise ShapeError(f"step got {list(x.shape)}, expected {expected}, [batch, input]")
        return self.run(x.unsqueeze(0))[0]

    def run(self, x: Tensor | np.ndarray) -> Tensor:  # noqa: D102
        x = x if isinstance(x, Tensor) else torch.from_numpy(x)
        if x.dim() != 3 or x.shape[1:] != (self._batch_size, self._layer.input_size):
            expected = f"[time, {self._batch_size}, {self._layer.input_size}]"
            raise ShapeError(f"run got {list(x.shape)}, expected {expected}")
        batch_first = self._layer.batch_first
        with torch.no_grad():
            output, self._state = self._layer(x.transpose(0, 1) if batch_first else x, self._state)
        return output.transpose(0, 1) if batch_first else output

    @property
    def state(self) -> State:  # noqa: D102
        return map_state(torch.clone, self._state)

    @state.setter
    def state(self, state: State) -> None:
        zeros = self._layer.initial_state(self._batch_size)
        _fill(zeros if isinstance(zeros, tuple) else (zeros,), state)
        self._state = zeros


def _fill(parts: Sequence[Tensor], state: State) -> None:
    """Copy `state` into `parts`: h, and C of an LSTM; zeros where it is `None`.

    Raises:
        ShapeError: for a state of other shapes; then nothing is changed.
    """
    plain = without_masks(state)
    given = (None,) * len(parts) if plain is None else plain if isinstance(plain, (tuple, list)) else (plain,)
    found = [None if value is None else list(value.shape) for value in given]
    expected = [list(part.shape) for part in parts]
    if len(found) != len(expected) or any(a is not None and a != b for a, b in zip(found, expected, strict=True)):
        raise ShapeError(f"the state has shapes {found}, expected {expected}")
    for part, value in zip(parts, given, strict=True):
        part.zero_() if value is None else part.copy_(value.detach())
