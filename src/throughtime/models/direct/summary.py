"""Any layers over a window, and its last features turned into all steps of a horizon."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SummaryNetwork(nn.Module):
    """The past is what some layers make of its last step; each step of the horizon is read from that.

    Args:
        layers: `features, state = layers(x)`, time first, from observed and known columns to `hidden_size`.
        known: how many columns are known in advance.
        horizon: steps forecast.
        hidden_size: features of the layers.

    Example:
        >>> from throughtime.nn import GRU
        >>> network = SummaryNetwork(GRU(2, 8), known=0, horizon=10, hidden_size=8)
        >>> network(torch.zeros(24, 3, 2), torch.zeros(33, 3, 0)).shape
        torch.Size([10, 3, 8])
    """

    def __init__(self, layers: nn.Module, known: int, horizon: int, hidden_size: int) -> None:
        super().__init__()
        self.layers = layers
        self.places = nn.Parameter(0.02 * torch.randn(horizon, 1, hidden_size))
        self.known = nn.Linear(known, hidden_size, bias=False) if known else None
        self.mixing = nn.Linear(hidden_size, hidden_size)

    def forward(self, values: Tensor, known: Tensor) -> Tensor:
        """The features of each step of the horizon, [horizon, batch, hidden_size].

        Args:
            values: of the past, [lookback, batch, observed].
            known: of the steps after each of them, [lookback + horizon − 1, batch, known].
        """
        read = torch.cat([values, known[: len(values)]], -1)
        features = self.mixing(self.layers(read)[0][-1]) + self.places
        if self.known is not None:
            features = features + self.known(known[len(values) - 1 :])
        return functional.relu(features)
