"""minGRU: a gated recurrent unit whose gates do not read h, so that it is trained by a scan."""

from __future__ import annotations

import torch
from torch import Tensor

from ._scanned import Scanned, ScannedCell, positive


class MinGRUCell(ScannedCell):
    """One step of a minGRU (Feng et al. 2024).

        update = σ(W_z x + b_z),   new = g(W_h x + b_h),   h_t = (1 − update) ⊙ h_{t−1} + update ⊙ new

    where g(x) = x + ½ for x ≥ 0 and σ(x) below. The paper's experiments need this positive g, as their scan runs over
    logarithms of h; the scan here takes any sign, and g is kept so that the model is the published one.

    Its parameters are `gates.weight` [2 × hidden_size, input_size], the rows of update and then those of new, and
    `gates.bias` [2 × hidden_size], drawn as those of torch.nn.Linear: 2 H (I + 1) numbers, where `GRUCell` has
    3 H (I + H + 2). The state is h [batch, hidden_size]; no unit of it depends on another (`elementwise`), so that
    `RTRL` is cheap.

    Args:
        input_size, hidden_size: features of x and of h.
        bias: whether there are b_z and b_h.

    Example:
        >>> output, h = MinGRUCell(3, 5)(torch.zeros(2, 3))
        >>> output.shape
        torch.Size([2, 5])

    References:
        Feng, Tung, Ahmed, Bengio & Hajimirsadeghi, "Were RNNs all we needed?" (2024),
        https://arxiv.org/abs/2410.01201.
    """

    kind = "mingru"
    gate_names = ("update", "new")

    @staticmethod
    def _mixed(*gates: Tensor) -> tuple[Tensor, Tensor]:
        update, new = gates
        return torch.sigmoid(update), positive(new)


class MinGRU(Scanned):
    """Layers of `MinGRUCell` (Feng et al. 2024), each over all steps at once: `output, state = layer(x, state)`.

    Layer l's parameters are those of `cells.l`, a `MinGRUCell`: 2 H (I + 1) numbers, and 2 H (H + 1) of each further
    layer. The state is [num_layers, batch, hidden_size], as that of torch.nn.GRU. As a reset multiplies by 0, nothing
    but inf or nan crosses it.

    Args:
        input_size, hidden_size: features of x and of h.
        num_layers: how many, each fed with the output of the one before.
        bias: whether the gates have biases.
        dropout: of the outputs of all layers but the last, in training mode.

    Raises:
        ConfigurationError: for a size or a dropout out of range.

    Example:
        >>> output, h = MinGRU(3, 5, num_layers=2)(torch.zeros(7, 2, 3), lengths=torch.tensor([7, 4]))
        >>> output.shape, h.shape
        (torch.Size([7, 2, 5]), torch.Size([2, 2, 5]))

    References:
        Feng, Tung, Ahmed, Bengio & Hajimirsadeghi, "Were RNNs all we needed?" (2024),
        https://arxiv.org/abs/2410.01201.
    """

    cell = MinGRUCell
