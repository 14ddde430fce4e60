"""The last values of a sequence as features: the state of an autoregression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import ConfigurationError, ShapeError
from .._state import select
from .._types import State
from ._checks import check_lengths, check_resets


class Lags(nn.Module):
    """Replace the first features of each step by their values some steps ago; what follows them passes through.

    Before there is history, the first value of the sequence stands in for it.

    Args:
        features: how many of the input's first columns to look back at.
        lags: how many steps ago, in the order of the output; 0 is the current value.
        relative: whether each value is given as its difference to the current one; lag 0 is then left out.

    Its state is `{"history": [batch, max(lags), features], "started": bool [batch]}`.

    Example:
        >>> layer = Lags(1, lags=(0, 2))
        >>> output, state = layer(torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1))
        >>> output[:, 0]
        tensor([[1., 1.],
                [2., 1.],
                [3., 1.],
                [4., 2.]])
    """

    streams = True

    def __init__(self, features: int, lags: Sequence[int], relative: bool = False) -> None:
        super().__init__()
        whole = all(isinstance(lag, int) and lag >= 0 for lag in lags)
        if features < 1 or not lags or not whole or len(set(lags)) < len(lags):
            raise ConfigurationError(
                f"Lags(features={features}, lags={tuple(lags)}): expected at least one feature and different lags ≥ 0"
            )
        self.features = features
        self.lags = tuple(lag for lag in lags if lag > 0 or not relative)
        if not self.lags:
            raise ConfigurationError(f"Lags(lags={tuple(lags)}, relative=True): the difference at lag 0 is always 0")
        self.relative = relative
        self.max_lag = max(self.lags)

    def output_size(self, input_size: int) -> int:
        """How many features come out where `input_size` go in."""
        return self.features * len(self.lags) + input_size - self.features

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
        """No history."""
        return {
            "history": torch.zeros(batch_size, self.max_lag, self.features, device=device, dtype=dtype),
            "started": torch.zeros(batch_size, dtype=torch.bool, device=device),
        }

    def forward(
        self, x: Tensor, state: State = None, *, lengths: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Look back from each step of x [time, batch, feature].

        Args:
            state: the state before the first step.
            lengths: integers [batch]; outputs past them are zero, the state is each sequence's own last.
            resets: bool [time, batch]; what came before these steps is forgotten.

        Raises:
            ShapeError: where x has too few features, or state, lengths or resets contradict it.
        """
        self._check(x, state, lengths, resets)
        time, batch = x.shape[:2]
        state = self.initial_state(batch, device=x.device, dtype=x.dtype) if state is None else state
        if time == 0:
            return x.new_zeros(0, batch, self.output_size(x.shape[2])), state
        values = x[..., : self.features]
        history = select(state["started"], state["history"], values[0][:, None].expand_as(state["history"]))
        timeline = torch.cat([history.transpose(0, 1), values])  # step t stands at row max_lag + t
        floor = None if resets is None else self._first_rows(resets)
        shown = [self._shown(timeline, time, lag, floor) for lag in self.lags]
        if self.relative:
            shown = [past - values for past in shown]
        output = torch.cat([*shown, x[..., self.features :]], -1)
        if lengths is not None:
            steps = torch.arange(time, device=x.device)[:, None]
            output = output.masked_fill((steps >= lengths)[..., None], 0)
        return output, self._after(state, timeline, floor, lengths)

    def _shown(self, timeline: Tensor, time: int, lag: int, floor: Tensor | None) -> Tensor:
        """The values `lag` steps ago, none from before a sequence began, [time, batch, features]."""
        first = self.max_lag - lag
        if floor is None:
            return timeline[first : first + time]
        rows = torch.arange(first, first + time, device=timeline.device)[:, None]
        return _rows(timeline, torch.maximum(rows, floor))

    def _first_rows(self, resets: Tensor) -> Tensor:
        """The row of the timeline at which each step's sequence begins, [time, batch]."""
        rows = torch.arange(self.max_lag, self.max_lag + len(resets), device=resets.device)[:, None]
        return torch.where(resets, rows, 0).cummax(0).values

    def _after(self, state: State, timeline: Tensor, floor: Tensor | None, lengths: Tensor | None) -> State:
        """The last rows of each sequence; those without a step keep their state."""
        started = torch.ones_like(state["started"])
        batch, time = timeline.shape[1], len(timeline) - self.max_lag
        if floor is None and lengths is None:
            return {"history": timeline[time:].transpose(0, 1), "started": started}
        lengths = torch.full((batch,), time, device=timeline.device) if lengths is None else lengths
        rows = lengths + torch.arange(self.max_lag, device=timeline.device)[:, None]
        if floor is not None:
            rows = torch.maximum(rows, floor.gather(0, (lengths - 1).clamp(min=0)[None]))
        seen = {"history": _rows(timeline, rows).transpose(0, 1), "started": started}
        return select(lengths > 0, seen, state)

    def _check(self, x: Tensor, state: State, lengths: Any, resets: Any) -> None:
        if x.dim() != 3 or x.shape[2] < self.features:
            raise ShapeError(f"Lags got x {list(x.shape)}, expected [time, batch, {self.features} or more features]")
        time, batch = x.shape[:2]
        if lengths is not None:
            check_lengths("Lags", lengths, time, batch, x.device)
        if resets is not None:
            check_resets("Lags", resets, time, batch, x.device)
        if state is None:
            return
        wanted = [batch, self.max_lag, self.features]
        if not isinstance(state, dict) or set(state) != {"history", "started"}:
            raise ShapeError(f"Lags got a state that is a {type(state).__name__} of another layer; pass on its own")
        if list(state["history"].shape) != wanted:
            raise ShapeError(f"Lags got a history {list(state['history'].shape)}, expected {wanted} for this input")

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"{self.features}, lags={self.lags}" + (", relative=True" if self.relative else "")


def _rows(timeline: Tensor, rows: Tensor) -> Tensor:
    return timeline.gather(0, rows.long()[..., None].expand(*rows.shape, timeline.shape[-1]))
