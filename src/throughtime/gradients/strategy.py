"""What every strategy is: settings, a declaration of what it promises, and a way through one batch."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .._errors import ConfigurationError, ShapeError, UnsupportedError
from .._state import detach
from .._types import Batch, Loss, Segment, State
from ..nn.contract import accepted, has_state, streams


class Strategy(ABC):
    """How far back, and with how much memory, the gradient of a loss travels.

    A subclass is a frozen dataclass that holds settings only and declares what it promises:

    Attributes:
        exact: whether the gradient is that of the whole sequence.
        unbiased: whether it is so on average.
        memory_order: how its memory grows with the number of steps T, as in "O(T)".
        time_order: what it costs, counted in forwards over the sequence; the backward comes on top.
        when: whom it is for, in a few words.
        whole: whether it sees a whole sequence at once, so that a model that cannot be fed in pieces may use it.
    """

    exact: ClassVar[bool]
    unbiased: ClassVar[bool]
    memory_order: ClassVar[str]
    time_order: ClassVar[str]
    when: ClassVar[str]
    whole: ClassVar[bool] = False

    @abstractmethod
    def segments(self, model: nn.Module, batch: Batch, loss: Loss, carry: State = None) -> Iterator[Segment]:
        """Walk through `batch`; at each yield the gradient of that segment's summed loss has been added to `.grad`.

        A batch without a step has no segment.

        Nothing is zeroed and nothing divided: the caller zeroes, divides by `count`, clips and steps, and may do so
        at every yield.
        """

    def packed(self, state: State, kept: State) -> State:
        """A carry: the model's state, and what this strategy keeps beside it."""
        return {"state": state, f"kept by {type(self).__name__}": kept}

    def unpacked(self, carry: State) -> tuple[State, State]:
        """The model's state in a carry, detached, and what this strategy has kept: `None` where another one has."""
        if isinstance(carry, Segment):
            raise ConfigurationError("the carry is a Segment: pass on its .carry")
        names = [name for name in carry if str(name).startswith("kept by ")] if isinstance(carry, dict) else []
        if not names:
            return detach(carry), None
        return detach(carry["state"]), carry.get(f"kept by {type(self).__name__}")

    def check(self, model: nn.Module, batch: Batch | None = None, loss: Loss | None = None) -> None:
        """Refuse, in words, a model that this strategy cannot feed in pieces, or, where one is given, such a batch.

        Raises:
            UnsupportedError, ConfigurationError: what `segments` would raise before the first gradient.
        """
        if not self.whole and not streams(model):
            raise UnsupportedError(
                f"{type(self).__name__} feeds a sequence in pieces, and {type(model).__name__} cannot take it so "
                "(bidirectional, batch_first, or streams = False): use Full(), or say streams = True in a module that "
                "turns these round itself"
            )
        if not self.whole and any(isinstance(part, _BatchNorm) and part.training for part in model.modules()):
            raise UnsupportedError(
                f"{type(self).__name__} feeds a sequence in pieces, and {type(model).__name__} normalises over a batch "
                "in training mode, where each piece has a mean and variance of its own: use Full(), or layers without"
            )


def forward(model: nn.Module, batch: Batch, state: State) -> tuple[Any, State]:
    """`output, state = model(batch.inputs, state)`, with the lengths and resets that the batch has.

    Raises:
        UnsupportedError: where the batch has lengths or resets and the model takes none, or lengths and the model is
            batch_first.
    """
    if batch.lengths is not None and getattr(model, "batch_first", False):
        raise UnsupportedError(
            f"the batch has lengths but {type(model).__name__} is batch_first: lengths need a time-first model, "
            "batch_first=False, and inputs [time, batch, …]"
        )
    extras = accepted(model, type(model).__name__, lengths=batch.lengths, resets=batch.resets)
    try:
        output, state = model(batch.inputs, state, **extras)
    except (AttributeError, TypeError, ValueError):
        _check_contract(model)
        raise
    return output, state


def _check_contract(model: nn.Module) -> None:
    """Refuse a model whose forward takes no state, or wants something else second; else, what went wrong is its own."""
    taken = inspect.signature(model.forward)
    try:
        second = list(taken.bind(None, None).arguments)[1:]
    except TypeError:
        second = []
    wanting = second and taken.parameters[second[0]].default is inspect.Parameter.empty and not has_state(model)
    if wanting or not second:
        raise UnsupportedError(
            f"{type(model).__name__} takes {taken}, expected a model that keeps "
            "output, state = model(x, state): a recurrent layer, a SequenceModel, or a module of your own"
        ) from None


@torch.no_grad()
def advance(model: nn.Module, batch: Batch, state: State) -> State:
    """The state after `batch`, with no gradient kept; a model that has an `advance` of its own leaves its head out."""
    own = getattr(model, "advance", None)
    if own is None or not {"lengths", "resets"} <= inspect.signature(own).parameters.keys():
        return forward(model, batch, state)[1]
    return own(batch.inputs, state, lengths=batch.lengths, resets=batch.resets)


def summed_loss(model: nn.Module, batch: Batch, loss: Loss, state: State) -> tuple[Tensor, Tensor, State]:
    """One forward over `batch`: the weighted sum of its losses, the sum of the weights, and the state after it.

    Raises:
        UnsupportedError: as `forward`.
        ShapeError: where the loss is not one value a step and sequence.
    """
    values, weights, state = step_losses(model, batch, loss, state)
    exact = torch.promote_types(values.dtype, torch.float32)  # half precision cannot count
    if weights is None:
        return values.sum(dtype=exact), torch.tensor(float(values.numel()), device=values.device), state
    return (values * weights).sum(dtype=exact), weights.sum(dtype=exact), state


def step_losses(model: nn.Module, batch: Batch, loss: Loss, state: State = None) -> tuple[Tensor, Tensor | None, State]:
    """One forward over `batch`: the loss of each step [time, batch], what each counts, and the state after it.

    What does not count is zero, whatever the loss makes of it; the weights are `None` where all count once.

    Raises:
        UnsupportedError: as `forward`.
        ShapeError: where the loss is not one value a step and sequence.
    """
    output, state = forward(model, batch, state)
    values = loss(output, _counted_targets(batch))
    expected = tuple(batch.inputs.shape[:2])
    if tuple(values.shape) != expected:
        raise ShapeError(
            f"the loss is {list(values.shape)}, expected one value a step and sequence, {list(expected)}: "
            "do not reduce it (reduction='none'), and sum over features"
        )
    weights = _weights(batch, values)
    if weights is not None:
        values = torch.where(weights != 0, values, torch.zeros((), dtype=values.dtype, device=values.device))
    return values, weights, state


def add_gradient(loss_sum: Tensor) -> None:
    """Backward, with a clear word where there is nothing to send back."""
    if not loss_sum.requires_grad:
        raise ConfigurationError(
            "the loss does not depend on any parameter that requires a gradient: the model is frozen, "
            "its output was detached, or gradients are disabled here"
        )
    loss_sum.backward()


def _counted_targets(batch: Batch) -> Tensor:
    """The targets, zero where they do not count: a NaN there would come back in the gradient, times zero or not."""
    targets = batch.targets
    counts = None if not targets.is_floating_point() else _weights(batch, targets.new_ones(targets.shape[:2]))
    if counts is None:
        return targets
    beside = (counts != 0).reshape(*counts.shape, *(1,) * (targets.dim() - 2))
    return torch.where(beside, targets, torch.zeros((), dtype=targets.dtype, device=targets.device))


def _weights(batch: Batch, values: Tensor) -> Tensor | None:
    weights = None if batch.weights is None else batch.weights.to(values)
    if batch.lengths is None:
        return weights
    valid = torch.arange(len(values), device=values.device)[:, None] < batch.lengths.to(values.device)
    return valid.to(values.dtype) if weights is None else torch.where(valid, weights, torch.zeros_like(weights))
