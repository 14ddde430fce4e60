"""The Transformer that reads whole sequences, in both directions."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from .._errors import UnsupportedError
from .._types import Lengths, Resets, State
from ._blocks import Blocks, valid_steps
from ._checks import check_lengths, check_resets
from ._marks import mark_output
from .attention import MultiHeadAttention
from .positions import Rotation


class TransformerEncoder(Blocks):
    """Self-attention in layers, each step seeing all steps of its sequence, later ones too.

    Layers are those of `Transformer`, pre-norm with a last norm. It has no state and cannot be fed in pieces.

    Args:
        input_size: features of x.
        hidden_size: features of each layer and of the output.
        num_layers: how many layers.
        num_heads: heads of a layer, which share hidden_size equally.
        feedforward_size: features between the two products of a layer; `None` for 4 × hidden_size.
        dropout: acts in training on the first layer's input, attention weights, and what each layer adds.
        positions: "rotary" (queries and keys are turned), "sinusoidal" (added to the first layer's input), or "none".

    Raises:
        ConfigurationError: for settings out of range, or heads that do not fit the features.

    Example:
        >>> import torch
        >>> layer = TransformerEncoder(3, 8, num_heads=2)
        >>> output, _ = layer(torch.randn(7, 2, 3), lengths=torch.tensor([7, 4]))
        >>> output.shape, output[4:, 1].abs().sum().item()
        (torch.Size([7, 2, 8]), 0.0)

    References:
        Vaswani et al., "Attention is all you need", NeurIPS 2017, https://arxiv.org/abs/1706.03762
    """

    streams = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 2,
        num_heads: int = 4,
        feedforward_size: int | None = None,
        dropout: float = 0.0,
        positions: str = "rotary",
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        shape = (input_size, hidden_size, num_layers, num_heads, feedforward_size, dropout, positions)
        super().__init__(*shape, device=device, dtype=dtype)

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
        """`None`: there is nothing to go on from."""
        return None

    def forward(
        self, x: Tensor, state: State = None, *, lengths: Lengths | None = None, resets: Resets | None = None
    ) -> tuple[Tensor, State]:
        """Run all layers over whole sequences x [time, batch, input_size].

        Args:
            state: must be `None`.
            lengths: integers [batch]; what stands past them is not looked at, and outputs there are zero.
            resets: bool [time, batch]; at these steps another sequence begins, and none looks into another.

        Returns:
            The outputs [time, batch, hidden_size], and `None`.

        Raises:
            ShapeError, ConfigurationError: where x, lengths or resets contradict the layer or one another.
            UnsupportedError: for a state.
        """
        self._check(x, state, lengths, resets)
        time, batch = x.shape[:2]
        if time == 0:
            return x.new_zeros(0, batch, self.hidden_size), None
        mask, padding = None, None
        steps = positions = torch.arange(time, device=x.device)[:, None]
        if lengths is not None:
            valid = valid_steps(lengths, time)
            mask, padding = valid.T[:, None, None], ~valid[..., None]
            x = x.masked_fill(padding, 0)
        if resets is not None:
            begun = torch.where(resets, steps, 0).cummax(0).values
            positions = steps - begun
            same = begun.T[:, None, :, None] == begun.T[:, None, None]
            mask = same if mask is None else mask & same
        hidden, turn = self._begin(x, positions)
        for layer in self.layers:
            hidden, _ = layer(hidden, partial(_look_around, mask, turn))
        output = self.norm(hidden)
        return mark_output(output if padding is None else output.masked_fill(padding, 0), 1), None

    def _check(self, x: Tensor, state: State, lengths: Any, resets: Any) -> None:
        name = type(self).__name__
        self._check_input(x)
        time, batch = x.shape[:2]
        if state is not None:
            raise UnsupportedError(f"{name} reads whole sequences and has no state: pass None, or use Transformer")
        if lengths is not None:
            check_lengths(name, lengths, time, batch, x.device)
        if resets is not None:
            check_resets(name, resets, time, batch, x.device)


def _look_around(
    mask: Tensor | None, turn: Rotation | None, attention: MultiHeadAttention, hidden: Tensor
) -> tuple[Tensor, State]:
    queries, (keys, values) = attention.queries(hidden, turn), attention.keys_values(hidden, turn)
    return attention.combine(attention.attend(queries, keys, values, mask=mask)), None
