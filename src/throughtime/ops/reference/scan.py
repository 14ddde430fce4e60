"""The loop over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack

from ..._state import select
from ..._types import Lengths, Resets, State

Step: TypeAlias = Callable[[Tensor, State], tuple[Tensor, State]]


def scan(
    step: Step,
    inputs: Tensor,
    state: State,
    *,
    fresh: Callable[[], State] | None = None,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
) -> tuple[Tensor, State]:
    """Apply `output, state = step(x, state)` to each x of `inputs`, one after the other.

    Padding never reaches a step: past a length the input is zero, so is the output, and the state stands still.

    Args:
        inputs: [time, batch, …].
        state: the state before the first step; batch is axis 0 of all its tensors.
        fresh: a state to begin sequences with, needed where there are resets; called only before steps with a reset.
        lengths: integers [batch].
        resets: bool [time, batch]; the state before these steps is `fresh()`.
        reverse: from the end to the beginning; each sequence begins at its own end, and afresh before each reset.

    Returns:
        The outputs [time, batch, …] and, for each sequence, the state after its own last step.

    Example:
        >>> running_sum = lambda x, total: (total + x, total + x)
        >>> outputs, total = scan(running_sum, torch.ones(3, 2, 1), torch.zeros(2, 1), lengths=torch.tensor([3, 1]))
        >>> outputs[..., 0].T, total.T
        (tensor([[1., 2., 3.],
                [1., 0., 0.]]), tensor([[3., 1.]]))
    """
    steps = len(inputs)
    if steps == 0:
        return _no_outputs(step, inputs, state), state
    active = None
    if lengths is not None:
        active = torch.arange(steps, device=lengths.device)[:, None] < lengths
        inputs = inputs.masked_fill(~_aligned(active, inputs), 0)
    starts, restarting = ((), [False] * steps) if resets is None else _starts(resets, active, reverse)
    rows, valid = inputs.unbind(0), None if active is None else active.unbind(0)
    outputs: list[Tensor] = [inputs] * steps
    for time in reversed(range(steps)) if reverse else range(steps):
        if restarting[time] and fresh is not None:
            state = select(starts[time], fresh(), state)
        output, following = step(rows[time], state)
        if valid is not None:
            following = select(valid[time], following, state)
            output = output.masked_fill(~_aligned(valid[time], output), 0)
        outputs[time], state = output, following
    return torch.stack(outputs), state


def _starts(resets: Tensor, active: Tensor | None, reverse: bool) -> tuple[tuple[Tensor, ...], list[bool]]:
    """Before which steps each sequence begins afresh, and before which any does: all, where values are not to be read.

    A document that ends before step t begins, backwards, at t − 1.
    """
    starts = resets if active is None else resets & active
    if reverse:
        starts = torch.cat([starts[1:], torch.zeros_like(starts[:1])])
    transformed = torch.compiler.is_compiling() or peek_interpreter_stack() is not None
    anywhere = [True] * len(starts) if transformed else starts.any(1).tolist()
    return starts.unbind(0), anywhere


def _aligned(mask: Tensor, values: Tensor) -> Tensor:
    return mask.reshape(mask.shape + (1,) * (values.dim() - mask.dim()))


def _no_outputs(step: Step, inputs: Tensor, state: State) -> Tensor:
    """No steps have no outputs, but a shape: one step on zeros tells it."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        output, _ = step(inputs.new_zeros(inputs.shape[1:]), state)
    return output.new_zeros((0, *output.shape))
