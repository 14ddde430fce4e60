"""The gated recurrent unit (Cho et al. 2014, https://arxiv.org/abs/1406.1078), in both its forms."""

from __future__ import annotations

import torch
from torch import Tensor

from ._affine import affine, masked


def gru_step(
    x: Tensor,
    h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    gain_ih: Tensor | None = None,
    gain_hh: Tensor | None = None,
    *,
    reset_after: bool = True,
    recurrent_mask: Tensor | None = None,
) -> Tensor:
    """h_t = (1 − update) ⊙ new + update ⊙ h_{t−1}; weights hold the gates reset, update, new, in this order.

    new = tanh(W_in x + b_in + reset ⊙ (W_hn h + b_hn)) as in torch and cuDNN, or, with `reset_after=False`,
    tanh(W_in x + b_in + W_hn (reset ⊙ h) + b_hn) as in the paper.

    Args:
        x: [batch, input_size].
        h: [batch, hidden_size].
        gain_ih, gain_hh: [3 × hidden_size]; where given, the products are normalised, those of reset and update
            together and that of new by itself (Ba et al. 2016, supplement).
        recurrent_mask: multiplies h_{t−1} inside its products.

    Example:
        >>> zero = torch.zeros(3, 1)
        >>> gru_step(torch.ones(1, 1), torch.ones(1, 1), zero, zero)  # update is ½, new is 0
        tensor([[0.5000]])
    """
    seen = masked(h, recurrent_mask)
    from_x = _Blocks(weight_ih, bias_ih, gain_ih)
    from_h = _Blocks(weight_hh, bias_hh, gain_hh)
    x_reset_update, x_new = from_x.both(x)
    if reset_after:
        h_reset_update, h_new = from_h.both(seen)
        reset, update = torch.sigmoid(x_reset_update + h_reset_update).chunk(2, -1)
        new = torch.tanh(x_new + reset * h_new)
    else:
        reset, update = torch.sigmoid(x_reset_update + from_h.reset_update(seen)).chunk(2, -1)
        new = torch.tanh(x_new + from_h.new(reset * seen))
    return (1 - update) * new + update * h


class _Blocks:
    """The rows of a GRU's weight that make reset and update, and those that make new."""

    def __init__(self, weight: Tensor, bias: Tensor | None, gain: Tensor | None) -> None:
        self.weight, self.bias, self.gain = weight, bias, gain
        self.split = 2 * (len(weight) // 3)

    def both(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Both products, as one where nothing is normalised."""
        if self.gain is not None:
            return self.reset_update(value), self.new(value)
        product = affine(value, self.weight, self.bias)
        return product[..., : self.split], product[..., self.split :]

    def reset_update(self, value: Tensor) -> Tensor:
        return self._product(value, slice(None, self.split))

    def new(self, value: Tensor) -> Tensor:
        return self._product(value, slice(self.split, None))

    def _product(self, value: Tensor, rows: slice) -> Tensor:
        bias, gain = (None if part is None else part[rows] for part in (self.bias, self.gain))
        return affine(value, self.weight[rows], bias, gain)
