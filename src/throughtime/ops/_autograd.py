"""Who differentiates: the questions that every native function asks, and the equations as the answer to some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad

from ._constant import constant
from ._kernels import Marks, Operands, Setting
from .reference import recurrence

_PLAIN = (Tensor, nn.Parameter)


def captured(operands: Iterable[Tensor | None]) -> bool:
    """Whether a graph is being captured, or what looks like a tensor has no memory to point a kernel at."""
    if torch.compiler.is_compiling():
        return True
    if torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state() is not None:
        return True
    return any(operand is not None and type(operand) not in _PLAIN for operand in operands)


@constant
def transformed() -> bool:
    """Whether a transform of torch.func, or forward-mode differentiation, is at work; Dynamo enters what it traces."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def tracked(operands: Iterable[Tensor | None]) -> bool:
    """Whether a gradient may be asked for."""
    return torch.is_grad_enabled() and any(operand is not None and operand.requires_grad for operand in operands)


def differentiated(cotangents: Iterable[Tensor | None]) -> bool:
    """Whether a backward must itself be seen through: differentiated, transformed, or given many cotangents at once."""
    if torch.is_grad_enabled() or transformed():
        return True
    # torch.autograd.grad(is_grads_batched=True) has a vmap of its own.
    return any(part is not None and is_legacy_batchedtensor(part) for part in cotangents)


def by_equations(setting: Setting, operands: Operands, marks: Marks) -> tuple[Tensor, Tensor, Tensor | None]:
    """What the kernel computes, in plain PyTorch: output, h_n and c_n."""
    h0, c0, weights = operands.h0, operands.c0, operands[3:]
    state = h0 if setting.kind != "lstm" or h0 is None else (h0, c0)
    where = {**marks._asdict(), "reverse": setting.reverse}
    with torch.autocast("cpu", enabled=False):
        output, after = recurrence(setting.kind, operands.x, state, *weights, **where)
    return (output, *after) if isinstance(after, tuple) else (output, after, None)


def gradients_by_equations(
    setting: Setting,
    operands: Operands,
    marks: Marks,
    cotangents: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """The gradients of the operands wanted, differentiable themselves; `None` cotangents are zeros."""
    places = [place for place, want in enumerate(wanted) if want]

    def run(*chosen: Tensor) -> tuple[Tensor, ...]:
        given = list(operands)
        for place, operand in zip(places, chosen, strict=True):
            given[place] = operand
        return tuple(part for part in by_equations(setting, Operands._make(given), marks) if part is not None)

    # vjp, and not autograd.grad, tells apart operands that are one tensor.
    results, pull_back, *_ = torch.func.vjp(run, *(operands[place] for place in places))
    given = [
        torch.zeros_like(result) if cotangent is None else cotangent
        for result, cotangent in zip(results, cotangents, strict=False)
    ]
    gradients: list[Tensor | None] = [None] * len(operands)
    for place, gradient in zip(places, pull_back(tuple(given)), strict=True):
        gradients[place] = gradient
    return tuple(gradients)
