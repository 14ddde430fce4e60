"""Long short-term memory (Hochreiter & Schmidhuber 1997), with forget gate (Gers et al. 2000)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ._affine import affine, masked, normalised


def lstm_step(
    x: Tensor,
    state: tuple[Tensor, Tensor],
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    weight_hr: Tensor | None = None,
    *,
    peephole_input: Tensor | None = None,
    peephole_forget: Tensor | None = None,
    peephole_output: Tensor | None = None,
    gain_ih: Tensor | None = None,
    gain_hh: Tensor | None = None,
    gain_memory: Tensor | None = None,
    shift_memory: Tensor | None = None,
    recurrent_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """C_t = forget ⊙ C_{t−1} + input ⊙ cell, h_t = output ⊙ tanh(C_t); the weights hold the gates in torch's order.

    Args:
        x: [batch, input_size].
        state: h [batch, hidden_size or proj_size] and the memory C [batch, hidden_size].
        weight_hr: [proj_size, hidden_size]; where given, h_t is projected by it (Sak et al. 2014).
        peephole_input, peephole_forget, peephole_output: [hidden_size]; what the gates see of the memory: the first two
            of C_{t−1}, the last of C_t (Gers & Schmidhuber 2000).
        gain_ih, gain_hh: [4 × hidden_size]; where given, the products are normalised, and with `gain_memory` and
            `shift_memory`, [hidden_size], so is the memory that the output sees (Ba et al. 2016, equations 20 to 22).
        recurrent_mask: multiplies h_{t−1} inside its product.

    Example:
        >>> zero, one = torch.zeros(4, 1), torch.ones(1, 1)
        >>> h, memory = lstm_step(one, (one, one), zero, zero)  # all gates are ½, the cell's candidate is 0
        >>> memory
        tensor([[0.5000]])
    """
    h, memory = state
    from_x = affine(x, weight_ih, bias_ih, gain_ih)
    from_h = affine(masked(h, recurrent_mask), weight_hh, bias_hh, gain_hh)
    input_, forget, cell, output = (from_x + from_h).chunk(4, -1)
    if peephole_input is not None and peephole_forget is not None:
        input_ = input_ + peephole_input * memory
        forget = forget + peephole_forget * memory
    memory = torch.sigmoid(forget) * memory + torch.sigmoid(input_) * torch.tanh(cell)
    if peephole_output is not None:
        output = output + peephole_output * memory
    shown = memory if gain_memory is None else normalised(memory, gain_memory, shift_memory)
    h = torch.sigmoid(output) * torch.tanh(shown)
    return (h if weight_hr is None else functional.linear(h, weight_hr)), memory
