"""One forward over a batch with every state in hand: what all of inspection looks at."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import ConfigurationError, DataError, UnsupportedError
from .._state import leaves, map_state, select
from .._types import Batch, Loss, State
from ..gradients import streams
from ..gradients.strategy import step_losses
from ..nn import CausalConv, Lags, Transformer
from ..nn.contract import accepted, batch_axes, has_state, initial_state
from ..nn.visiting import Place, visited
from ._trajectory import Trajectory, evaluated


@dataclass(frozen=True)
class Unrolled:
    """What `unroll` gives.

    Args:
        trajectories: of each recurrence; where the model has none, of its inputs.
        losses: ℓ_t [time, batch], part of the graph; zero where it does not count.
        weights: what each counts [time, batch].
        begun: for each step, the step its sequence has begun at [time, batch]: gradients do not pass a reset.
        batch: what was fed.
    """

    trajectories: tuple[Trajectory, ...]
    losses: Tensor
    weights: Tensor
    begun: Tensor
    batch: Batch

    @property
    def steps(self) -> int:
        """T."""
        return len(self.losses)

    @property
    def total(self) -> Tensor:
        """L = Σ_t w_t ℓ_t, over all sequences."""
        return (self.losses * self.weights).sum()

    @property
    def recurrent(self) -> bool:
        """Whether the model has a recurrence."""
        return all(trajectory.recurrent for trajectory in self.trajectories)

    def gradients(self, anchors: Sequence[int], trajectory: Trajectory) -> Iterator[list[list[Tensor]]]:
        """For each anchor s, ∂ℓ_s/∂z_t for each step t: the parts of the state, [batch, …]; sequences do not mix."""
        parts = [trajectory.parts(time) for time in range(self.steps)]
        flat = [part for step in parts for part in step]
        width = len(parts[0])
        rows = self.losses.sum(1)
        for anchor in anchors:
            found = torch.autograd.grad(rows[anchor], flat, retain_graph=True, allow_unused=True)
            full = [torch.zeros_like(part) if one is None else one for part, one in zip(flat, found, strict=True)]
            yield [full[at : at + width] for at in range(0, len(full), width)]

    def accumulated(self, trajectory: Trajectory) -> list[list[Tensor]]:
        """∂L/∂z_t for each step t: the parts of the state, [batch, …]."""
        parts = [trajectory.parts(time) for time in range(self.steps)]
        flat = [part for step in parts for part in step]
        found = torch.autograd.grad(self.total, flat, retain_graph=True, allow_unused=True)
        full = iter(torch.zeros_like(part) if one is None else one for part, one in zip(flat, found, strict=True))
        return [[next(full) for _ in step] for step in parts]


def unroll(model: nn.Module, batch: Batch, loss: Loss, *, steps: int = 2) -> Unrolled:
    """Run `model` over `batch` in evaluation mode, its recurrences step by step.

    Of layers and cells inside the model each step's state is cut; a model that has a state and none of these is fed
    one step at a time; of a model without a state the inputs of each step stand in its place.

    Args:
        steps: how many are needed.

    Raises:
        ShapeError: where the loss is not one value a step and sequence.
        DataError: for fewer steps, or values that are not finite, naming where they first are.
        ConfigurationError: where the loss depends on no state.
        UnsupportedError: where a recurrence is not run once over the whole batch.
    """
    _check_given(model, batch)
    sideways = bool(getattr(model, "batch_first", False))
    given = batch.inputs.shape[1 if sideways else 0]
    if given < steps:
        raise DataError(f"the batch has {given} steps, and to look back through time takes {steps} at least")
    batch, named = batch.segment(0, len(batch.inputs)), type(model).__name__
    _check_inputs(_time_first(batch) if sideways else batch)
    fed = taking_state(model)
    found: dict[str, Trajectory] = {}

    def visit(place: Place, x: Tensor, before: State, after: State) -> State:
        return found.setdefault(place.name, Trajectory(place)).add(x, before, after)

    with evaluated(model), torch.enable_grad(), visited(model, visit) as places:
        if places:
            values, weights, _ = step_losses(fed, batch, loss)
            trajectories = [found[place.name] for place in places if place.name in found]
        else:
            feed = _fed_by_step if has_state(model) and streams(model) and not remembers_inputs(model) else _fed_whole
            trajectory, values, weights = feed(fed, batch, loss)
            trajectories = [trajectory]
    if sideways:
        values, weights, batch = values.T, None if weights is None else weights.T, _time_first(batch)
    trajectories = tuple(in_order(trajectory, *values.shape) for trajectory in trajectories)
    _check(values, trajectories, named)
    weights = torch.ones_like(values) if weights is None else weights.detach().to(values)
    return Unrolled(trajectories, values, weights, begun_at(batch, values), batch)


def _time_first(batch: Batch) -> Batch:
    def turned(part: Tensor | None) -> Tensor | None:
        return None if part is None else part.transpose(0, 1)

    parts = {name: turned(getattr(batch, name)) for name in ("inputs", "targets", "resets", "weights")}
    return replace(batch, **parts)


def in_float64(model: nn.Module, batch: Batch) -> tuple[nn.Module, Batch]:
    """A copy of the model, and the batch, in double precision: what vanishes there has vanished."""

    def double(part: Any) -> Any:
        return part.double() if isinstance(part, Tensor) and part.is_floating_point() else part

    whole = batch.segment(0, len(batch.inputs))
    parts = {name: double(getattr(whole, name)) for name in ("inputs", "targets", "weights")}
    return deepcopy(model).double(), replace(whole, **parts)


def remembers_inputs(model: nn.Module) -> bool:
    """Whether its state is what it has read, and nothing that it made of it: windows and caches."""
    return any(isinstance(part, (CausalConv, Lags, Transformer)) for part in model.modules())


def taking_state(model: nn.Module) -> nn.Module:
    """`model`; around a plain module of torch's, `output = model(x)`, one that is given a state and ignores it."""
    parameters = inspect.signature(model.forward).parameters.values()
    needed = [one for one in parameters if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    return _Stateless(model) if len(needed) == 1 and not has_state(model) else model


class _Stateless(nn.Module):
    """Around a model without a state, one that gives none back."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, state: State = None, **marks: Tensor) -> tuple[Any, State]:
        given = (x,) if state is None else (x, state)
        output = self.model(*given, **accepted(self.model, type(self.model).__name__, **marks))
        return output if isinstance(output, tuple) else (output, None)


class Stepped(nn.Module):
    """A model that is fed one step at a time, its whole state cut after each."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        name = type(model).__name__
        place = Place(name, name, dict(model.named_parameters()), cell=model, step=self._again)
        self.trajectory = Trajectory(place)
        try:
            self.axes = batch_axes(model)
        except ValueError:
            raise UnsupportedError(
                f"{name} has a part of its state that all sequences share: it cannot be cut"
            ) from None

    def _again(self, x: Tensor, before: State) -> State:
        return self._batch_first(self.model(x[None], self._as_given(before))[1])

    def _batch_first(self, state: State) -> State:
        return map_state(lambda part, axis: part.movedim(axis, 0) if axis else part, state, self.axes)

    def _as_given(self, state: State) -> State:
        return map_state(lambda part, axis: part.movedim(0, axis) if axis else part, state, self.axes)

    def forward(self, x: Tensor, state: State, resets: Tensor | None = None, **marks: Tensor) -> tuple[Any, State]:
        before = self._batch_first(state)
        if resets is not None:
            fresh = initial_state(self.model, x.shape[1])
            before = select(resets[0], self._batch_first(fresh), before)
        taken = accepted(self.model, self.trajectory.name, **marks)
        output, made = self.model(x, self._as_given(before), **taken)
        kept = self._as_given(self.trajectory.add(x[0], before, self._batch_first(made)))
        for (_, old), (_, new) in zip(leaves(made), leaves(kept), strict=True):
            same = isinstance(output, Tensor) and old.numel() == output.numel()
            if same and torch.equal(old.reshape(output.shape), output):
                return new.reshape(output.shape), kept
        return output, kept


def _fed_by_step(model: nn.Module, batch: Batch, loss: Loss) -> tuple[Trajectory, Tensor, Tensor | None]:
    stepped, state = Stepped(model), initial_state(model, batch.inputs.shape[1])
    losses, weights = [], []
    for time in range(len(batch.inputs)):
        value, weight, state = step_losses(stepped, batch.segment(time, time + 1), loss, state)
        losses.append(value)
        weights.append(torch.ones_like(value) if weight is None else weight)
    return stepped.trajectory, torch.cat(losses), torch.cat(weights)


def _fed_whole(model: nn.Module, batch: Batch, loss: Loss) -> tuple[Trajectory, Tensor, Tensor | None]:
    """A model without a recurrence: what is looked at are its inputs, or what its embedding makes of them."""
    trajectory = Trajectory(Place("inputs", "inputs", {}), recurrent=False)

    def cut(x: Tensor) -> Tensor:
        return torch.stack([trajectory.add(row, None, row) for row in x.unbind(0)])

    if batch.inputs.is_floating_point():
        return (trajectory, *step_losses(model, replace(batch, inputs=cut(batch.inputs)), loss)[:2])
    embedding = next((part for part in model.modules() if isinstance(part, nn.Embedding)), None)
    if embedding is None:
        raise UnsupportedError(
            "the model has no recurrence, and reads symbols without an nn.Embedding: there is nothing that a gradient "
            "could flow back to"
        )
    handle = embedding.register_forward_hook(lambda *called: cut(called[-1]))
    try:
        return (trajectory, *step_losses(model, batch, loss)[:2])
    finally:
        handle.remove()


def _check_given(model: Any, batch: Any) -> None:
    if not isinstance(model, nn.Module):
        raise ConfigurationError(f"the model is a {type(model).__name__}: expected a torch.nn.Module")
    if not isinstance(batch, Batch):
        raise ConfigurationError(f"the batch is a {type(batch).__name__}: expected Batch(inputs, targets), time first")


def _check_inputs(batch: Batch) -> None:
    if not batch.inputs.is_floating_point():
        return
    for time, row in enumerate(batch.inputs):
        real = row if batch.lengths is None else row[(batch.lengths > time).to(row.device)]
        if not torch.isfinite(real).all():
            check_finite(row, "the input", time)


def in_order(trajectory: Trajectory, steps: int, sequences: int = 0) -> Trajectory:
    """The steps in the order of time."""
    taken = len(trajectory.after)
    if taken != steps:
        turned = "; it looks as if the module is batch_first inside: say batch_first = True in it, or transpose(0, 1)"
        raise UnsupportedError(
            f"{trajectory.name} took {taken} steps for {steps} losses: expected one a step, from a module that is "
            f"called once over the whole batch{turned if taken == sequences else ''}"
        )
    if not trajectory.place.reverse:
        return trajectory
    return Trajectory(
        trajectory.place, trajectory.inputs[::-1], trajectory.before[::-1], trajectory.after[::-1], trajectory.recurrent
    )


def _check(values: Tensor, trajectories: Sequence[Trajectory], name: str) -> None:
    """Refuse what nothing can be told of."""
    for trajectory in trajectories:
        for time in range(len(values)):
            for part_name, part in zip(trajectory.part_names(), trajectory.parts(time), strict=True):
                check_finite(part, f"{part_name} of {trajectory.name}", time)
    for time, row in enumerate(values):
        check_finite(row, "the loss", time)
    if not values.requires_grad:
        raise ConfigurationError(
            f"the loss of {name} is detached from its states: it was computed from .detach(), .item(), numpy or inside "
            "torch.no_grad(), and no gradient can flow back"
        )
    flat = [part for trajectory in trajectories for time in range(len(values)) for part in trajectory.parts(time)]
    if all(one is None for one in torch.autograd.grad(values.sum(), flat, retain_graph=True, allow_unused=True)):
        raise ConfigurationError(
            f"the loss of {name} does not depend on any of its states: its head reads something else, or the output of "
            "the recurrence is detached on the way"
        )


def check_finite(values: Tensor, what: str, time: int) -> None:
    """Refuse values [batch, …] of a step that are not finite, naming the first sequence.

    Raises:
        DataError: for NaN and infinities.
    """
    if torch.isfinite(values).all():
        return
    sequence = int((~torch.isfinite(values)).reshape(len(values), -1).any(1).nonzero()[0])
    kind = "NaN" if torch.isnan(values).any() else "infinite"
    raise DataError(f"{what} is {kind} at step {time} of sequence {sequence}, the first that is not finite")


def begun_at(batch: Batch, values: Tensor) -> Tensor:
    """Of each step of `values` [time, batch] the step at which its sequence has begun."""
    steps = torch.arange(len(values), device=values.device)[:, None].expand_as(values)
    if batch.resets is None:
        return torch.zeros_like(steps)
    return torch.where(batch.resets.to(values.device), steps, 0).cummax(0).values
