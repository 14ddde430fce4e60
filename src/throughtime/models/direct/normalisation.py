"""Each window brought to a level and spread of its own, and what is forecast from it brought back."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

Normalisation: TypeAlias = Literal["none", "last", "instance"]
"""What a window is normalised by: nothing, its last values, or its own mean and standard deviation."""

_SMALLEST_VARIANCE = 1e-5


class InstanceNormalisation(nn.Module):
    """A window's level, and its spread, [1, batch, value] each.

    Args:
        kind: "last" takes away the last values; "instance" the mean, and divides by the standard deviation.

    Example:
        >>> level, spread = InstanceNormalisation("last")(torch.tensor([1.0, 2.0, 4.0]).reshape(3, 1, 1))
        >>> level.item(), spread.item()
        (4.0, 1.0)

    References:
        Kim et al., "Reversible instance normalization for accurate time-series forecasting against distribution
        shift", ICLR 2022.
    """

    def __init__(self, kind: Normalisation) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Of values [time, batch, value]."""
        one = torch.ones_like(values[-1:])
        if self.kind == "none":
            return torch.zeros_like(one), one
        if self.kind == "last":
            return values[-1:], one
        variance = values.var(0, keepdim=True, correction=0)
        return values.mean(0, keepdim=True), (variance + _SMALLEST_VARIANCE).sqrt()

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return self.kind
