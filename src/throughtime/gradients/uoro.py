"""Unbiased online recurrent optimisation: the influence of the parameters, at random, as a product of two vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jvp

from .._types import State
from ._online import Online, OnlineStep, add_to_gradient, pairs


@dataclass(frozen=True)
class UORO(Online):
    """The exact gradient on average, forward in time, for little more than the cost of a step.

    `RTRL`'s influence J_t = D_t J_{t−1} + ∂h_t/∂θ is replaced by a random product h̃_t θ̃_tᵀ whose mean it is: with
    random signs ν, and ρ_0 and ρ_1 that balance the two vectors,

        h̃_t = ρ_0 D_t h̃_{t−1} + ρ_1 ν,    θ̃_t = θ̃_{t−1} / ρ_0 + νᵀ ∂h_t/∂θ / ρ_1

    The variance is large, and grows with the units and the lag: small learning rates are needed. The sequences of a
    batch share one product. Signs are drawn by torch's generator of the CPU.

    Example:
        >>> from throughtime import Batch, GRUCell, Recurrent
        >>> model = Recurrent(GRUCell(2, 3))
        >>> batch = Batch(torch.randn(5, 4, 2), torch.randn(5, 4, 3))
        >>> squared_error = lambda output, target: (output - target).square().sum(-1)
        >>> [segment.stop for segment in UORO().segments(model, batch, squared_error)]
        [1, 2, 3, 4, 5]

    References:
        Tallec & Ollivier, "Unbiased online recurrent optimization", ICLR 2018, https://arxiv.org/abs/1702.05043.
    """

    exact = False
    unbiased = True
    memory_order = "O(1): parameters + state"
    time_order = "about 3"
    when = "learning at every step, where no bias is allowed and noise is"

    def begin(self, step: OnlineStep) -> State:
        """Nothing yet."""
        parameters = [
            torch.zeros_like(parameter) if found else None
            for parameter, found in zip(step.parameters, step.influences(), strict=True)
        ]
        return {"state": [torch.zeros_like(part) for part in step.floats(step.state)], "parameters": parameters}

    def credit(self, step: OnlineStep, account: State, cotangents: Sequence[Tensor | None]) -> None:
        """(∂ℓ/∂h · h̃) θ̃."""
        along = [(cotangent * own).sum() for cotangent, own in pairs(cotangents, account["state"])]
        if along:
            for own, parameter in pairs(account["parameters"], step.parameters):
                add_to_gradient(parameter, own * torch.stack(along).sum())

    def follow(self, step: OnlineStep, account: State) -> State:
        """One more step of both vectors."""
        if all(own is None for own in account["parameters"]):
            return account
        state = step.floats(step.state)
        held = [parameter.detach() for parameter in step.parameters]
        pushed = jvp(lambda *parts: tuple(step.after(held, parts)), tuple(state), tuple(account["state"]))[1]
        signs = [(torch.randint(2, part.shape, device="cpu") * 2 - 1).to(part) for part in state]
        parameters, after = step.traced(state)
        touched = [(part, sign) for part, sign in zip(after, signs, strict=True) if part.requires_grad]
        pulled = torch.autograd.grad(
            [part for part, _ in touched], parameters, [sign for _, sign in touched], allow_unused=True
        )
        chosen = [part for part, _ in pairs(pulled, parameters)]
        past = _balance([own for own, _ in pairs(account["parameters"], parameters)], pushed)
        now = _balance(chosen, signs)
        remaining = iter(chosen)
        return {
            "state": [past * one + now * sign for one, sign in zip(pushed, signs, strict=True)],
            "parameters": [own if own is None else own / past + next(remaining) / now for own in account["parameters"]],
        }


def _balance(parameters: Sequence[Tensor], state: Sequence[Tensor]) -> Tensor:
    """The factor that makes both as large, 1 where either is zero."""
    one, two = (torch.stack([part.norm() for part in parts]).norm() for parts in (parameters, state))
    return torch.where((one > 0) & (two > 0), (one / two).sqrt(), torch.ones_like(one))
