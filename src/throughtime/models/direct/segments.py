"""A recurrent network whose steps are segments of a series, one channel at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..._errors import ConfigurationError
from ...nn import GRU


class SegmentNetwork(nn.Module):
    """Segments of the past, each a step of a GRU; segments of the horizon, each one step from its last state.

    Every channel is read by itself, by the same weights. The segments of the horizon do not wait for each other: each
    is told apart by an embedding of its place, and of its channel.

    Args:
        observed: how many channels.
        known: how many columns are known in advance of the horizon.
        lookback, horizon: steps read, and steps forecast.
        segment: steps of a segment. Of a lookback that it does not divide, the oldest steps are not read.
        hidden_size: units of the GRU, an even number.
        dropout: share of features dropped before the head.

    Raises:
        ConfigurationError: where a segment is longer than the lookback, or `hidden_size` is odd.

    Example:
        >>> network = SegmentNetwork(2, 0, lookback=24, horizon=10, segment=6, hidden_size=8)
        >>> network(torch.zeros(24, 3, 2), torch.zeros(33, 3, 0)).shape  # 2 segments of 3 sequences of 2 channels
        torch.Size([2, 3, 2, 8])

    References:
        Lin et al., "SegRNN: segment recurrent neural network for long-term time series forecasting", 2023,
        https://arxiv.org/abs/2308.11200
    """

    def __init__(
        self,
        observed: int,
        known: int,
        lookback: int,
        horizon: int,
        segment: int,
        hidden_size: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if segment > lookback:
            raise ConfigurationError(f"segment={segment} is longer than the lookback of {lookback}: shorten it")
        if hidden_size % 2:
            raise ConfigurationError(f"hidden_size={hidden_size}: half of it tells the place, half the channel: even")
        self.segment, self.horizon = segment, horizon
        self.read, self.written = lookback // segment, -(-horizon // segment)
        self.embedding = nn.Linear(segment, hidden_size)
        self.recurrence = GRU(hidden_size, hidden_size)
        self.places = nn.Parameter(torch.randn(self.written, hidden_size // 2))
        self.channels = nn.Parameter(torch.randn(observed, hidden_size // 2))
        self.known = nn.Linear(segment * known, hidden_size) if known else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, known: Tensor) -> Tensor:
        """The features of each segment of the horizon.

        Args:
            values: of the past, [lookback, batch, observed].
            known: of the steps after each of them, [lookback + horizon − 1, batch, known]; the horizon's are read.

        Returns:
            [segment of the horizon, batch, observed, hidden_size]
        """
        _, batch, observed = values.shape
        segments = values[-self.read * self.segment :].reshape(self.read, self.segment, batch * observed)
        embedded = functional.relu(self.embedding(segments.transpose(1, 2)))
        _, state = self.recurrence(embedded)
        queries = self._queries(known, batch, observed)
        state = state.expand(self.written, -1, -1).reshape(1, -1, state.shape[-1])
        features, _ = self.recurrence(queries.reshape(1, -1, queries.shape[-1]), state.contiguous())
        return self.dropout(features.reshape(queries.shape))

    def _queries(self, known: Tensor, batch: int, observed: int) -> Tensor:
        """What tells the segments of the horizon apart, [segment, batch, observed, hidden_size]."""
        shape = (self.written, batch, observed, -1)
        places = self.places[:, None, None].expand(shape)
        queries = torch.cat([places, self.channels.expand(shape)], -1)
        if self.known is None:
            return queries
        missing = self.written * self.segment - self.horizon
        known = functional.pad(known[-self.horizon :], (0, 0, 0, 0, 0, missing))
        known = known.unflatten(0, (self.written, self.segment)).transpose(1, 2).flatten(2)
        return queries + self.known(known)[:, :, None]
