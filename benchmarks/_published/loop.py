"""One step of an optimiser, as anyone takes it who keeps their own loop."""

from __future__ import annotations

import torch
from torch import nn

import throughtime as tt
from throughtime._types import Loss


def improve(model: nn.Module, batch: tt.Batch, loss: Loss, optimizer: torch.optim.Optimizer, clip: float) -> float:
    """One step down the gradient of the batch's mean loss, clipped to a norm of `clip`; that loss is returned.

    A gradient that is not finite, as that of a recurrence that once in a while explodes, is left out.
    """
    optimizer.zero_grad()
    done = tt.backward(model, batch, loss)
    for parameter in model.parameters():
        parameter.grad /= done.count
    if nn.utils.clip_grad_norm_(model.parameters(), clip).isfinite():
        optimizer.step()
    return float(done.loss_sum / done.count)
