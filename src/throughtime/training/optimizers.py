"""Optimisers and learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from ..artifacts import OptimizerSettings


def build_optimizer(parameters: Iterable[nn.Parameter], settings: OptimizerSettings) -> torch.optim.Optimizer:
    """The optimiser that `settings` names; matrices decay, vectors (biases, gains) do not.

    Example:
        >>> build_optimizer(nn.Linear(2, 2).parameters(), OptimizerSettings(name="radam")).__class__.__name__
        'RAdam'
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    decay = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    rate = settings.learning_rate
    match settings.name:
        case "adamw":
            return torch.optim.AdamW(decay, lr=rate)
        case "radam":
            return torch.optim.RAdam(decay, lr=rate, decoupled_weight_decay=True)
        case "sgd":
            return torch.optim.SGD(decay, lr=rate, momentum=settings.momentum)
        case "rmsprop":
            return torch.optim.RMSprop(decay, lr=rate)
        case "rprop":
            return torch.optim.Rprop(trained, lr=rate)


def learning_rate(settings: OptimizerSettings, step: int, share: float) -> float:
    """The rate at a step, a pure function, so that nothing of a schedule needs to be saved.

    Args:
        settings: names the schedule.
        step: updates done so far.
        share: the part of the whole training that is done, in [0, 1].

    Example:
        >>> settings = OptimizerSettings(learning_rate=1.0, schedule="cosine", warmup=0)
        >>> [round(learning_rate(settings, 10, share), 2) for share in (0.0, 0.5, 1.0)]
        [1.0, 0.51, 0.02]
    """
    warm = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    least = 0.02
    match settings.schedule:
        case "constant":
            falling = 1.0
        case "linear":
            falling = 1 - (1 - least) * share
        case "cosine":
            falling = least + (1 - least) * (1 + math.cos(math.pi * share)) / 2
    return settings.learning_rate * warm * falling
