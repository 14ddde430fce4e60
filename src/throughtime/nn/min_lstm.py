"""minLSTM: a long short-term memory whose gates do not read h, so that it is trained by a scan."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ._scanned import Scanned, ScannedCell, positive


class MinLSTMCell(ScannedCell):
    """One step of a minLSTM (Feng et al. 2024), its gates normalised to a sum of 1.

        input = σ(W_i x + b_i),   forget = σ(W_f x + b_f),   new = g(W_h x + b_h),
        h_t = forget / (forget + input) ⊙ h_{t−1} + input / (forget + input) ⊙ new

    where g(x) = x + ½ for x ≥ 0 and σ(x) below, as in `MinGRUCell`. The quotients are taken through logarithms, and so
    hold where both gates are shut.

    Its parameters are `gates.weight` [3 × hidden_size, input_size], the rows of input, forget and new in this order,
    and `gates.bias` [3 × hidden_size], drawn as those of torch.nn.Linear: 3 H (I + 1) numbers, where `LSTMCell` has
    4 H (I + H + 2). The state is h [batch, hidden_size] alone, without an output gate there is no other memory; no unit
    of it depends on another (`elementwise`), so that `RTRL` is cheap.

    Args:
        input_size, hidden_size: features of x and of h.
        bias: whether there are b_i, b_f and b_h.

    Example:
        >>> output, h = MinLSTMCell(3, 5)(torch.zeros(2, 3))
        >>> output.shape
        torch.Size([2, 5])

    References:
        Feng, Tung, Ahmed, Bengio & Hajimirsadeghi, "Were RNNs all we needed?" (2024),
        https://arxiv.org/abs/2410.01201.
    """

    kind = "minlstm"
    gate_names = ("input", "forget", "new")

    @staticmethod
    def _mixed(*gates: Tensor) -> tuple[Tensor, Tensor]:
        input, forget, new = gates
        return torch.sigmoid(logsigmoid(input) - logsigmoid(forget)), positive(new)


class MinLSTM(Scanned):
    """Layers of `MinLSTMCell` (Feng et al. 2024), each over all steps at once: `output, state = layer(x, state)`.

    Layer l's parameters are those of `cells.l`, a `MinLSTMCell`: 3 H (I + 1) numbers, and 3 H (H + 1) of each further
    layer. The state is h alone, [num_layers, batch, hidden_size]. As a reset multiplies by 0, nothing but inf or nan
    crosses it.

    Args:
        input_size, hidden_size: features of x and of h.
        num_layers: how many, each fed with the output of the one before.
        bias: whether the gates have biases.
        dropout: of the outputs of all layers but the last, in training mode.

    Raises:
        ConfigurationError: for a size or a dropout out of range.

    Example:
        >>> output, h = MinLSTM(3, 5, num_layers=2)(torch.zeros(7, 2, 3), lengths=torch.tensor([7, 4]))
        >>> output.shape, h.shape
        (torch.Size([7, 2, 5]), torch.Size([2, 2, 5]))

    References:
        Feng, Tung, Ahmed, Bengio & Hajimirsadeghi, "Were RNNs all we needed?" (2024),
        https://arxiv.org/abs/2410.01201.
    """

    cell = MinLSTMCell
