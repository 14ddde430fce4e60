"""Attention of several heads, each with its own projections."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, scaled_dot_product_attention

from .._errors import ConfigurationError, ShapeError
from .._types import Lengths
from ..ops import attention_weights
from ._checks import check_features, check_lengths
from .linear import Linear
from .positions import Rotation, rotate


class MultiHeadAttention(nn.Module):
    """softmax(Q Kᵀ / √d_k) V in each of several heads; the heads concatenated, then W_O.

    Q is projected from the query; K and V from the source: another sequence, or the query itself (self-attention).
    Attention has no order: positions are told to it beforehand.

    Args:
        query_size: features of the query, and of what comes out.
        num_heads: each has query_size / num_heads features.
        source_size: features of the source; `None` for query_size.
        bias: whether the four projections have a bias.
        dropout: the probability with which, in training, a weight of a key is dropped.

    Raises:
        ConfigurationError: for settings out of range, or heads that do not divide the features.

    Example:
        >>> layer = MultiHeadAttention(8, num_heads=2, source_size=3)
        >>> output, weights = layer(torch.randn(5, 4, 8), torch.randn(6, 4, 3), weights=True)
        >>> output.shape, weights.shape
        (torch.Size([5, 4, 8]), torch.Size([4, 2, 5, 6]))

    References:
        Vaswani et al., "Attention is all you need", NeurIPS 2017, https://arxiv.org/abs/1706.03762
    """

    def __init__(
        self,
        query_size: int,
        num_heads: int,
        *,
        source_size: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if query_size < 1 or num_heads < 1 or query_size % num_heads:
            raise ConfigurationError(
                f"MultiHeadAttention(query_size={query_size}, num_heads={num_heads}): the heads share the features "
                "equally, so query_size must be a multiple of num_heads"
            )
        if not 0 <= dropout < 1:
            raise ConfigurationError(f"MultiHeadAttention(dropout={dropout}): expected a probability in [0, 1)")
        self.query_size = query_size
        self.num_heads = num_heads
        self.source_size = query_size if source_size is None else source_size
        self.dropout = dropout
        self.query = Linear(query_size, query_size, bias, device, dtype)
        self.key = Linear(self.source_size, query_size, bias, device, dtype)
        self.value = Linear(self.source_size, query_size, bias, device, dtype)
        self.output = Linear(query_size, query_size, bias, device, dtype)

    @property
    def head_size(self) -> int:
        """Features of a head."""
        return self.query_size // self.num_heads

    def forward(
        self,
        query: Tensor,
        source: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        source_lengths: Lengths | None = None,
        causal: bool = False,
        weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Let each step of the query [time, batch, query_size] look at the source [source time, batch, source_size].

        Args:
            source: `None` for the query itself.
            mask: bool [time, source time] or [batch, time, source time], true where a step may look. One that may
                look nowhere gets zeros before W_O.
            source_lengths: integers [batch]; what stands in the source past them is not looked at.
            causal: whether step t looks at the source's steps 0 … t only.
            weights: whether the attention weights are wanted: they are then computed one by one, in more memory.

        Returns:
            The output [time, batch, query_size], and the weights [batch, head, time, source time] or `None`.

        Raises:
            ShapeError, ConfigurationError: where the tensors contradict the sizes or one another.
        """
        source = query if source is None else source
        self._check(query, source, mask)
        time, source_time = len(query), len(source)
        if source_lengths is not None:
            check_lengths("MultiHeadAttention", source_lengths, source_time, query.shape[1], query.device)
            valid = torch.arange(source_time, device=query.device) < source_lengths[:, None]
            source = source.masked_fill(~valid.T[..., None], 0)
            mask = valid[:, None] if mask is None else mask & valid[:, None]
        if causal and (mask is not None or weights):
            earlier = torch.ones(time, source_time, dtype=torch.bool, device=query.device).tril()
            mask, causal = earlier if mask is None else mask & earlier, False
        if mask is not None and mask.dim() == 3:
            mask = mask[:, None]
        heads = (self.queries(query), *self.keys_values(source))
        if weights:
            found = attention_weights(*heads[:2], mask)
            return self.combine(dropout(found, self.dropout, self.training) @ heads[2]), found
        return self.combine(self.attend(*heads, mask=mask, causal=causal)), None

    def queries(self, x: Tensor, turn: Rotation | None = None) -> Tensor:
        """Q of each head, [batch, head, time, head_size], for x [time, batch, query_size]."""
        return self._heads(self.query(x), turn)

    def keys_values(self, source: Tensor, turn: Rotation | None = None) -> tuple[Tensor, Tensor]:
        """K and V of each head, [batch, head, time, head_size], for a source [time, batch, source_size]."""
        return self._heads(self.key(source), turn), self._heads(self.value(source))

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """What each query sees, in each head, by torch's fused attention."""
        rate = self.dropout if self.training else 0.0
        return scaled_dot_product_attention(query, key, value, mask, rate, causal)

    def combine(self, heads: Tensor) -> Tensor:
        """The heads [batch, head, time, head_size] concatenated, then W_O: [time, batch, query_size]."""
        return self.output(heads.permute(2, 0, 1, 3).flatten(2))

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"{self.query_size}, num_heads={self.num_heads}, dropout={self.dropout}"

    def _heads(self, projected: Tensor, turn: Rotation | None = None) -> Tensor:
        parts = projected.unflatten(-1, (self.num_heads, self.head_size))
        return (parts if turn is None else rotate(parts, turn)).permute(1, 2, 0, 3)

    def _check(self, query: Tensor, source: Tensor, mask: Tensor | None) -> None:
        if query.dim() != 3 or source.dim() != 3 or query.shape[1] != source.shape[1]:
            raise ShapeError(
                f"MultiHeadAttention got a query {list(query.shape)} and a source {list(source.shape)}, expected "
                "[time, batch, feature] of the same batch; one sequence needs unsqueeze(1)"
            )
        check_features("MultiHeadAttention", query, self.query_size, self.query.weight)
        check_features("MultiHeadAttention's source", source, self.source_size, self.key.weight)
        if mask is None:
            return
        wanted = [query.shape[1], len(query), len(source)]
        if mask.dtype != torch.bool or list(mask.shape) not in (wanted, wanted[1:]):
            raise ShapeError(
                f"MultiHeadAttention got a mask {list(mask.shape)} of {mask.dtype}, expected bool {wanted} "
                f"([batch, time, source time]) or {wanted[1:]}, true where a step may look"
            )
