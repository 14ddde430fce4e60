"""What a step's squashing functions see and give: the gates, and the paths on which a gradient goes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from .._state import numbers
from ._trajectory import Trajectory

_FUNCTIONS: dict[Callable[..., Any], str] = {
    torch.sigmoid: "sigmoid",
    Tensor.sigmoid: "sigmoid",
    functional.sigmoid: "sigmoid",
    torch.tanh: "tanh",
    Tensor.tanh: "tanh",
    functional.tanh: "tanh",
    torch.relu: "relu",
    Tensor.relu: "relu",
    functional.relu: "relu",
}
_NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "rnn_tanh": (("new",),),
    "rnn_relu": (("new",),),
    "gru": (("reset", "update"), ("new",)),
    "lstm": (("forget",), ("input",), ("cell",), ("output",), ()),
    "mingru": (("update",), (), ()),
    "minlstm": (("update",), (), ()),
}
"""The gates in the order in which the equation of each kind squashes them; what is no gate has no name."""
DIRECT = {"gru": "update", "lstm": "forget", "mingru": "update", "minlstm": "update"}
"""The gate that multiplies the old state itself."""


@dataclass(frozen=True)
class Gate:
    """A gate of all steps at once.

    Args:
        name: "forget"; of a user's cell the function and its number, as "sigmoid 1".
        function: "sigmoid", "tanh" or "relu".
        total: what it squashes [time × batch, hidden], a function of the state before and of the gates before it.
        value: what it gives.
    """

    name: str
    function: str
    total: Tensor
    value: Tensor


@dataclass(frozen=True)
class Opened:
    """All steps of a recurrence, taken once more side by side as one batch [time × batch].

    Args:
        before: the state that each step reads, leaves of a graph.
        after: the state that each step gives.
        gates: in the order of the equation.
        cuts: where the graph is cut before a squashing function: the names of its gates, its total, and the leaf that
            it was handed instead.
        direct: the name of the path past all gates.
    """

    before: list[Tensor]
    after: list[Tensor]
    gates: tuple[Gate, ...]
    cuts: tuple[tuple[tuple[str, ...], Tensor, Tensor], ...]
    direct: str

    @property
    def names(self) -> list[str]:
        """Of the paths."""
        return [self.direct, *(f"{name} gate" for names, _, _ in self.cuts for name in names)]

    def paths(self, cotangents: Sequence[Tensor]) -> dict[str, Path]:
        """How a gradient of `after` goes back to `before`, path by path; the paths add up to the whole.

        Takes steps that were opened with `cut=True`, and may be called any number of times.

        Args:
            cotangents: of each part of `after`.
        """
        pulled = _pull(self.after, [*self.before, *(leaf for _, _, leaf in self.cuts)], cotangents)
        width = len(self.before)
        found = {self.direct: Path(pulled[:width], None)}
        owed = pulled[width:]
        for index in range(len(self.cuts) - 1, -1, -1):
            names, total, _ = self.cuts[index]
            earlier = [leaf for _, _, leaf in self.cuts[:index]]
            for name, columns in zip(names, _columns(total, len(names)), strict=True):
                delta = torch.zeros_like(total)
                delta[..., columns] = owed[index][..., columns]
                back = _pull([total], [*self.before, *earlier], [delta])
                found[f"{name} gate"] = Path(back[:width], owed[index][..., columns])
                for one, more in enumerate(back[width:]):
                    owed[one] = owed[one] + more
        return found


@dataclass(frozen=True)
class Path:
    """What goes back on one path.

    Args:
        before: the gradient that it brings to each part of the state before.
        total: the gradient at what its gate squashes; `None` of the path past all gates.
    """

    before: list[Tensor]
    total: Tensor | None


def opened(trajectory: Trajectory, *, cut: bool = False) -> Opened:
    """Take all steps of a trajectory at once, and look at what they squash.

    Args:
        cut: whether each gate is handed a leaf of its own, so that the graph of `after` ends at the gates.

    Raises:
        UnsupportedError: where the recurrence has no step that can be taken again.
    """
    kind = trajectory.place.kind
    watch = _Watch(_NAMES.get(kind), cut, sum(map(len, trajectory.inputs)))
    with watch:
        _, before, after = trajectory.again()
    direct = f"{DIRECT[kind]} path" if kind in DIRECT else "direct path"
    return Opened(numbers(before), numbers(after), tuple(watch.gates()), tuple(watch.cuts), direct)


class _Watch(TorchFunctionMode):
    """Sees every squashing function that is called, in order."""

    def __init__(self, names: Sequence[tuple[str, ...]] | None, cut: bool, rows: int) -> None:
        super().__init__()
        self.names, self.cut, self.rows = names, cut, rows
        self.seen: list[tuple[tuple[str, ...], str, Tensor, Tensor]] = []
        self.cuts: list[tuple[tuple[str, ...], Tensor, Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        function = _FUNCTIONS.get(func)
        if function is None or not args or args[0].shape[:1] != (self.rows,):  # a parameter is no gate
            return func(*args, **(kwargs or {}))
        total, names = args[0], self._names(function)
        leaf = total
        if self.cut and names and total.requires_grad:
            leaf = total.detach().requires_grad_()
            self.cuts.append((names, total, leaf))
        value = func(leaf, *args[1:], **(kwargs or {}))
        self.seen.append((names, function, total, value))
        return value

    def _names(self, function: str) -> tuple[str, ...]:
        """Of the gates that are squashed now."""
        index = len(self.seen)
        if self.names is None:
            return (f"{function} {index + 1}",)
        return self.names[index] if index < len(self.names) else ()

    def gates(self) -> Iterator[Gate]:
        for names, function, total, value in self.seen:
            for name, columns in zip(names, _columns(total, len(names)), strict=True):
                yield Gate(name, function, total[..., columns], value[..., columns])


def _columns(total: Tensor, count: int) -> list[slice]:
    width = total.shape[-1] // max(1, count)
    return [slice(at * width, (at + 1) * width) for at in range(count)]


def _pull(outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Tensor]) -> list[Tensor]:
    """The gradients, zero where nothing arrives."""
    pairs = [pair for pair in zip(outputs, cotangents, strict=True) if pair[0].requires_grad]
    if not pairs:
        return [torch.zeros_like(one) for one in inputs]
    given, owed = zip(*pairs, strict=True)
    found = torch.autograd.grad(given, inputs, owed, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(one) if got is None else got for one, got in zip(inputs, found, strict=True)]
