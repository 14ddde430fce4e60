"""Scaled dot-product attention (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762)."""

from __future__ import annotations

from math import sqrt

from jaxtyping import Bool, Float
from torch import Tensor


def attention_weights(
    query: Float[Tensor, "*batch queries size"],
    key: Float[Tensor, "*batch keys size"],
    mask: Bool[Tensor, ...] | None = None,
) -> Float[Tensor, "*batch queries keys"]:
    """softmax(Q Kᵀ / √d_k): how much of each value a query takes; each row sums to one.

    Args:
        query: [..., queries, d_k].
        key: [..., keys, d_k].
        mask: bool, spread over [..., queries, keys]: true where a query may see a key. A query that may see none has
            weights of zero.

    Example:
        >>> import torch
        >>> attention_weights(torch.zeros(1, 2), torch.ones(4, 2), torch.tensor([True, True, False, False]))
        tensor([[0.5000, 0.5000, 0.0000, 0.0000]])
    """
    scores = query @ key.mT / sqrt(query.shape[-1])
    if mask is None:
        return scores.softmax(-1)
    seeing = mask.any(-1, keepdim=True)
    return scores.masked_fill(~mask & seeing, float("-inf")).softmax(-1).masked_fill(~mask, 0.0)


def attention(
    query: Float[Tensor, "*batch queries size"],
    key: Float[Tensor, "*batch keys size"],
    value: Float[Tensor, "*batch keys width"],
    mask: Bool[Tensor, ...] | None = None,
) -> Float[Tensor, "*batch queries width"]:
    """softmax(Q Kᵀ / √d_k) V: of each query, the mean of the values, weighted by how well their keys match it.

    Args:
        query: [..., queries, d_k].
        key: [..., keys, d_k].
        value: [..., keys, d_v].
        mask: as of `attention_weights`; a query that may see no key gets zeros.

    Example:
        >>> import torch
        >>> attention(torch.zeros(1, 2), torch.ones(4, 2), torch.arange(4.0)[:, None])
        tensor([[1.5000]])
    """
    return attention_weights(query, key, mask) @ value
