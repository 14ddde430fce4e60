"""What Transformers that read, write and do both are built of: pre-norm layers, and a way to tell positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from .._errors import ConfigurationError, ShapeError
from .._types import State
from ._checks import check_features
from .attention import MultiHeadAttention
from .linear import Linear
from .positions import Rotation, rotation, sinusoidal

POSITIONS = ("rotary", "sinusoidal", "none")

Mix: TypeAlias = Callable[[MultiHeadAttention, Tensor], tuple[Tensor, State]]
"""How a layer's self-attention is applied: the mixed steps, and the layer's state after them."""


class Projected(NamedTuple):
    """Keys and values [batch, head, source time, head_size] of a source, and which a sequence may see."""

    keys: Tensor
    values: Tensor
    mask: Tensor | None


class Block(nn.Module):
    """A layer: attention, attention over a source where there is one, and two products, each added to its input."""

    def __init__(
        self, size: int, heads: int, feedforward: int, dropout: float, source_size: int | None, **where: Any
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(size, **where)
        self.attention = MultiHeadAttention(size, heads, dropout=dropout, **where)
        if source_size is not None:
            self.source_norm = nn.LayerNorm(size, **where)
            self.source_attention = MultiHeadAttention(size, heads, source_size=source_size, dropout=dropout, **where)
        self.feedforward_norm = nn.LayerNorm(size, **where)
        self.feedforward = nn.Sequential(
            Linear(size, feedforward, **where), nn.GELU(), Linear(feedforward, size, **where)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mix: Mix, source: Projected | None = None) -> tuple[Tensor, State]:
        """x [time, batch, hidden], mixed over time, and what `mix` hands on."""
        mixed, state = mix(self.attention, self.attention_norm(x))
        x = x + self.dropout(mixed)
        if source is not None:
            layer = self.source_attention
            seen = layer.attend(layer.queries(self.source_norm(x)), source.keys, source.values, mask=source.mask)
            x = x + self.dropout(layer.combine(seen))
        return x + self.dropout(self.feedforward(self.feedforward_norm(x))), state


class Blocks(nn.Module):
    """A projection of the input, layers, and a last normalisation."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        num_heads: int,
        feedforward_size: int | None,
        dropout: float,
        positions: str,
        source_size: int | None = None,
        **where: Any,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        feedforward_size = 4 * hidden_size if feedforward_size is None else feedforward_size
        sizes = {"input_size": input_size, "num_layers": num_layers, "feedforward_size": feedforward_size}
        for setting, value in sizes.items():
            if value < 1:
                raise ConfigurationError(f"{name}({setting}={value}): expected at least 1")
        if hidden_size < 1 or num_heads < 1 or hidden_size % num_heads:
            raise ConfigurationError(
                f"{name}(hidden_size={hidden_size}, num_heads={num_heads}): the heads share the features equally, so "
                "hidden_size must be a multiple of num_heads"
            )
        if positions not in POSITIONS:
            raise ConfigurationError(f"{name}(positions={positions!r}): expected one of {', '.join(POSITIONS)}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.source_size = source_size
        self.positions = positions
        shape = (hidden_size, num_heads, feedforward_size, dropout, source_size)
        self.layers = nn.ModuleList(Block(*shape, **where) for _ in range(num_layers))
        self.head_size = hidden_size // num_heads
        if positions == "rotary" and self.head_size % 2:
            raise ConfigurationError(
                f"{name}(hidden_size={hidden_size}, num_heads={num_heads}, positions='rotary'): a head has "
                f"{self.head_size} features, and they are turned in pairs: use an even number, or 'sinusoidal'"
            )
        self.input = Linear(input_size, hidden_size, **where)
        self.norm = nn.LayerNorm(hidden_size, **where)
        self.dropout = nn.Dropout(dropout)

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"{self.input_size}, {self.hidden_size}, num_heads={self.num_heads}, positions={self.positions!r}"

    def _begin(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Rotation | None]:
        """The first layer's input, and by how much queries and keys are turned, at positions [time, batch or 1]."""
        hidden = self.input(x)
        if self.positions == "sinusoidal":
            hidden = hidden + sinusoidal(positions, self.hidden_size, dtype=hidden.dtype)
        turn = rotation(positions, self.head_size, dtype=x.dtype) if self.positions == "rotary" else None
        return self.dropout(hidden), turn

    def _check_input(self, x: Tensor) -> None:
        if x.dim() != 3:
            raise ShapeError(
                f"{type(self).__name__} got x {list(x.shape)}, expected [time, batch, {self.input_size}]; "
                "one sequence needs unsqueeze(1)"
            )
        check_features(type(self).__name__, x, self.input_size, self.input.weight)


def valid_steps(lengths: Tensor, time: int) -> Tensor:
    """Which steps are real, bool [time, batch]."""
    return torch.arange(time, device=lengths.device)[:, None] < lengths
