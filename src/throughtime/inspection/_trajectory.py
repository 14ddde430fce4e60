"""The states of one recurrence through a batch, cut after each step, and its steps taken again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .._errors import UnsupportedError
from .._state import leaves, map_state, numbers, tracked
from .._types import State
from ..nn.visiting import Place


@dataclass
class Trajectory:
    """One recurrence through a batch, in the order of time.

    Args:
        place: which it is.
        inputs: x_t [batch, feature] of each step.
        before: the state that each step read.
        after: the state z_t after each step, cut there: the next step, the layer above and the loss all read this very
            tensor, so that its gradient is all that is owed to it.
        recurrent: whether the states are a recurrence's, and not the inputs of a model that has none.
    """

    place: Place
    inputs: list[Tensor] = field(default_factory=list)
    before: list[State] = field(default_factory=list)
    after: list[State] = field(default_factory=list)
    recurrent: bool = True

    @property
    def reads_past_cut(self) -> bool:
        """Whether a step's own output is made from its state before the cut: what its loss owes to it goes unseen."""
        return self.place.apart and len(self.parts(0)) > 1

    @property
    def name(self) -> str:
        """The place's name."""
        return self.place.name

    def parts(self, time: int) -> list[Tensor]:
        """The tensors of z_t that have gradients: h; or h and C."""
        return numbers(self.after[time])

    def part_names(self) -> tuple[str, ...]:
        """h, or h and C of an LSTM; the paths in another state."""
        names = [name for name, part in leaves(self.after[0]) if part.is_floating_point()]
        if len(names) == 1:
            return ("h",) if self.recurrent else ("x",)
        return ("h", "C") if names == ["0", "1"] else tuple(names)

    def only(self, samples: list[int]) -> Trajectory:
        """These sequences alone, apart from any graph."""

        def chosen(part: Tensor) -> Tensor:
            return part.detach()[samples]

        kept = ([map_state(chosen, step) for step in steps] for steps in (self.inputs, self.before, self.after))
        return Trajectory(self.place, *kept, recurrent=self.recurrent)

    def again(self, times: Iterable[int] | None = None) -> tuple[Tensor, State, State]:
        """Steps taken once more, side by side as one batch [time × batch]: what they read, leaves, and what they gave.

        Args:
            times: which, by default all.

        Raises:
            UnsupportedError: where there is no step that can be taken again.
        """
        place, chosen = self.place, range(len(self.inputs)) if times is None else [*times]
        if place.step is None or place.cell is None:
            raise UnsupportedError(f"{self.name} has no steps: the model has no recurrence")
        x = torch.cat([self.inputs[time] for time in chosen]).detach()
        read = [self.before[time] for time in chosen]
        x, before = tracked(x), map_state(lambda *parts: tracked(torch.cat(parts)), *read)
        with torch.enable_grad(), evaluated(place.cell):
            return x, before, place.step(x, before)

    def add(self, x: Tensor, before: State, after: State) -> State:
        """Keep a step; its state, cut.

        A state of one tensor is its own cut: where the cell's output is made from it, and is no part of it, that
        gradient is owed to it too.
        """
        alone = sum(part.is_floating_point() for _, part in leaves(after)) == 1
        passed = {id(x), *(id(part) for _, part in leaves(before))}
        after = map_state(lambda part: part if alone and _made(part) and id(part) not in passed else _cut(part), after)
        self.inputs.append(x)
        self.before.append(before)
        self.after.append(after)
        return after


@contextmanager
def evaluated(model: nn.Module) -> Iterator[None]:
    """Inside, `model` is in evaluation mode: what noise does to a gradient is not what it is asked about."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _made(part: Tensor) -> bool:
    return part.is_floating_point() and part.grad_fn is not None


def _cut(part: Tensor) -> Tensor:
    if not part.is_floating_point():
        return part
    return part.view_as(part) if part.requires_grad else part.detach().requires_grad_()
