"""torch's own fused layers: whole stacks of layers and directions in one call."""

from __future__ import annotations

from typing import Any

import torch
from torch import _VF, Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from .._state import select
from .._types import Lengths, State

_FUNCTIONS: dict[str, Any] = {"rnn_tanh": _VF.rnn_tanh, "rnn_relu": _VF.rnn_relu, "gru": _VF.gru, "lstm": _VF.lstm}


def fused(
    kind: str,
    inputs: Tensor,
    state: State,
    weights: list[Tensor],
    *,
    bias: bool,
    num_layers: int,
    bidirectional: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    lengths: Lengths | None = None,
) -> tuple[Tensor, State]:
    """Run all layers over `inputs`.

    Args:
        kind: "rnn_tanh", "rnn_relu", "gru" or "lstm".
        inputs: [time, batch, feature], time ≥ 1.
        state: h, or (h, C) of an LSTM, [layers × directions, batch, hidden].
        weights: torch's flat list, layer after layer, direction after direction.
        lengths: integers [batch]; sequences are packed and unpacked here, and those of length 0 left out.

    Returns:
        The outputs [time, batch, directions × hidden], zero past the lengths, and the state after each one's last step.

    Example:
        >>> output, h = fused("gru", torch.ones(3, 1, 1), torch.ones(1, 1, 1), [torch.zeros(3, 1)] * 2,
        ...                   bias=False, num_layers=1)
        >>> h
        tensor([[[0.1250]]])
    """
    function = _FUNCTIONS[kind]
    if lengths is None:
        output, *parts = function(inputs, state, weights, bias, num_layers, dropout, training, bidirectional, False)
        return output, _as(state, parts)
    empty = lengths == 0
    inputs = inputs.masked_fill(empty[:, None], 0)  # NaN there would reach the weights' gradient as 0 × NaN
    packed = pack_padded_sequence(inputs, lengths.clamp(min=1).cpu(), enforce_sorted=False)
    order = packed.sorted_indices
    before = _reordered(state, order)
    data, *parts = function(
        packed.data, packed.batch_sizes, before, weights, bias, num_layers, dropout, training, bidirectional
    )
    output, _ = pad_packed_sequence(
        PackedSequence(data, packed.batch_sizes, order, packed.unsorted_indices), total_length=len(inputs)
    )
    after = _reordered(_as(state, parts), packed.unsorted_indices)
    return output.masked_fill(empty[:, None], 0), select(empty, state, after, batch_axis=1)


def _as(state: State, parts: list[Tensor]) -> State:
    return tuple(parts) if isinstance(state, tuple) else parts[0]


def _reordered(state: State, order: Tensor | None) -> State:
    if order is None:
        return state
    if isinstance(state, tuple):
        return tuple(torch.index_select(part, 1, order) for part in state)
    return torch.index_select(state, 1, order)
