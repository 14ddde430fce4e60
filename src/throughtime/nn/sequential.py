"""Layers one after the other, their states side by side."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .._errors import ShapeError
from .._types import State
from .contract import accepted, has_state, initial_state, streams


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
        return all(streams(layer) for layer in self.layers)

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
        """Each layer's own, `None` where a module has none."""
        return tuple(
            initial_state(layer, batch_size, device=device, dtype=dtype) if has_state(layer) else None
            for layer in self.layers
        )

    def forward(
        self, x: Tensor, state: State = None, *, lengths: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run all layers over x [time, batch, feature]; lengths and resets are passed to each that has a state.

        Raises:
            ShapeError: where the state is not of as many layers.
            UnsupportedError: where lengths or resets meet a layer that takes none, as torch.nn's.
        """
        states = (None,) * len(self) if state is None else state
        if not isinstance(states, (tuple, list)) or len(states) != len(self):
            given = f"{len(states)} states" if isinstance(states, (tuple, list)) else f"a {type(states).__name__}"
            raise ShapeError(
                f"Sequential got {given} for {len(self)} layers: expected one each, None for those without"
            )
        after = []
        for index, (layer, before) in enumerate(zip(self.layers, states, strict=True)):
            if has_state(layer):
                name = f"layer {index}, {type(layer).__name__},"
                x, before = layer(x, before, **accepted(layer, name, lengths=lengths, resets=resets))
            else:
                x, before = layer(x), None
            after.append(before)
        return x, tuple(after)
