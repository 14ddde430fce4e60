"""The equations of a recurrence with its own sizes, forward and backward, each line computed and compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn

from ..._errors import ConfigurationError, UnsupportedError
from ..._types import Batch, Loss
from ...models.losses import squared_error
from ...nn import MinGRU, MinGRUCell, MinLSTM, MinLSTMCell, Recurrent
from ...nn.cell import GatedCell
from ...nn.visiting import visited
from .._numbers import plain
from .._trajectory import Trajectory, evaluated
from .._unrolling import Unrolled, in_float64, unroll
from ._choice import derivation_of, no_recurrence
from ._equations import Derivation, Equation, spelled
from ._page import page_of, table_of
from ._values import Values, values_of

AGREES = 1e-10
"""The largest difference, beside the largest value of the left side, at which a line agrees."""

_READING = {
    "δv": "∂L/∂v, where L is the sum of all losses",
    "a ⊙ b": "the product, element by element",
    "Σ_t": "over the steps, and over the sequences of the batch",
}


@dataclass(frozen=True)
class Line:
    """One equation, and how well it holds.

    Args:
        equation: what it says and what it computes; both are one expression.
        difference: worst |left − right|, the left side being the reference's or autograd's.
        relative: beside the largest |left|.
    """

    equation: Equation
    difference: float
    relative: float

    @property
    def text(self) -> str:
        """The equation and the shape of its left side."""
        return f"{self.equation.formula}  {self.equation.sizes}"

    @property
    def latex(self) -> str:
        """The equation in LaTeX."""
        return self.equation.latex

    @property
    def meaning(self) -> str:
        """In a few words."""
        return self.equation.meaning

    @property
    def shape(self) -> str:
        """Of the left side, "[batch, 64]"."""
        return self.equation.sizes

    @property
    def agrees(self) -> bool:
        """Whether it holds to 1e-10 of its scale."""
        return self.relative <= AGREES

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        words = {"formula": self.equation.formula, "latex": self.latex, "shape": self.shape, "meaning": self.meaning}
        return {
            **words,
            "difference": plain(self.difference),
            "relative": plain(self.relative),
            "agrees": self.agrees,
        }


@dataclass(frozen=True)
class Explanation:
    """What `explain` says.

    Args:
        name: of the recurrence in the model.
        recurrence: which it is, "GRU, reset after the product".
        reverse: whether it runs from the end to the beginning.
        steps, sequences: of the batch on which the lines were compared.
        symbols: what is given: each symbol, its shape and what it stands for.
        reading: what the signs and functions mean.
        forward: the equations of a step.
        backward: those of backpropagation through time.
        others: the model's further recurrences, which `recurrence` names.
    """

    name: str
    recurrence: str
    reverse: bool
    steps: int
    sequences: int
    symbols: tuple[tuple[str, str, str], ...]
    reading: tuple[tuple[str, str], ...]
    forward: tuple[Line, ...]
    backward: tuple[Line, ...]
    others: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """All of them."""
        return self.forward + self.backward

    @property
    def agrees(self) -> bool:
        """Whether all lines do."""
        return all(line.agrees for line in self.lines)

    @property
    def title(self) -> str:
        """Which recurrence it is, and where it stands."""
        named = self.name if self.name.startswith(self.recurrence) else f"{self.name}: {self.recurrence}"
        named = self.recurrence if self.recurrence.startswith(self.name) else named
        return named + (", from the end: t − 1 is the step after" if self.reverse else "")

    @property
    def verdict(self) -> str:
        """In one sentence."""
        wrong = [line.equation.left for line in self.lines if not line.agrees]
        where = f"on {self.steps} steps of {self.sequences} sequences in float64"
        if not wrong:
            worst = max(line.relative for line in self.lines)
            said = f"all {len(self.lines)} lines agree {where}, to {worst:.1g} of their scale"
        else:
            said = f"{len(wrong)} of {len(self.lines)} lines disagree {where}: {', '.join(wrong)}"
        return said + (f"; recurrence= names the others: {', '.join(self.others)}" if self.others else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        return {
            "name": self.name,
            "recurrence": self.recurrence,
            "reverse": self.reverse,
            "steps": self.steps,
            "sequences": self.sequences,
            "verdict": self.verdict,
            "agrees": self.agrees,
            "others": list(self.others),
            "symbols": [dict(zip(("symbol", "shape", "meaning"), row, strict=True)) for row in self.symbols],
            "reading": dict(self.reading),
            "forward": [line.to_dict() for line in self.forward],
            "backward": [line.to_dict() for line in self.backward],
        }

    def table(self) -> Table:
        """A row a line, its meaning below it, and how far it is off beside its scale."""
        return table_of(self)

    def text(self, *, latex: bool = False) -> str:
        """A page in markdown.

        Args:
            latex: whether the equations stand in LaTeX, between dollar signs.
        """
        return page_of(self, latex)


def explain(
    model: nn.Module, batch: Batch | None = None, loss: Loss | None = None, *, recurrence: int | str = 0
) -> Explanation:
    """The equations of a layer or cell with its sizes, and those of backpropagation through time derived for it.

    Each line is text and computation in one, and is computed in float64, all that stands on its right being the
    reference's states and gates and autograd's gradients: a forward line is compared with what the reference's
    equations give, a backward line with the gradient that autograd gives of L, the sum of the losses. Whatever is
    read on the right stands on the left of another line, or is given; so where all lines agree, the whole does.

    h_t = step(x_t, h_{t−1}), and ℓ_t reads h_t. At h_t two gradients meet: e_t, from above, which in the top layer is
    ∂ℓ_t/∂h_t and below it the δx_t of the layer above, summed over its directions; and that of step t + 1.

    The model runs in evaluation mode, in a copy; parameters and their `.grad` stay as they are.

    Args:
        model: an RNN, GRU, LSTM, MinGRU or MinLSTM, of ours or of torch.nn, a cell of one, or a model that has some.
        batch: on which the lines are compared; by default five steps of three sequences of random numbers, always
            the same.
        loss: by default the squared error.
        recurrence: which of several layers and directions, counted from 0 in the model's order, or its name.

    Raises:
        UnsupportedError: for a model with no recurrence, a user's own cell, and options whose equations are not here.
        ConfigurationError: for a recurrence that is none of the model's, or a whole model without batch and loss.
        DataError: for a single step, or values that are not finite.

    Example:
        >>> explanation = explain(nn.LSTM(3, 5))
        >>> explanation.agrees
        True
        >>> print(next(line.text for line in explanation.backward if line.equation.left == "δf_t"))
        δf_t = δC_t ⊙ C_{t−1}  [batch, 5]

    References:
        Werbos, "Backpropagation through time: what it does and how to do it", Proceedings of the IEEE 78 (1990);
        Gers, Schraudolph & Schmidhuber, "Learning precise timing with LSTM recurrent networks", JMLR 3 (2002).
    """
    layer = Recurrent(model) if isinstance(model, _CELLS) else model
    chosen = _chosen(layer, recurrence)
    if batch is None:
        batch = _random_batch(layer)
    copy, batch = in_float64(layer, batch)
    copy = copy.cpu().requires_grad_()
    unrolled = unroll(copy, batch.to("cpu"), loss or _squared_error)
    trajectory = _named(unrolled, chosen)
    derivation = derivation_of(trajectory.place)
    values = values_of(unrolled, trajectory, derivation)
    if _memory_is_read(values):
        derivation = derivation_of(trajectory.place, memory_read=True)
    steps, sequences = unrolled.losses.shape
    return Explanation(
        trajectory.name if layer is model else type(model).__name__,
        derivation.name,
        trajectory.place.reverse,
        steps,
        sequences,
        tuple(_symbols(derivation, values)),
        tuple({**_READING, **derivation.definitions}.items()),
        tuple(compared(equation, values) for equation in derivation.forward),
        tuple(compared(equation, values) for equation in derivation.backward),
        tuple(one.name for one in unrolled.trajectories if one is not trajectory),
    )


def compared(equation: Equation, values: Values) -> Line:
    """Compute the right side, and compare it with the left."""
    left, right = values[equation.left], equation.right.compute(values)
    if left.shape != right.shape:
        return Line(equation, math.inf, math.inf)
    difference = (left - right).abs().max().item()
    scale = left.abs().max().item()
    return Line(equation, difference, difference / scale if scale else 0.0 if difference == 0 else math.inf)


def _chosen(model: nn.Module, recurrence: int | str) -> str:
    """The name of the recurrence that is meant; one that cannot be explained is refused before anything is run."""
    with visited(model, lambda place, x, before, after: after) as found:
        places = found
    if not places:
        raise no_recurrence(model)
    names = [place.name for place in places]
    index = names.index(recurrence) if isinstance(recurrence, str) and recurrence in names else recurrence
    if not isinstance(index, int) or not 0 <= index < len(names):
        listed = ", ".join(f"{at} ({name})" for at, name in enumerate(names))
        raise ConfigurationError(f"recurrence={recurrence!r}: expected one of {listed}")
    derivation_of(places[index])
    return names[index]


def _named(unrolled: Unrolled, name: str) -> Trajectory:
    for trajectory in unrolled.trajectories:
        if trajectory.name == name:
            return trajectory
    raise UnsupportedError(f"{name} is not run by its model on this batch: name another recurrence, or give it alone")


def _random_batch(model: Any) -> Batch:
    """Five steps of three sequences, the same every time, and targets like the outputs."""
    layer = model.cell if isinstance(model, Recurrent) else model
    if not isinstance(layer, _LAYERS):
        raise ConfigurationError(
            f"{type(model).__name__} is a model with inputs and a loss of its own: explain(model, batch, loss)"
        )
    generator = torch.Generator().manual_seed(0)
    leading = (3, 5) if getattr(model, "batch_first", False) else (5, 3)
    x = torch.randn(*leading, layer.input_size, generator=generator, dtype=torch.float64)
    copy = deepcopy(model).double().cpu()
    with torch.no_grad(), evaluated(copy):
        output, _ = copy(x)
    return Batch(x, torch.randn(output.shape, generator=generator, dtype=torch.float64))


def _squared_error(output: Any, target: Tensor) -> Tensor:
    if not isinstance(output, Tensor):
        raise ConfigurationError(
            f"the model's output is a {type(output).__name__}, with which no target can be subtracted: give the loss"
        )
    return squared_error(output, target)


def _memory_is_read(values: Values) -> bool:
    """Whether a gradient arrives at C from outside the recurrence; rounding is none."""
    if "eᶜ_t" not in values:
        return False
    return values["eᶜ_t"].abs().max().item() > AGREES * values["δC_t"].abs().max().item()


def _symbols(derivation: Derivation, values: Values) -> Iterator[tuple[str, str, str]]:
    """What stands on a right side, and on no left one."""
    given = {
        "x_t": "the input of step t",
        "h_{t−1}": "the state that step t reads; h_0 before the first",
        "C_{t−1}": "the memory that step t reads; C_0 before the first",
        "e_t": "what arrives at h_t from above: ∂ℓ_t/∂h_t, or δx_t of the layer above",
        "eᶜ_t": "what arrives at C_t from whatever reads it outside",
    }
    read = {name for equation in (*derivation.forward, *derivation.backward) for name in equation.right.symbols}
    for name, meaning in given.items():
        if name in read:
            yield name, spelled(("batch", values[name].shape[-1])), meaning
    for parameter in dict.fromkeys(weight.parameter for weight in derivation.weights.values()):
        names = [name for name, weight in derivation.weights.items() if weight.parameter == parameter]
        shape = tuple(values[names[0]].shape)
        blocks = "" if len(names) == 1 else f", {shape[0]} rows each, in this order"
        yield ", ".join(names), spelled(shape), parameter + blocks


_LAYERS = (nn.RNNBase, nn.RNNCellBase, GatedCell, MinGRU, MinLSTM, MinGRUCell, MinLSTMCell)
_CELLS = (nn.RNNCellBase, GatedCell, MinGRUCell, MinLSTMCell)
