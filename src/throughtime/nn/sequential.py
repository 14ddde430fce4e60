"""Layers one after the other, their states side by side."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .._errors import ShapeError, UnsupportedError
from .._types import State


class Sequential(nn.Module):
    """Layers of `output, state = f(x, state)`, and modules without state, fed one into the other.

    A layer has a state if it has `initial_state`, or is one of torch.nn's recurrent layers. The state of all is a
    tuple, `None` where a module has none.

    Example:
        >>> import torch
        >>> from throughtime.nn import GRU
        >>> layers = Sequential(nn.Linear(3, 4), nn.Tanh(), GRU(4, 5))
        >>> output, state = layers(torch.zeros(7, 2, 3))
        >>> output.shape, [part is None for part in state]
        (torch.Size([7, 2, 5]), [True, True, False])
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> nn.Module:
        return self.layers[index]

    @property
    def streams(self) -> bool:
        """Whether a sequence may be fed in pieces: whether every layer allows it."""
        return all(_streams(layer) for layer in self.layers)

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
        """Each layer's own."""
        return tuple(_initial_state(layer, batch_size, device=device, dtype=dtype) for layer in self.layers)

    def forward(
        self, x: Tensor, state: State = None, *, lengths: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run all layers over x [time, batch, feature]; lengths and resets are passed to each that has a state.

        Raises:
            ShapeError: where the state is not of as many layers.
            UnsupportedError: where lengths or resets meet a layer of torch.nn, which knows neither.
        """
        states = (None,) * len(self) if state is None else state
        if not isinstance(states, (tuple, list)) or len(states) != len(self):
            given = f"{len(states)} states" if isinstance(states, (tuple, list)) else f"a {type(states).__name__}"
            raise ShapeError(
                f"Sequential got {given} for {len(self)} layers: expected one each, None for those without"
            )
        extras = {name: value for name, value in (("lengths", lengths), ("resets", resets)) if value is not None}
        after = []
        for index, (layer, before) in enumerate(zip(self.layers, states, strict=True)):
            if not _has_state(layer):
                x, before = layer(x), None
            elif extras and _is_torch(layer):
                raise UnsupportedError(
                    f"layer {index} is torch.nn.{type(layer).__name__}, which has no {' and no '.join(extras)}: "
                    "use ours, or accelerate(model)"
                )
            else:
                x, before = layer(x, before, **extras)
            after.append(before)
        return x, tuple(after)


def _is_torch(layer: nn.Module) -> bool:
    return isinstance(layer, nn.RNNBase) and not hasattr(layer, "initial_state")


def _has_state(layer: nn.Module) -> bool:
    return isinstance(layer, nn.RNNBase) or hasattr(layer, "initial_state")


def _streams(layer: nn.Module) -> bool:
    if _is_torch(layer):
        return not (layer.bidirectional or layer.batch_first)
    return bool(getattr(layer, "streams", True))


def _initial_state(layer: nn.Module, batch_size: int, **where: Any) -> State:
    """The state before the first step, `None` where the layer has none or, of torch.nn, takes None for zeros."""
    if _is_torch(layer) or not _has_state(layer):
        return None
    given = {name: value for name, value in where.items() if value is not None}
    return layer.initial_state(batch_size, **given)  # type: ignore[operator]
