"""What the symbols of equations stand for: the reference's own states and gates, and their gradients by autograd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..._state import numbers
from ...nn.visiting import Place
from .._trajectory import Trajectory
from .._unrolling import Unrolled
from ._equations import Derivation

_SQUASHES = frozenset({torch.sigmoid, torch.tanh, torch.relu})


class Values(dict[str, Tensor]):
    """Numbers by symbol: [time, batch, feature] of what each step has, at the steps t + 1 and 1 as well.

    Args:
        links: bool [time, batch], whether step t + 1 reads the state that step t gave: not at the end, nor at a reset.
        first: the first step of each sequence, [batch].
    """

    def __init__(self, links: Tensor, first: Tensor) -> None:
        super().__init__()
        self.links, self.first = links, first

    def __missing__(self, name: str) -> Tensor:
        series, _, index = name.rpartition("_")
        if index == "{t+1}":
            return self.following(self[f"{series}_t"])
        if index == "1":
            return self.beginning(self[f"{series}_t"])
        raise KeyError(name)

    def following(self, series: Tensor) -> Tensor:
        """At each step what the next one has, zero where none follows."""
        return torch.cat([series[1:], torch.zeros_like(series[:1])]) * self.links[..., None]

    def beginning(self, series: Tensor) -> Tensor:
        """[batch, feature] of each sequence's first step."""
        return series[self.first, torch.arange(series.shape[1])]


@dataclass(frozen=True)
class Again:
    """All steps of a recurrence side by side, taken once more, each from the state that it read.

    Args:
        x, before: what they read, leaves of a graph, [time × batch, feature].
        after: what they gave.
        watched: what they computed in between, by symbol, side by side.
    """

    x: Tensor
    before: list[Tensor]
    after: list[Tensor]
    watched: dict[tuple[str, ...], Tensor]


class _Watch(TorchFunctionMode):
    """Keeps what each product, squashing function and sum is given, and gives."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, list[dict[str, Tensor]]] = {"product": [], "squash": [], "sum": []}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        value = func(*args, **(kwargs or {}))
        kind = "product" if func is functional.linear else "squash" if func in _SQUASHES else ""
        if kind or func is Tensor.add:
            self.seen[kind or "sum"].append({"given": args[0], "value": value})
        return value


def values_of(unrolled: Unrolled, trajectory: Trajectory, derivation: Derivation) -> Values:
    """Every symbol of a derivation, but for those of other steps, which follow from these."""
    owed = [torch.stack(part) for part in zip(*unrolled.accumulated(trajectory), strict=True)]
    marks = _marks(unrolled)
    if trajectory.place.reverse:
        trajectory = _turned(trajectory)
        owed, marks = [part.flip(0) for part in owed], [mark.flip(0) for mark in marks]
    values = Values(*_linked(*marks))
    again = _taken_again(trajectory, derivation)
    steps = len(trajectory.inputs)
    names = ("h", "C")[: len(owed)]
    found: dict[str, Tensor] = {"x_t": again.x, "h_t": again.after[0]}
    found |= {f"{name}_{{t−1}}": part for name, part in zip(names, again.before, strict=True)}
    if len(owed) > 1:
        found["C_t"] = again.after[1]
    for symbols, node in again.watched.items():
        found |= _apart(symbols, node)
    values |= {name: part.detach().unflatten(0, (steps, -1)) for name, part in found.items()}
    _add_gradients(values, again, owed, trajectory.place, derivation)
    stated = [torch.stack(part).detach() for part in zip(*_states(trajectory), strict=True)]
    values |= {f"{name}_t": part for name, part in zip(names, stated, strict=True)}
    return values


def _add_gradients(values: Values, again: Again, owed: list[Tensor], place: Place, derivation: Derivation) -> None:
    """By autograd: what the states are owed in the whole graph, pulled back through each step."""
    steps = len(owed[0])
    parameters = {weight.parameter: place.parameters[weight.parameter] for weight in derivation.weights.values()}
    memory = again.after[1:]
    wanted = [again.x, *again.before, *memory, *again.watched.values(), *parameters.values()]
    cotangents = [part.flatten(0, 1) for part in owed]
    got = torch.autograd.grad(again.after, wanted, cotangents, allow_unused=True)
    full = iter(torch.zeros_like(one) if grad is None else grad for one, grad in zip(wanted, got, strict=True))

    def by_step(part: Tensor) -> Tensor:
        return part.unflatten(0, (steps, -1))

    values["δx_t"] = by_step(next(full))
    for name, own, sent in zip("hC", owed, ("e_t", "eᶜ_t"), strict=False):
        to_before = by_step(next(full))
        values[f"δ{name}_0"] = values.beginning(to_before)
        values[sent] = own - values.following(to_before)
    values["δh_t"] = owed[0]
    for _ in memory:
        values["δC_t"] = by_step(next(full))
    for symbols in again.watched:
        values |= {f"δ{name}": by_step(part) for name, part in _apart(symbols, next(full)).items()}
    gradients = {name: next(full) for name in parameters}
    for name, weight in derivation.weights.items():
        values[name] = weight.of(parameters[weight.parameter]).detach()
        values[f"∂L/∂{name}"] = weight.of(gradients[weight.parameter])


def _taken_again(trajectory: Trajectory, derivation: Derivation) -> Again:
    watch = _Watch()
    with watch:
        x, before, after = trajectory.again()
    nodes = {symbols: watch.seen[kind][at][side] for symbols, (kind, at, side) in derivation.watched.items()}
    return Again(x, numbers(before), numbers(after), nodes)


def _apart(symbols: tuple[str, ...], node: Tensor) -> dict[str, Tensor]:
    """What stands side by side, by symbol."""
    return {name: part for name, part in zip(symbols, node.chunk(len(symbols), -1), strict=True) if name}


def _states(trajectory: Trajectory) -> list[list[Tensor]]:
    return [trajectory.parts(time) for time in range(len(trajectory.after))]


def _marks(unrolled: Unrolled) -> list[Tensor]:
    """For each step, which are within their sequence, and where that has begun: [time, batch]."""
    lengths, steps = unrolled.batch.lengths, torch.arange(unrolled.steps)[:, None]
    begun = unrolled.begun.cpu()
    within = torch.ones_like(begun, dtype=torch.bool) if lengths is None else steps < lengths.cpu()
    return [within, begun]


def _linked(within: Tensor, begun: Tensor) -> tuple[Tensor, Tensor]:
    """Whether the next step reads the state of each, and the first step of each sequence."""
    links = torch.zeros_like(within)
    links[:-1] = within[:-1] & within[1:] & (begun[:-1] == begun[1:])
    return links, within.int().argmax(0)


def _turned(trajectory: Trajectory) -> Trajectory:
    """In the order in which a backward direction takes its steps."""
    return Trajectory(trajectory.place, trajectory.inputs[::-1], trajectory.before[::-1], trajectory.after[::-1])
