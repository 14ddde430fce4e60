"""Any cell, run over time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from .._errors import ConfigurationError, ShapeError
from .._state import leaves, map_state
from .._types import State
from ..ops import Step, scan
from ._checks import check_lengths, check_resets
from ._marks import mark_output, mark_state
from .cell import GatedCell, adapted


class Recurrent(nn.Module):
    """A layer out of a cell: one of ours, a user's own, or torch.nn's RNNCell, GRUCell, LSTMCell.

    Args:
        cell: `output, state = cell(x, state)` with `cell.initial_state(batch_size)`; see `Cell`.

    Raises:
        ConfigurationError: for what is no cell.

    Example:
        >>> import torch
        >>> layer = Recurrent(nn.LSTMCell(3, 5))
        >>> output, (h, memory) = layer(torch.zeros(7, 2, 3))
        >>> output.shape, h.shape
        (torch.Size([7, 2, 5]), torch.Size([2, 5]))
    """

    streams = True

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        if not isinstance(cell, nn.RNNCellBase) and not callable(getattr(cell, "initial_state", None)):
            raise ConfigurationError(
                f"Recurrent got {type(cell).__name__}, which has no initial_state(batch_size): expected a cell, "
                "one of ours, of torch.nn's, or a module with that method"
            )
        self.cell = cell

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
        """The cell's own, on `device` and in `dtype` where given."""
        _, initial = adapted(self.cell)
        return map_state(
            lambda part: part.to(device=device, dtype=dtype if part.is_floating_point() else None),
            initial(batch_size),
        )

    def forward(
        self, x: Tensor, state: State = None, *, lengths: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run the cell over x [time, batch, …].

        Args:
            state: the cell's state, batch on axis 0 of its tensors; `None` is its initial state.
            lengths: integers [batch]: how many steps of each sequence are real.
            resets: bool [time, batch]: the state before these steps is the cell's initial state.

        Returns:
            The outputs [time, batch, …], zero past the lengths, and each sequence's own last state.

        Raises:
            ShapeError: where x has no batch axis, or lengths, resets or state contradict it.
        """
        name = f"Recurrent({type(self.cell).__name__})"
        if x.dim() < 3:
            raise ShapeError(
                f"{name} got x {list(x.shape)}, expected [time, batch, feature]: "
                "unsqueeze(1) for one sequence; call the cell itself for one step"
            )
        time, batch = x.shape[:2]
        if lengths is not None:
            check_lengths(name, lengths, time, batch, x.device)
        if resets is not None:
            check_resets(name, resets, time, batch, x.device)
        initial = None
        if state is None or resets is not None:
            dtype = x.dtype if x.is_floating_point() else None
            initial = self.initial_state(batch, device=x.device, dtype=dtype)
            self._check_batch(name, initial, batch, time)
        if state is not None:
            self._check_batch(name, state, batch, time)
        step, begin = self._step()
        before = begin(initial if state is None else state)
        output, after = scan(step, x, before, fresh=lambda: begin(initial), lengths=lengths, resets=resets)
        return mark_output(output, 1), mark_state(after, 0)

    def _step(self) -> tuple[Step, Callable[[State], State]]:
        if not isinstance(self.cell, GatedCell):
            return adapted(self.cell)[0], lambda state: state
        prepared = self.cell.prepare()
        return partial(self.cell, step=prepared), prepared.ready

    @staticmethod
    def _check_batch(name: str, state: State, batch: int, time: int) -> None:
        for path, part in leaves(state):
            if part.dim() == 0 or part.shape[0] != batch:
                swapped = part.dim() > 0 and part.shape[0] == time
                raise ShapeError(
                    f"{name} got a state{path and ' ' + repr(path)} {list(part.shape)} for a batch of {batch}: "
                    "batch must be its first axis"
                    + ("; it looks as if time and batch were swapped: transpose(0, 1)" if swapped else "")
                )
