"""The simple recurrence (Elman 1990)."""

from __future__ import annotations

import torch
from torch import Tensor

from ._affine import affine, masked, normalised

_ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


def rnn_step(
    x: Tensor,
    h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    gain: Tensor | None = None,
    *,
    nonlinearity: str = "tanh",
    recurrent_mask: Tensor | None = None,
) -> Tensor:
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh), or relu of it.

    Args:
        x: [batch, input_size].
        h: [batch, hidden_size].
        gain: [hidden_size]; where given, the sum of the two products is normalised (Ba et al. 2016, equation 4).
        recurrent_mask: multiplies h_{t−1} inside its product.

    Example:
        >>> one = torch.ones(1, 1)
        >>> rnn_step(one, one, 0.5 * one, -0.5 * one)
        tensor([[0.]])
    """
    if gain is None:
        total = affine(x, weight_ih, bias_ih) + affine(masked(h, recurrent_mask), weight_hh, bias_hh)
    else:
        total = normalised(affine(x, weight_ih) + affine(masked(h, recurrent_mask), weight_hh), gain)
        if bias_ih is not None and bias_hh is not None:
            total = total + bias_ih + bias_hh
    return _ACTIVATIONS[nonlinearity](total)
