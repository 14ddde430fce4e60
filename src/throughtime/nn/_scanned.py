"""Recurrences whose gates read x alone, so that all steps of a layer are computed at once: what they share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .._errors import ConfigurationError, ShapeError
from .._types import State
from ..ops import linear_recurrence
from ._checks import check_features, check_lengths, check_resets, check_state
from ._marks import mark_output, mark_state
from .cell import Cell
from .linear import Linear


class ScannedCell(Cell):
    """h_t = (1 − update_t) ⊙ h_{t−1} + update_t ⊙ new_t, update and new computed from x_t alone."""

    elementwise = True
    kind: ClassVar[str]
    gate_names: ClassVar[tuple[str, ...]]

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        if min(input_size, hidden_size) < 1:
            raise ConfigurationError(f"input_size={input_size}, hidden_size={hidden_size}: both must be at least 1")
        self.input_size, self.hidden_size = input_size, hidden_size
        self.gates = Linear(input_size, len(self.gate_names) * hidden_size, bias, device, dtype)

    @property
    def output_size(self) -> int:
        """The number of features of h."""
        return self.hidden_size

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> Tensor:
        """Zeros [batch, hidden_size]."""
        like = self.gates.weight
        return torch.zeros(batch_size, self.hidden_size, device=device or like.device, dtype=dtype or like.dtype)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """One step: x [batch, input_size] and h [batch, hidden_size], or the initial one.

        Raises:
            ShapeError: where x or the state do not fit the cell.
        """
        name = type(self).__name__
        if x.dim() != 2:
            raise ShapeError(
                f"{name} got x {list(x.shape)}, expected [batch, {self.input_size}]; to run it over time, wrap it in "
                "Recurrent"
            )
        check_features(name, x, self.input_size, self.gates.weight)
        h = self.initial_state(len(x), device=x.device, dtype=x.dtype) if state is None else state
        if not isinstance(h, Tensor) or h.shape != (len(x), self.hidden_size):
            given = list(h.shape) if isinstance(h, Tensor) else f"that is a {type(h).__name__}"
            raise ShapeError(f"{name} got a state {given}, expected h {[len(x), self.hidden_size]} for this x")
        update, new = self.update_and_new(x)
        h = (1 - update) * h + update * new
        return h, h

    def update_and_new(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both [..., hidden_size], of x [..., input_size]."""
        return self._mixed(*self.gates(x).to(x.dtype).chunk(len(self.gate_names), -1))

    @staticmethod
    @abstractmethod
    def _mixed(*gates: Tensor) -> tuple[Tensor, Tensor]:
        """Update and new from what the product gives for each of `gate_names`."""

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"{self.input_size}, {self.hidden_size}"


class Scanned(nn.Module):
    """Layers of one such cell, each over all steps at once."""

    streams = True
    cell: ClassVar[type[ScannedCell]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if num_layers < 1 or not 0 <= dropout < 1:
            raise ConfigurationError(
                f"num_layers={num_layers}, dropout={dropout}: expected at least one layer and 0 ≤ dropout < 1"
            )
        self.input_size, self.hidden_size = input_size, hidden_size
        self.num_layers, self.dropout = num_layers, dropout
        widths = [input_size] + [hidden_size] * (num_layers - 1)
        self.cells = nn.ModuleList(self.cell(width, hidden_size, bias, device, dtype) for width in widths)

    @property
    def output_size(self) -> int:
        """The number of features of the output."""
        return self.hidden_size

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> Tensor:
        """Zeros [num_layers, batch, hidden_size]."""
        return torch.stack([cell.initial_state(batch_size, device=device, dtype=dtype) for cell in self._cells])

    def forward(
        self, x: Tensor, state: State = None, *, lengths: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run over x [time, batch, input_size].

        Args:
            state: the state before the first step, [num_layers, batch, hidden_size]; `None` is zeros.
            lengths: integers [batch]; outputs past them are zero, the state is each sequence's own last.
            resets: bool [time, batch]; the state before these steps is zeros.

        Returns:
            The outputs [time, batch, hidden_size] and the last state.

        Raises:
            ShapeError: where x does not fit the layer, or state, lengths or resets contradict it.
        """
        self._check(x, state, lengths, resets)
        time, batch = x.shape[:2]
        state = self.initial_state(batch, device=x.device, dtype=x.dtype) if state is None else state
        if time == 0:
            return x.new_zeros(0, batch, self.hidden_size), state
        padding = None
        if lengths is not None:
            padding = (torch.arange(time, device=x.device)[:, None] >= lengths)[..., None]
            x = x.masked_fill(padding, 0)
        last = []
        for index, (cell, h) in enumerate(zip(self._cells, state.unbind(0), strict=True)):
            if index and self.dropout:
                x = functional.dropout(x, self.dropout, self.training)
            update, new = cell.update_and_new(x)
            keep = 1 - update if resets is None else (1 - update).masked_fill(resets[..., None], 0)
            x = linear_recurrence(keep, update * new, h)
            last.append(x[-1] if lengths is None else _own_last(x, h, lengths))
        output = x if padding is None else x.masked_fill(padding, 0)
        return mark_output(output, 1), mark_state(torch.stack(last), 1)

    @property
    def _cells(self) -> list[ScannedCell]:
        return cast(list[ScannedCell], list(self.cells))

    def _check(self, x: Tensor, state: State, lengths: Any, resets: Any) -> None:
        name = type(self).__name__
        if x.dim() != 3:
            raise ShapeError(
                f"{name} got x {list(x.shape)}, expected [time, batch, {self.input_size}]: unsqueeze(1) for one "
                "sequence"
            )
        time, batch = x.shape[:2]
        check_features(name, x, self.input_size, self._cells[0].gates.weight)
        if lengths is not None:
            check_lengths(name, lengths, time, batch, x.device)
        if resets is not None:
            check_resets(name, resets, time, batch, x.device)
        if state is not None:
            check_state(name, state, ((self.num_layers, batch, self.hidden_size),), time, x)

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}" + (
            f", dropout={self.dropout}" if self.dropout else ""
        )


def positive(x: Tensor) -> Tensor:
    """g(x) = x + ½ from 0 upwards, σ(x) below: positive, monotonic and without a jump."""
    above = torch.relu(x)
    return above + torch.sigmoid(x - above)


def _own_last(outputs: Tensor, h: Tensor, lengths: Tensor) -> Tensor:
    """The output at each sequence's own last step, h where it has none."""
    rows = (lengths - 1).clamp(min=0).long()[None, :, None].expand(1, *h.shape)
    return torch.where((lengths > 0)[:, None], outputs.gather(0, rows)[0], h)
