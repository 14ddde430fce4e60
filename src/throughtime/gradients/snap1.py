"""Sparse n-step approximation of real-time recurrent learning, for n = 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import jacrev, jvp, vmap

from .._errors import UnsupportedError
from .._state import map_state, select
from .._types import Batch, State
from ..nn.contract import batch_axes, initial_state
from ._online import Online, OnlineStep, add_to_gradient, pairs
from .strategy import advance

_PROBES = 4
_NEAR = 1e-3


@dataclass(frozen=True)
class SnAp1(Online):
    """The influence of each parameter on the one unit that it acts on within a step; on others it is taken to be zero.

    Of `RTRL`'s influence J_t = D_t J_{t−1} + ∂h_t/∂θ only those numbers are kept that are not zero after one step: each
    row of a recurrent layer's weights acts on the unit it belongs to. So J takes P × B numbers for each tensor of the
    state instead of P × B × S, and of D only what a unit owes to itself is needed. The gradient is biased: what reaches
    a unit by way of others is missing. Where units do not depend on each other it is exact.

    Which unit a parameter acts on is found from the model itself, by a few random steps. Parameters that act on several
    units at once, as those of an embedding before the layer, get the gradient of each step's own loss alone; so do the
    numbers of a parameter that no such step has moved, as those of a rectified unit that was always off.

    Raises:
        UnsupportedError: where the state has several layers, or tensors of different numbers of units.

    Example:
        >>> from throughtime import Batch, GRUCell, Recurrent
        >>> model = Recurrent(GRUCell(2, 3))
        >>> batch = Batch(torch.randn(5, 4, 2), torch.randn(5, 4, 3))
        >>> squared_error = lambda output, target: (output - target).square().sum(-1)
        >>> [segment.stop for segment in SnAp1().segments(model, batch, squared_error)]
        [1, 2, 3, 4, 5]

    References:
        Menick, Elsen, Evci, Osindero, Simonyan & Graves, "Practical real time recurrent learning with a sparse
        approximation", ICLR 2021, https://arxiv.org/abs/2006.07232.
    """

    exact = False
    unbiased = False
    memory_order = "O(1): parameters × batch"
    time_order = "about the number of units"
    when = "learning at every step, with networks too large for RTRL"

    def begin(self, step: OnlineStep) -> State:
        """No influence of anything."""
        reason = obstacle(step)
        if reason is not None:
            raise UnsupportedError(reason)
        return begin(step)

    def credit(self, step: OnlineStep, account: State, cotangents: Sequence[Tensor | None]) -> None:
        """∂ℓ/∂h J."""
        credit(step, account, cotangents)

    def follow(self, step: OnlineStep, account: State) -> State:
        """D J + ∂h/∂θ, each parameter at its own unit."""
        return follow(step, account)


def obstacle(step: OnlineStep) -> str | None:
    """Why such an account cannot be kept."""
    name, batch = type(step.model).__name__, step.piece.inputs.shape[1]
    if step.draws:
        return (
            f"{name} draws random numbers in a step (dropout), which cannot be drawn again for each sequence alone: "
            "use a dropout of 0 (--dropout 0), UORO() or Truncated()"
        )
    state = _chosen(step.floats(step.state), _influenced(step))
    if len({part.shape[-1] for part in state}) != 1 or any(part.numel() != batch * part.shape[-1] for part in state):
        return (
            f"SnAp1 needs one recurrent layer, whose state is [batch, unit]; {name} has "
            f"{[list(part.shape) for part in state]}: use RTRL() or UORO()"
        )
    return None


def begin(step: OnlineStep) -> State:
    """Which tensors of the state depend on parameters; for each parameter whose numbers act on one unit each, which
    one, −1 where that is not known, and its influence, [batch, tensor of state, …].
    """
    batch, parts = step.piece.inputs.shape[1], _influenced(step)
    state = _chosen(step.floats(step.state), parts)
    entries = tuple(
        None if unit is None else {"unit": unit, "influence": state[0].new_zeros(batch, len(state), *unit.shape)}
        for unit in _units(step, parts, state[0].shape[-1])
    )
    return {"parts": torch.tensor(parts), "entries": entries}


def credit(step: OnlineStep, account: State, cotangents: Sequence[Tensor | None]) -> None:
    """Add ∂ℓ/∂h J to `.grad`."""
    rows = [
        None if cotangent is None else cotangent.movedim(axis, 0).flatten(1)
        for cotangent, axis in _chosen(list(zip(cotangents, _float_axes(step), strict=True)), account["parts"])
    ]
    for parameter, own in zip(step.parameters, account["entries"], strict=True):
        if own is None:
            continue
        for row, influence in pairs(rows, own["influence"].unbind(1)):
            add_to_gradient(parameter, (row[:, own["unit"]] * influence).sum(0))


def follow(step: OnlineStep, account: State) -> State:
    """D J + ∂h/∂θ."""
    step, parts = _begun(step), account["parts"].tolist()
    own = _own(step, parts)  # [batch, after, before, unit]
    at_once = _at_once(step, parts, account["entries"])
    active = None if step.piece.lengths is None else step.piece.lengths > 0
    resets = None if step.piece.resets is None else step.piece.resets[0]
    followed = []
    for entry, direct in zip(account["entries"], at_once, strict=True):
        if entry is None or direct is None:
            followed.append(None)
            continue
        before = entry["influence"]
        kept = before if resets is None else torch.where(_wide(resets, before), 0, before)
        after = direct + (own[..., entry["unit"]] * kept[:, None]).sum(2)
        after = torch.where(entry["unit"] < 0, 0, after)
        influence = after if active is None else torch.where(_wide(active, before), after, before)
        followed.append({"unit": entry["unit"], "influence": influence})
    return {"parts": account["parts"], "entries": tuple(followed)}


def _influenced(step: OnlineStep) -> list[bool]:
    """Which tensors of the state depend on the parameters, at once or by way of others: lags do not."""
    state = step.floats(step.state)
    parts = [False] * len(state)
    while True:
        marked = [part.detach().requires_grad_(own) for part, own in zip(state, parts, strict=True)]
        found = [part.requires_grad for part in step.traced(marked)[1]]
        if found == parts:
            return parts
        parts = found


def _own(step: OnlineStep, chosen: Sequence[bool]) -> Tensor:
    """How each unit depends on itself: [batch, tensor after, tensor before, unit]."""
    parameters, state = [parameter.detach() for parameter in step.parameters], step.floats(step.state)
    axes, plain = _float_axes(step), Batch(step.piece.inputs, step.piece.inputs)
    places = [place for place, own in enumerate(chosen) if own]
    units = state[places[0]].shape[-1]

    def along(tangent: Tensor, which: int) -> tuple[Tensor, ...]:
        tangents = tuple(
            tangent.expand_as(part) if index == which else torch.zeros_like(part) for index, part in enumerate(state)
        )
        found = jvp(lambda *parts: tuple(step.after(parameters, parts, plain)), tuple(state), tangents)[1]
        return tuple(found[place].movedim(axes[place], 0).flatten(1) for place in places)

    columns = []
    for which in places:
        if step.elementwise:
            found = along(state[which].new_ones(units), which)
        else:
            one_each = torch.eye(units, dtype=state[which].dtype, device=state[which].device)
            rows = vmap(lambda row, w=which: along(row, w), randomness="same")(one_each)
            found = [part.diagonal(0, 0, 2) for part in rows]
        columns.append(torch.stack(list(found), 1))
    return torch.stack(columns, 2)


def _at_once(step: OnlineStep, chosen: Sequence[bool], entries: State) -> list[Tensor | None]:
    """∂h_t/∂θ of each sequence at each parameter's own unit: [batch, tensor of state, …]."""
    parameters = [parameter.detach() for parameter in step.parameters]
    places = [place for place, own in enumerate(entries) if own is not None]
    if not places:
        return [None] * len(parameters)
    axes = tuple(_batch_axes(step))

    def sums(local: tuple[Tensor, ...], x: Tensor, *parts: Tensor) -> Tensor:
        given = list(parameters)
        for place, parameter in zip(places, local, strict=True):
            given[place] = parameter
        whole = [part.unsqueeze(axis) for part, axis in zip(parts, axes, strict=True)]
        remaining = iter(whole)
        alone = OnlineStep(step.model, step.piece, map_state(lambda _: next(remaining), step.state), step.again)
        inputs = x[None, None]
        after = alone.after(given, alone.floats(alone.state), Batch(inputs, inputs))
        return torch.stack([part.sum() for part in _chosen(after, chosen)])

    local = tuple(parameters[place] for place in places)
    per_sequence = vmap(jacrev(sums), in_dims=(None, 0, *axes), randomness="same")
    found = per_sequence(local, step.piece.inputs[0], *step.parts)
    direct: list[Tensor | None] = [None] * len(parameters)
    for place, part in zip(places, found, strict=True):
        direct[place] = part
    return direct


def _units(step: OnlineStep, chosen: Sequence[bool], units: int) -> list[Tensor | None]:
    """For each parameter the unit that each of its numbers acts on; `None` where there is not one alone.

    The gradient of Σ_j v_j h_j, for two v, tells: where a number acts on unit u alone, they are as v_u to v_u. Where
    all are 0, that step does not tell: another may. Of a number that none tells of, the unit is −1. A large gradient
    that is no such multiple belongs to several units; a small one may be rounding.
    """
    ramp = torch.arange(1, units + 1)
    largest: list[Tensor] = [torch.zeros_like(parameter) for parameter in step.parameters]
    unit = [torch.full_like(parameter, -1, dtype=torch.long) for parameter in step.parameters]
    alone = [True] * len(step.parameters)
    step = _underway(step)
    for plain, ramped, mixed, random in (_probed(step, chosen, ramp) for _ in range(_PROBES)):
        for place, (one, two, three) in enumerate(zip(plain, ramped, mixed, strict=True)):
            size = one.abs()
            found = (two / torch.where(size > 0, one, 1)).round().long() - 1
            inside = (found >= 0) & (found < units)
            expected = random.to(one)[found.clamp(0, units - 1)] * one
            fits = inside & ((three - expected).abs() <= _NEAR * (size + expected.abs()))
            large = size > _NEAR * size.max() if size.numel() else size > 0
            alone[place] &= bool(fits[large].all())
            better = fits & (size > largest[place])
            unit[place] = torch.where(better, found, unit[place])
            largest[place] = torch.where(better, size, largest[place])
    return [
        found if single and bool(size.any()) else None for found, single, size in zip(unit, alone, largest, strict=True)
    ]


def _underway(step: OnlineStep) -> OnlineStep:
    """The same step amid a sequence: at its beginning a layer may read less than it does later, as `Lags` do."""
    inputs = step.piece.inputs
    state = advance(step.model, Batch(inputs, inputs), step.state)
    return OnlineStep(step.model, step.piece, state, step.again)


def _probed(
    step: OnlineStep, chosen: Sequence[bool], ramp: Tensor
) -> tuple[list[Tensor], list[Tensor], list[Tensor], Tensor]:
    """Gradients of Σ_j v_j h_j after a random step, for v of ones, a ramp and random numbers; and these."""
    state = [_drawn(part) for part in step.floats(step.state)]
    random = torch.rand(len(ramp)) + 0.5
    inputs = _drawn(step.piece.inputs)
    parameters, after = step.traced(state, Batch(inputs, inputs))
    with torch.enable_grad():
        rows = [part.sum(tuple(range(part.dim() - 1))) for part in _chosen(after, chosen)]
        total = torch.stack(rows).sum(0)
    found = []
    for weights in (torch.ones(len(ramp)), ramp, random):
        gradients = torch.autograd.grad(total, parameters, weights.to(total), retain_graph=True, allow_unused=True)
        given = zip(gradients, parameters, strict=True)
        found.append([torch.zeros_like(own) if gradient is None else gradient for gradient, own in given])
    return found[0], found[1], found[2], random


def _drawn(like: Tensor) -> Tensor:
    """Random numbers in place of such; symbols stay."""
    return torch.rand(like.shape).to(like) if like.is_floating_point() else like


def _begun(step: OnlineStep) -> OnlineStep:
    """The step from the state that it really has: the initial one where there is a reset."""
    resets = step.piece.resets
    if resets is None or not bool(resets.any()):
        return step
    fresh, axes = initial_state(step.model, step.piece.inputs.shape[1]), batch_axes(step.model)
    state = map_state(lambda new, old, axis: select(resets[0], new, old, axis), fresh, step.state, axes)
    return OnlineStep(step.model, step.piece, state, step.again)


def _batch_axes(step: OnlineStep) -> list[int]:
    """The axis of the sequences, of each tensor of the state."""
    axes: list[int] = []
    map_state(lambda _, axis: axes.append(axis), step.state, batch_axes(step.model))
    return axes


def _float_axes(step: OnlineStep) -> list[int]:
    return [axis for part, axis in zip(step.parts, _batch_axes(step), strict=True) if part.is_floating_point()]


def _chosen(parts: Sequence[Any], chosen: Iterable[Any]) -> list[Any]:
    """Those that are."""
    return [part for part, own in zip(parts, chosen, strict=True) if own]


def _wide(mask: Tensor, values: Tensor) -> Tensor:
    return mask.view(-1, *[1] * (values.dim() - 1))
