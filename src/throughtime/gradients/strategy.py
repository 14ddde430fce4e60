"""What every strategy is: settings, a declaration of what it promises, and a way through one batch."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .._errors import ConfigurationError, ShapeError, UnsupportedError
from .._types import Batch, Loss, Segment, State


class Strategy(ABC):
    """How far back, and with how much memory, the gradient of a loss travels.

    A subclass is a frozen dataclass that holds settings only and declares what it promises:

    Attributes:
        exact: whether the gradient is that of the whole sequence.
        unbiased: whether it is so on average.
        memory: how its memory grows with the number of steps T, as in "O(T)".
        whole: whether it sees a whole sequence at once, so that a model that cannot be fed in pieces may use it.
    """

    exact: ClassVar[bool]
    unbiased: ClassVar[bool]
    memory: ClassVar[str]
    whole: ClassVar[bool] = False

    @abstractmethod
    def segments(self, model: nn.Module, batch: Batch, loss: Loss, carry: State = None) -> Iterator[Segment]:
        """Walk through `batch`; at each yield the gradient of that segment's summed loss has been added to `.grad`.

        Nothing is zeroed and nothing divided: the caller zeroes, divides by `count`, clips and steps, and may do so
        at every yield.
        """

    def check(self, model: nn.Module) -> None:
        """Refuse, in words, a model that this strategy cannot feed in pieces."""
        if not self.whole and not streams(model):
            raise UnsupportedError(
                f"{type(self).__name__} feeds a sequence in pieces, and {type(model).__name__} cannot take it so "
                "(bidirectional, batch_first, or streams = False): use Full()"
            )


def streams(model: nn.Module) -> bool:
    """Whether `output, state = model(x, state)` may be called on consecutive pieces of a time-first sequence."""
    declared = getattr(model, "streams", None)
    if declared is not None:
        return bool(declared)
    return not (getattr(model, "bidirectional", False) or getattr(model, "batch_first", False))


def summed_loss(model: nn.Module, batch: Batch, loss: Loss, state: State) -> tuple[Tensor, Tensor, State]:
    """One forward over `batch`: the weighted sum of its losses, the sum of the weights, and the state after it."""
    output, state = model(batch.inputs, state, **_extras(model, batch))
    values = loss(output, batch.targets)
    expected = tuple(batch.inputs.shape[:2])
    if tuple(values.shape) != expected:
        raise ShapeError(
            f"the loss is {list(values.shape)}, expected one value a step and sequence, {list(expected)}: "
            "do not reduce it (reduction='none'), and sum over features"
        )
    weights = _weights(model, batch, values)
    if weights is None:
        return values.sum(), torch.tensor(float(values.numel()), device=values.device), state
    kept = torch.where(weights != 0, values, torch.zeros((), dtype=values.dtype, device=values.device))
    return (kept * weights).sum(), weights.sum(), state


def add_gradient(loss_sum: Tensor) -> None:
    """Backward, with a clear word where there is nothing to send back."""
    if not loss_sum.requires_grad:
        raise ConfigurationError(
            "the loss does not depend on any parameter that requires a gradient: the model is frozen, "
            "its output was detached, or gradients are disabled here"
        )
    loss_sum.backward()


def _extras(model: nn.Module, batch: Batch) -> dict[str, Any]:
    extras = {name: value for name in ("lengths", "resets") if (value := getattr(batch, name)) is not None}
    accepted = inspect.signature(model.forward).parameters
    for name in extras:
        if name not in accepted:
            raise UnsupportedError(
                f"the batch has {name} but {type(model).__name__} takes none: use throughtime's layer of that name, "
                "or wrap the cell in Recurrent"
            )
    return extras


def _weights(model: nn.Module, batch: Batch, values: Tensor) -> Tensor | None:
    weights = None if batch.weights is None else batch.weights.to(values)
    if batch.lengths is None:
        return weights
    time_axis = 1 if getattr(model, "batch_first", False) else 0
    steps = torch.arange(values.shape[time_axis], device=values.device)
    lengths = batch.lengths.to(values.device)
    valid = steps < lengths[:, None] if time_axis == 1 else steps[:, None] < lengths
    return valid.to(values.dtype) if weights is None else torch.where(valid, weights, torch.zeros_like(weights))
