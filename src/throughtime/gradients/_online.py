"""What gradients that travel forward in time share: the way through a batch, and a model's step as a function."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .._errors import UnsupportedError
from .._state import detach, leaves, map_state, numbers, tracked
from .._types import Batch, Loss, Segment, State
from ..nn.contract import initial_state
from ._meter import kept
from ._random import Replay
from .strategy import Strategy, add_gradient, advance, forward, summed_loss


class Online(Strategy):
    """Gradients carried forward in time beside the state, as an account of how it depends on the parameters.

    A step's loss is a function of the state before it: its gradient is what it owes to its own step and, through that
    account, to all steps before. Nothing of the past is kept, and the caller may step the optimiser at every step; what
    the account tells of earlier steps is then of the parameters as they were.
    """

    memory_order = "O(1)"

    def check(self, model: nn.Module, batch: Batch | None = None, loss: Loss | None = None) -> None:
        """As every strategy's; with a batch, whether the account can be kept."""
        super().check(model)
        if batch is not None and batch.inputs.shape[0]:
            piece = batch.segment(0, 1)
            self._begun(model, piece, first_state(model, piece.inputs.shape[1]))

    def segments(self, model: nn.Module, batch: Batch, loss: Loss, carry: State = None) -> Iterator[Segment]:
        """One segment a step."""
        self.check(model)
        state, account = self.unpacked(carry)
        for time in range(batch.inputs.shape[0]):
            piece = batch.segment(time, time + 1)
            if state is None:
                state = first_state(model, piece.inputs.shape[1])
            again = Replay(model)
            if account is None:
                account = self._begun(model, piece, state)
            before = tracked(state)
            with again():
                loss_sum, count, after = summed_loss(model, piece, loss, before)
            add_gradient(loss_sum)
            step = OnlineStep(model, piece, state, again)
            self.credit(step, account, [part.grad for part in step.floats(before)])
            account = kept(detach(self.follow(step, account)))
            state = detach(after)
            yield Segment(time, time + 1, loss_sum.detach(), count, self.packed(state, account))

    def _begun(self, model: nn.Module, piece: Batch, state: State) -> State:
        """The account before the first step, which is tried, for what it draws, and undone."""
        again = Replay(model)
        with again.undone():
            with again():
                advance(model, piece, state)
            return self.begin(OnlineStep(model, piece, state, again))

    @abstractmethod
    def begin(self, step: OnlineStep) -> State:
        """The account before the first step.

        Raises:
            UnsupportedError: where it would be too large, or the model is not of the kind that is meant.
        """

    @abstractmethod
    def credit(self, step: OnlineStep, account: State, cotangents: Sequence[Tensor | None]) -> None:
        """Add to `.grad` what the gradient of the state before a step, part by part, means for the parameters."""

    @abstractmethod
    def follow(self, step: OnlineStep, account: State) -> State:
        """The account after the step."""


class OnlineStep:
    """One step of a model from a state: what comes after it, as a function of parameters and state.

    Args:
        again: makes the step draw what it has drawn when it was run at first.

    Attributes:
        parameters: those that are trained.
        parts: all tensors of the state before the step.
    """

    def __init__(self, model: nn.Module, piece: Batch, state: State, again: Replay) -> None:
        self.model, self.piece, self.state, self.again = model, piece, state, again
        self._module = _Step(model)
        trained = {name: part for name, part in self._module.named_parameters() if part.requires_grad}
        self._names, self.parameters = tuple(trained), tuple(trained.values())
        self.parts = tuple(part for _, part in leaves(state))

    def floats(self, state: State) -> list[Tensor]:
        """Those tensors of a state that have gradients; counters have none."""
        return numbers(state)

    def after(self, parameters: Sequence[Tensor], floats: Sequence[Tensor], piece: Batch | None = None) -> list[Tensor]:
        """The floating-point tensors of the state after the step.

        Raises:
            UnsupportedError: where the state changes its form in a step.
        """
        given = iter(floats)
        state = map_state(lambda part: next(given) if part.is_floating_point() else part, self.state)
        named = dict(zip(self._names, parameters, strict=True))
        try:
            with self.again():
                found = self.floats(functional_call(self._module, named, (piece or self.piece, state)))
        except UnsupportedError:
            raise
        except NotImplementedError as error:
            layers = any(isinstance(part, nn.RNNBase) for part in self.model.modules())
            fix = "accelerate(model), or its cell in Recurrent" if layers else "Truncated() or Full()"
            raise UnsupportedError(
                f"{type(self.model).__name__} has no derivative forward ({str(error).splitlines()[0]}): use {fix}"
            ) from None
        if [part.shape for part in found] != [part.shape for part in floats]:
            raise UnsupportedError(
                f"the state of {type(self.model).__name__} changes its form in a step (variational dropout, or a state "
                "that grows): gradients that travel forward in time need one that keeps it; use Truncated() or Full()"
            )
        return found

    @property
    def draws(self) -> bool:
        """Whether the step has drawn random numbers."""
        return self.again.drew()

    @property
    def elementwise(self) -> bool:
        """Whether no unit's next state depends on another unit's, as the cell declares."""
        return any(getattr(module, "elementwise", False) for module in self.model.modules())

    def influences(self) -> list[bool]:
        """For each parameter, whether the state after the step is computed from it: a head's is not."""
        parameters, after = self.traced(self.floats(self.state))
        touched = [part.sum() for part in after if part.requires_grad]
        if not touched:
            return [False] * len(parameters)
        return [found is not None for found in torch.autograd.grad(touched, parameters, allow_unused=True)]

    def traced(self, floats: Sequence[Tensor], piece: Batch | None = None) -> tuple[list[Tensor], list[Tensor]]:
        """Copies of the parameters, and the state after a step that has been taken with them, for gradients."""
        parameters = [parameter.detach().requires_grad_() for parameter in self.parameters]
        with torch.enable_grad():
            return parameters, self.after(parameters, floats, piece)


class _Step(nn.Module):
    """A module around a model, whose parameters can be replaced for one call."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, piece: Batch, state: State) -> State:
        return forward(self.model, piece, state)[1]


def first_state(model: nn.Module, batch_size: int) -> State:
    """The state before the first step.

    Raises:
        UnsupportedError: where it is learnt, or the model tells none.
    """
    state = initial_state(model, batch_size)
    if any(part.requires_grad for _, part in leaves(state)):
        raise UnsupportedError(
            f"the initial state of {type(model).__name__} is learnt, and a gradient that travels forward in time would "
            "miss what all later losses owe to it: use Full() or Checkpointed()"
        )
    return state


def add_to_gradient(parameter: Tensor, gradient: Tensor) -> None:
    """`.grad += gradient`."""
    parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad.add_(gradient)


def pairs(parts: Sequence[Tensor | None], others: Sequence[Any]) -> Iterator[tuple[Tensor, Any]]:
    """Both side by side, but where the first is nothing."""
    return ((part, other) for part, other in zip(parts, others, strict=True) if part is not None)
