"""A cell: one step of a recurrence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from .._errors import ConfigurationError, ShapeError
from .._types import State
from ..ops import Step as StepFunction
from ._initialise import initialise_as_asked, initialise_extras
from ._step import Step, drop_weight, without_masks
from .options import Options, Recurrence, read_options


class Cell(nn.Module, ABC):
    """The contract: `output, state = cell(x, state)`, x [batch, feature], and a state to begin with.

    A state is a tensor, or tuples and dicts of tensors nested at will, batch on axis 0 of each.
    Deriving from this class is a convenience: `Recurrent` takes any module that keeps the contract.

    Example:
        >>> class Leaky(Cell):
        ...     def __init__(self, size):
        ...         super().__init__()
        ...         self.size = size
        ...     def initial_state(self, batch_size):
        ...         return {"level": torch.zeros(batch_size, self.size)}
        ...     def forward(self, x, state):
        ...         level = 0.5 * state["level"] + x
        ...         return level, {"level": level}
        >>> cell = Leaky(1)
        >>> output, state = cell(torch.ones(2, 1), cell.initial_state(2))
    """

    @property
    def op(self) -> str | None:
        """The name among `ops.KINDS` under which a faster implementation may be known."""
        return None

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step."""

    @abstractmethod
    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step."""


class GatedCell(Cell):
    """What `RNNCell`, `GRUCell` and `LSTMCell` share: parameters under torch's names, options, checks.

    Called without a state it begins a sequence. Under `variational_dropout`, in training mode, the state it returns
    carries the masks of its sequence; a plain one is accepted and begins a sequence with new masks.
    """

    def __init__(
        self,
        recurrence: Recurrence,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: int = 0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__()
        if min(input_size, hidden_size) < 1:
            raise ConfigurationError(f"input_size={input_size}, hidden_size={hidden_size}: both must be at least 1")
        if not 0 <= proj_size < hidden_size:
            raise ConfigurationError(f"proj_size={proj_size}: expected 0, or less than hidden_size={hidden_size}")
        self.input_size, self.hidden_size, self.proj_size, self.bias = input_size, hidden_size, proj_size, bias
        self.recurrence = recurrence
        self.noise, self.start = read_options(options, recurrence, bias)
        rows = recurrence.gates * hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size), "weight_hh": (rows, self.output_size)}
        if bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if proj_size:
            shapes["weight_hr"] = (proj_size, hidden_size)
        for name, shape in {**shapes, **recurrence.extras}.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    @property
    def op(self) -> str | None:
        """The recurrence's name among `ops.KINDS`."""
        return self.recurrence.kind

    @property
    def output_size(self) -> int:
        """The number of features of h."""
        return self.proj_size or self.hidden_size

    def reset_parameters(self) -> None:
        """Draw new parameters: torch's distribution, then what the options ask for."""
        parameters = dict(self.named_parameters())
        bound = self.hidden_size**-0.5
        for name, parameter in parameters.items():
            if name not in self.recurrence.extras:
                nn.init.uniform_(parameter, -bound, bound)
        initialise_extras(self.recurrence, parameters, self.hidden_size)
        initialise_as_asked(self.recurrence, parameters, self.start)

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
        """Zeros [batch, hidden_size]; of an LSTM h and C."""
        where = {"device": device or self.weight_ih.device, "dtype": dtype or self.weight_ih.dtype}
        h = torch.zeros(batch_size, self.output_size, **where)
        return h if self.recurrence.parts == 1 else (h, torch.zeros(batch_size, self.hidden_size, **where))

    def prepare(self) -> Step:
        """The step of one call over a whole sequence: weight-drop, if any, has drawn its mask."""
        parameters: dict[str, Tensor] = dict(self.named_parameters())
        dropped = drop_weight(parameters, self.noise.weight_drop, self.training)
        return Step(self.recurrence, dropped, self.noise, self.training)

    def forward(self, x: Tensor, state: State = None, step: Step | None = None) -> tuple[Tensor, State]:
        """One step: x [batch, input_size] and a state; `step` is what `prepare` returned for a whole sequence.

        Raises:
            ShapeError: where x or the state do not fit the cell.
        """
        self._check_input(x)
        if state is None:
            state = self.initial_state(len(x), device=x.device, dtype=x.dtype)
        else:
            self._check_state(state, len(x))
        return (step or self.prepare())(x, state)

    def _check_input(self, x: Tensor) -> None:
        if x.dim() != 2 or x.shape[1] != self.input_size:
            fix = {1: "for one sequence add a batch axis: unsqueeze(0)", 3: "to run it over time, wrap it in Recurrent"}
            raise ShapeError(
                f"{type(self).__name__} got x {list(x.shape)}, expected [batch, {self.input_size}]"
                + ("; " + fix[x.dim()] if x.dim() in fix else "")
            )

    def _check_state(self, state: State, batch: int) -> None:
        plain = without_masks(state)
        parts = plain if isinstance(plain, (tuple, list)) else (plain,)
        wanted = [[batch, self.output_size], [batch, self.hidden_size]][: self.recurrence.parts]
        given = [list(part.shape) if isinstance(part, Tensor) else type(part).__name__ for part in parts]
        if given != wanted or isinstance(plain, (tuple, list)) != (self.recurrence.parts > 1):
            raise ShapeError(
                f"{type(self).__name__} got a state {_spelled(given)}, expected {_spelled(wanted)} for this x; "
                "is it another cell's, or of another batch?"
            )

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        sizes = [f"{self.input_size}, {self.hidden_size}"]
        plain = [f"proj_size={self.proj_size}"] if self.proj_size else []
        plain += [] if self.bias else ["bias=False"]
        return ", ".join((*sizes, *plain, *self.recurrence.options, *self.noise.described()))


def _spelled(shapes: list[Any]) -> str:
    return str(shapes[0]) if len(shapes) == 1 else f"({', '.join(map(str, shapes))})"


def kind_of(cell: nn.RNNCellBase) -> str:
    """The name among `ops.KINDS` of what a cell of torch.nn's computes.

    Example:
        >>> kind_of(nn.RNNCell(2, 3, nonlinearity="relu")), kind_of(nn.LSTMCell(2, 3))
        ('rnn_relu', 'lstm')
    """
    if isinstance(cell, nn.RNNCell):
        return f"rnn_{cell.nonlinearity}"
    return "lstm" if isinstance(cell, nn.LSTMCell) else "gru"


def adapted(cell: nn.Module) -> tuple[StepFunction, Callable[[int], State]]:
    """The step and the initial state of any cell; torch.nn's, whose result is a state and no output, are adapted."""
    if isinstance(cell, nn.LSTMCell):
        return (lambda x, state: _state_as_output(cell(x, state))), lambda batch: _torch_zeros(cell, batch, 2)
    if isinstance(cell, (nn.RNNCell, nn.GRUCell)):
        return (lambda x, state: _state_as_output(cell(x, state))), lambda batch: _torch_zeros(cell, batch, 1)
    return cell, cell.initial_state  # type: ignore[return-value]


def _state_as_output(state: State) -> tuple[Tensor, State]:
    return (state[0] if isinstance(state, tuple) else state), state


def _torch_zeros(cell: nn.RNNCellBase, batch_size: int, parts: int) -> State:
    zeros = tuple(cell.weight_hh.new_zeros(batch_size, cell.hidden_size) for _ in range(parts))
    return zeros if parts > 1 else zeros[0]
