"""One forward over a batch with every state in hand: what all of inspection looks at."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
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
        return [part for _, part in leaves(self.after[time]) if part.is_floating_point()]

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
    fed = taking_state(model)
    found: dict[str, Trajectory] = {}

    def visit(place: Place, x: Tensor, before: State, after: State) -> State:
        return found.setdefault(place.name, Trajectory(place)).add(x, before, after)

    with evaluated(model), torch.enable_grad(), visited(model, visit) as places:
        if places:
            values, weights, _ = step_losses(fed, batch, loss)
            trajectories = [found[place.name] for place in places if place.name in found]
        else:
            feed = _fed_by_step if has_state(model) and streams(model) and not _known(model) else _fed_whole
            trajectory, values, weights = feed(fed, batch, loss)
            trajectories = [trajectory]
    if sideways:
        values, weights, batch = values.T, None if weights is None else weights.T, _time_first(batch)
    trajectories = tuple(_in_order(trajectory, *values.shape) for trajectory in trajectories)
    _check(values, trajectories, named)
    weights = torch.ones_like(values) if weights is None else weights.detach().to(values)
    return Unrolled(trajectories, values, weights, _begun(batch, values), batch)


def _time_first(batch: Batch) -> Batch:
    def turned(part: Tensor | None) -> Tensor | None:
        return None if part is None else part.transpose(0, 1)

    parts = {name: turned(getattr(batch, name)) for name in ("inputs", "targets", "resets", "weights")}
    return replace(batch, **parts)


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


def in_float64(model: nn.Module, batch: Batch) -> tuple[nn.Module, Batch]:
    """A copy of the model, and the batch, in double precision: what vanishes there has vanished."""

    def double(part: Any) -> Any:
        return part.double() if isinstance(part, Tensor) and part.is_floating_point() else part

    whole = batch.segment(0, len(batch.inputs))
    parts = {name: double(getattr(whole, name)) for name in ("inputs", "targets", "weights")}
    return deepcopy(model).double(), replace(whole, **parts)


def _known(model: nn.Module) -> bool:
    """Whether its state is what it has read, and nothing that it made of it: windows and caches."""
    return any(isinstance(part, (CausalConv, Lags, Transformer)) for part in model.modules())


def _made(part: Tensor) -> bool:
    return part.is_floating_point() and part.grad_fn is not None


def _cut(part: Tensor) -> Tensor:
    if not part.is_floating_point():
        return part
    return part.view_as(part) if part.requires_grad else part.detach().requires_grad_()


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


class _Stepped(nn.Module):
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
    stepped, state = _Stepped(model), initial_state(model, batch.inputs.shape[1])
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
    if (
        isinstance(batch.inputs, Tensor)
        and batch.inputs.is_floating_point()
        and not getattr(model, "batch_first", False)
    ):
        for time, row in enumerate(batch.inputs):
            real = row if batch.lengths is None else row[(batch.lengths > time).to(row.device)]
            if not torch.isfinite(real).all():
                check_finite(row, "the input", time)


def _in_order(trajectory: Trajectory, steps: int, sequences: int = 0) -> Trajectory:
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
    if torch.isfinite(values).all():
        return
    sequence = int((~torch.isfinite(values)).reshape(len(values), -1).any(1).nonzero()[0])
    kind = "NaN" if torch.isnan(values).any() else "infinite"
    raise DataError(f"{what} is {kind} at step {time} of sequence {sequence}, the first that is not finite")


def _begun(batch: Batch, values: Tensor) -> Tensor:
    steps = torch.arange(len(values), device=values.device)[:, None].expand_as(values)
    if batch.resets is None:
        return torch.zeros_like(steps)
    return torch.where(batch.resets.to(values.device), steps, 0).cummax(0).values
