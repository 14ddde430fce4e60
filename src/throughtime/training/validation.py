"""How well a model foretells what it was not trained on."""

from __future__ import annotations

import torch
from torch import nn

from .._types import Loss
from ..data import BatchSource
from ..gradients import streams, summed_loss
from ..models import device_of, negative_log_likelihood

_MOST_STEPS = 1 << 19


@torch.no_grad()
def mean_loss(model: nn.Module, source: BatchSource, loss: Loss = negative_log_likelihood) -> float:
    """The loss a step and sequence, the state carried as in training.

    Of streams no more is read once 524,288 steps have been counted: the beginning of each, as much in all whatever the
    size of batches.
    """
    model.eval()
    total, count, carry = 0.0, 0.0, None
    for index, batch in enumerate(source.batches(0)):
        carry = carry if streams(model) and source.continues(index) else None
        loss_sum, weights, carry = summed_loss(model, batch.to(device_of(model)), loss, carry)
        total, count = total + float(loss_sum), count + float(weights)
        if count >= _MOST_STEPS and source.continues(index + 1):
            break
    return total / max(count, 1.0)
