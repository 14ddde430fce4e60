"""One layer in one direction by the equations, under the names and with the arguments of the native kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..._state import map_state
from ..._types import Lengths, Resets, State
from .gru import gru_step
from .lstm import lstm_step
from .rnn import rnn_step
from .scan import scan

EQUATIONS: dict[str, Callable[..., State]] = {
    "rnn_tanh": partial(rnn_step, nonlinearity="tanh"),
    "rnn_relu": partial(rnn_step, nonlinearity="relu"),
    "gru": gru_step,
    "lstm": lstm_step,
}


def recurrence(
    kind: str,
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
) -> tuple[Tensor, State]:
    """Run `kind` over x [time, batch, input], from `state`, h or (h, C) [batch, hidden], or from zeros.

    Example:
        >>> zero = torch.zeros(3, 1)
        >>> output, h = recurrence("gru", torch.ones(2, 1, 1), torch.ones(1, 1), zero, zero)
        >>> h  # update is ½, new is 0
        tensor([[0.2500]])
    """
    if state is None:
        h = x.new_zeros(x.shape[1], weight_hh.shape[1])
        state = (h, h) if kind == "lstm" else h
    equation = EQUATIONS[kind]

    def step(x: Tensor, state: State) -> tuple[Tensor, State]:
        after = equation(x, state, weight_ih, weight_hh, bias_ih, bias_hh)
        return after[0] if isinstance(after, tuple) else after, after

    zeros = map_state(torch.zeros_like, state)
    return scan(step, x, state, fresh=lambda: zeros, lengths=lengths, resets=resets, reverse=reverse)
