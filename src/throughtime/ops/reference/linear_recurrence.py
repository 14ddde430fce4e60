"""h_t = a_t ⊙ h_{t−1} + b_t for all t at once."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def linear_recurrence(
    a: Float[Tensor, "time batch hidden"], b: Float[Tensor, "time batch hidden"], h: Float[Tensor, "batch hidden"]
) -> Float[Tensor, "time batch hidden"]:
    """All states h_t = a_t ⊙ h_{t−1} + b_t, from the state h before the first step, by a parallel scan.

    Pairs of steps are joined to one step of half as many, (a' a, a' b + b'), those are solved likewise, and the states
    between them are filled in: about 2 log₂ T operations and 3 T multiplications and additions. Nothing is divided
    and no logarithm taken, so a may be any numbers; from 0 to 1 no product overflows. A zero forgets exactly what came
    before it, if that is finite. The backward is the same scan from the end, and keeps a and the states alone;
    it can itself be differentiated.

    Example:
        >>> a, b = torch.tensor([1.0, 0.5, 0.0, 1.0]), torch.tensor([1.0, 1.0, 7.0, 1.0])
        >>> linear_recurrence(a.view(4, 1, 1), b.view(4, 1, 1), torch.ones(1, 1)).flatten()
        tensor([2., 2., 7., 8.])

    References:
        Blelloch, "Prefix sums and their applications", CMU-CS-90-190 (1990); Martin & Cundy, "Parallelizing linear
        recurrent neural nets over sequence length", ICLR 2018, https://arxiv.org/abs/1709.04057.
    """
    return (_Scan if torch.compiler.is_compiling() else _TransformableScan).apply(a, b, h)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
        states = torch.cat([torch.addcmul(b[:1], a[:1], h), b[1:]])
        _sweep(a, states)
        return states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        a, _, h = inputs
        ctx.save_for_backward(a, h, output)
        ctx.save_for_forward(a, h, output)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """d_t = cotangent_t + a_{t+1} ⊙ d_{t+1} is the gradient of b_t."""
        a, h, states = ctx.saved_tensors
        d = linear_recurrence(a.roll(-1, 0).flip(0), cotangents[0].flip(0), torch.zeros_like(h)).flip(0)
        return d * _before(h, states), d, (a[:1] * d[:1]).sum(0)


class _TransformableScan(_Scan):
    """With the rules of torch.func and of forward mode, which Dynamo does not take."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *parts: Tensor) -> tuple[Tensor, int]:
        axes = (1, 1, 0)
        beside = [
            part.unsqueeze(axis).repeat_interleave(info.batch_size, axis) if dim is None else part.movedim(dim, axis)
            for part, dim, axis in zip(parts, in_dims, axes, strict=True)
        ]
        return _TransformableScan.apply(*beside), 1

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        a, h, states = ctx.saved_tensors
        d_a, d_b, d_h = tangents
        pushed = torch.zeros_like(states) if d_b is None else d_b
        if d_a is not None:
            pushed = pushed + d_a * _before(h, states)
        return _TransformableScan.apply(a, pushed, torch.zeros_like(h) if d_h is None else d_h)


def _sweep(a: Tensor, states: Tensor) -> None:
    """In place, one after the other: states[t] += a[t] ⊙ states[t − 1]."""
    if len(a) < 2:
        return
    even, odd = states[0::2], states[1::2]
    odd.addcmul_(a[1::2], even[: len(odd)])
    _sweep(a[1::2] * a[0::2][: len(odd)], odd)
    even[1:].addcmul_(a[2::2], odd[: len(even) - 1])


def _before(h: Tensor, states: Tensor) -> Tensor:
    """The state before each step."""
    return torch.cat([h[None], states])[:-1]
