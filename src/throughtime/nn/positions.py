"""Where a step stands in its sequence, told to layers that have no order of their own."""

from __future__ import annotations

from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .._errors import ConfigurationError

Rotation: TypeAlias = tuple[Tensor, Tensor]
"""Cosines and sines of the angles by which pairs of features are turned, [time, batch, size / 2] each."""


def sinusoidal(
    positions: Int[Tensor, "time batch"], size: int, *, base: float = 10000.0, dtype: torch.dtype | None = None
) -> Float[Tensor, "time batch {size}"]:
    """Sines and cosines in turn, of wavelengths from 2π to `base` × 2π, to be added to the features.

    Feature 2i is sin(position / base^(2i / size)), feature 2i + 1 the cosine of the same angle. Angles are computed in
    float64, so that a stream of any length keeps its precision.

    Args:
        positions: integers [time, batch]; a sequence starts at 0.
        size: how many features.
        dtype: of the result; torch's default where it is not given.

    Example:
        >>> sinusoidal(torch.tensor([[0], [1]]), 4)[:, 0]
        tensor([[0.0000, 1.0000, 0.0000, 1.0000],
                [0.8415, 0.5403, 0.0100, 0.9999]])

    References:
        Vaswani et al., "Attention is all you need", NeurIPS 2017, https://arxiv.org/abs/1706.03762
    """
    angles = _angles(positions, size, base)
    pairs = torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)[..., :size]
    return pairs.to(dtype or torch.get_default_dtype())


def rotary(
    x: Float[Tensor, "time batch ..."], positions: Int[Tensor, "time batch"], *, base: float = 10000.0
) -> Float[Tensor, "time batch ..."]:
    """Queries or keys, each pair of features turned by an angle that grows with the position.

    Features 2i and 2i + 1 are turned by position / base^(2i / size), so that the product of a query and a key depends
    on how many steps lie between them, and not on where they stand.

    Args:
        x: [time, batch, …, size], with an even size.
        positions: integers [time, batch]; a sequence starts at 0.

    Raises:
        ConfigurationError: for an odd size.

    Example:
        >>> x = torch.tensor([1.0, 0.0]).expand(2, 1, 2)
        >>> rotary(x, torch.tensor([[0], [1]]))[:, 0]
        tensor([[1.0000, 0.0000],
                [0.5403, 0.8415]])

    References:
        Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021,
        https://arxiv.org/abs/2104.09864
    """
    return rotate(x, rotation(positions, x.shape[-1], base=base, dtype=x.dtype))


def rotation(
    positions: Int[Tensor, "time batch"], size: int, *, base: float = 10000.0, dtype: torch.dtype | None = None
) -> Rotation:
    """What `rotate` needs of the positions, computed once for queries and keys of all layers."""
    if size % 2:
        raise ConfigurationError(f"rotary positions turn pairs of features, and there are {size}: use an even number")
    angles = _angles(positions, size, base)
    dtype = dtype or torch.get_default_dtype()
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, turn: Rotation) -> Tensor:
    """x [time, batch, …, size] with its pairs of features turned."""
    cosine, sine = (part.view(*part.shape[:2], *(1,) * (x.dim() - 3), -1) for part in turn)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], -1).flatten(-2)


def _angles(positions: Tensor, size: int, base: float) -> Tensor:
    exponents = torch.arange(0, size, 2, dtype=torch.float64, device=positions.device) / size
    return positions[..., None] * base**-exponents
