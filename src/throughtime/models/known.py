"""What is known in advance, brought to the size of what is observed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class KnownScale(nn.Module):
    """The columns known in advance standardised; those that are observed, which come first, pass through.

    It learns nothing from gradients: `fit` is called once, on the training part.

    Args:
        observed, known: how many columns of each.

    Example:
        >>> scale = KnownScale(1, 1).fit([torch.tensor([[300.0], [500.0]])])
        >>> scale(torch.tensor([[[2.0, 500.0]]]))
        tensor([[[2., 1.]]])
    """

    def __init__(self, observed: int, known: int) -> None:
        super().__init__()
        self.observed = observed
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(known))
        self.register_buffer("deviation", torch.ones(known))

    def fit(self, pieces: list[Any]) -> KnownScale:
        """By the first columns that are known, as many as each of `pieces` [time, column] has; others stay as they are.

        A column that does not change is only moved.
        """
        columns = torch.cat([torch.as_tensor(piece, dtype=torch.float64) for piece in pieces])
        deviation, mean = torch.std_mean(columns, 0, correction=0)
        width = columns.shape[1]
        self.mean[:width] = mean.to(self.mean)
        self.deviation[:width] = torch.where(deviation > 1e-12 * mean.abs(), deviation, 1.0).to(self.deviation)
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [time, batch, observed + known]."""
        known = (inputs[..., self.observed :] - self.mean) / self.deviation
        return torch.cat([inputs[..., : self.observed], known], -1)

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"observed={self.observed}, known={len(self.mean)}"
