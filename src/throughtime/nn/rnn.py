"""The simple recurrence: h_t = tanh(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh)."""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

from .._errors import ConfigurationError
from ..ops import rnn_step
from ._stack import Stack
from .cell import GatedCell
from .options import Options, Recurrence


def _recurrence(hidden_size: int, nonlinearity: str, layer_norm: bool) -> Recurrence:
    if nonlinearity not in ("tanh", "relu"):
        raise ConfigurationError(f"nonlinearity={nonlinearity!r}: expected 'tanh' or 'relu'")
    return Recurrence(
        kind=f"rnn_{nonlinearity}",
        equation=partial(rnn_step, nonlinearity=nonlinearity),
        extras={"gain": (hidden_size,)} if layer_norm else {},
        options=("layer_norm",) if layer_norm else (),
    )


class RNNCell(GatedCell):
    """One step of the simple recurrence (Elman 1990); parameters as torch.nn.RNNCell's.

    Args:
        input_size, hidden_size: features of x and of h.
        bias: whether there are b_ih and b_hh.
        nonlinearity: "tanh" or "relu".
        options: see `Options`.

    Example:
        >>> import torch
        >>> output, h = RNNCell(3, 5)(torch.zeros(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
        **options: Unpack[Options],
    ) -> None:
        recurrence = _recurrence(hidden_size, nonlinearity, options.get("layer_norm", False))
        super().__init__(recurrence, input_size, hidden_size, bias, device, dtype, **options)
        self.nonlinearity = nonlinearity


class RNN(Stack):
    """Layers of the simple recurrence: a drop-in replacement of torch.nn.RNN, arguments as there.

    Beyond it, keyword-only: `backend` ("auto", "native", "torch", "reference"; see `ops.choose`) and the options of
    `Options`; and `forward` takes `lengths` and `resets`.

    Example:
        >>> import torch
        >>> output, h = RNN(3, 5, nonlinearity="relu")(torch.zeros(7, 2, 3))
        >>> output.shape, h.shape
        (torch.Size([7, 2, 5]), torch.Size([1, 2, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        backend: str = "auto",
        **options: Unpack[Options],
    ) -> None:
        recurrence = _recurrence(hidden_size, nonlinearity, options.get("layer_norm", False))
        shape = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
        super().__init__(recurrence, *shape, backend=backend, **options)
        self.nonlinearity = nonlinearity
