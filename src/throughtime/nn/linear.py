"""The product of a head or a projection."""

from __future__ import annotations

from torch import Tensor, nn

from ..ops import linear


class Linear(nn.Linear):
    """torch.nn.Linear, by the native kernels' product where that serves: float32, on the CPU, over many rows.

    Example:
        >>> import torch
        >>> Linear(3, 4)(torch.zeros(7, 2, 3)).shape
        torch.Size([7, 2, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        """x W' + b, for x [..., in_features]."""
        return linear(input, self.weight, self.bias)
