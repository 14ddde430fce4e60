"""The one product that every cell is made of."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None, gain: Tensor | None = None) -> Tensor:
    """W x + b, or gain ⊙ (W x, normalised over its features) + b where a gain is given (Ba et al. 2016)."""
    if gain is None:
        return functional.linear(x, weight, bias)
    return normalised(functional.linear(x, weight), gain, bias)


def normalised(a: Tensor, gain: Tensor, shift: Tensor | None = None) -> Tensor:
    """Layer normalisation over the last axis (Ba, Kiros & Hinton 2016, https://arxiv.org/abs/1607.06450)."""
    scaled = functional.layer_norm(a, a.shape[-1:]) * gain
    return scaled if shift is None else scaled + shift


def masked(h: Tensor, mask: Tensor | None) -> Tensor:
    """h under a dropout mask, where there is one."""
    return h if mask is None else h * mask
