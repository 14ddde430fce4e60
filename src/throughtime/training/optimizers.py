"""Optimisers and learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from .._errors import ConfigurationError
from ..artifacts import OptimizerSettings
from ..gradients import Checkpointed, Full, Strategy
from .adamp import AdamP


def build_optimizer(parameters: Iterable[nn.Parameter], settings: OptimizerSettings) -> torch.optim.Optimizer:
    """The optimiser that `settings` names; matrices decay, vectors (biases, gains) do not.

    All but AdamP are torch's own. L-BFGS does one update a batch, its length found by a strong Wolfe search.

    Example:
        >>> build_optimizer(nn.Linear(2, 2).parameters(), OptimizerSettings(name="radam")).__class__.__name__
        'RAdam'
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    decay = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    rate, momentum = settings.learning_rate, _momentum(settings)
    match settings.name:
        case "sgd" | "momentum" | "nesterov":
            return torch.optim.SGD(decay, lr=rate, momentum=momentum, nesterov=settings.name == "nesterov")
        case "rmsprop":
            return torch.optim.RMSprop(decay, lr=rate, momentum=momentum)
        case "rprop":
            return torch.optim.Rprop(trained, lr=rate)
        case "adagrad":
            return torch.optim.Adagrad(decay, lr=rate)
        case "adam":
            return torch.optim.Adam(decay, lr=rate)
        case "adamw":
            return torch.optim.AdamW(decay, lr=rate)
        case "radam":
            return torch.optim.RAdam(decay, lr=rate, decoupled_weight_decay=True)
        case "nadam":
            return torch.optim.NAdam(decay, lr=rate, decoupled_weight_decay=True)
        case "adamp":
            return AdamP(decay, lr=rate)
        case "lbfgs":
            # One update a batch, as of the others; torch's 20 would fit a batch before the next one is seen.
            search = {"max_iter": 1, "max_eval": 25, "history_size": 10, "line_search_fn": "strong_wolfe"}
            return torch.optim.LBFGS(trained, lr=rate, **search)


def searches(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step is searched for, by a closure that evaluates the loss and its gradient several times."""
    return isinstance(optimizer, torch.optim.LBFGS)


def check_strategy(settings: OptimizerSettings, strategy: Strategy) -> None:
    """Refuse an optimiser that evaluates a batch several times a step with a strategy that steps within the batch.

    Raises:
        ConfigurationError: for lbfgs with any strategy but `Full` and `Checkpointed`.
    """
    if settings.name == "lbfgs" and not isinstance(strategy, Full | Checkpointed):
        raise ConfigurationError(
            f"optimizer 'lbfgs' asks for the exact gradient of a whole batch several times a step, and {strategy!r} "
            "does not give it: use the strategy full or checkpointed, or another optimizer"
        )


def _momentum(settings: OptimizerSettings) -> float:
    if settings.momentum is None:
        return 0.9 if settings.name in ("momentum", "nesterov") else 0.0
    return settings.momentum


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
