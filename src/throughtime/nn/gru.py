"""The gated recurrent unit: h_t = (1 − update) ⊙ new + update ⊙ h_{t−1}."""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

from ..ops import gru_step
from ._stack import Stack
from .cell import GatedCell
from .options import Options, Recurrence


def _recurrence(hidden_size: int, reset_after: bool, layer_norm: bool) -> Recurrence:
    extras = {"gain_ih": (3 * hidden_size,), "gain_hh": (3 * hidden_size,)}
    wanted = {"reset_after=False": not reset_after, "layer_norm": layer_norm}
    return Recurrence(
        kind="gru",
        equation=partial(gru_step, reset_after=reset_after),
        extras=extras if layer_norm else {},
        options=tuple(option for option, asked in wanted.items() if asked),
    )


class GRUCell(GatedCell):
    """One step of a gated recurrent unit (Cho et al. 2014); parameters as torch.nn.GRUCell's.

    Args:
        input_size, hidden_size: features of x and of h.
        bias: whether there are b_ih and b_hh.
        reset_after: whether the reset gate multiplies W_hn h + b_hn, as in torch, or, as in the paper, h itself.
        options: see `Options`.

    Example:
        >>> import torch
        >>> output, h = GRUCell(3, 5, reset_after=False)(torch.zeros(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        reset_after: bool = True,
        **options: Unpack[Options],
    ) -> None:
        recurrence = _recurrence(hidden_size, reset_after, options.get("layer_norm", False))
        super().__init__(recurrence, input_size, hidden_size, bias, device, dtype, **options)


class GRU(Stack):
    """Layers of gated recurrent units: a drop-in replacement of torch.nn.GRU, arguments as there.

    Beyond it, keyword-only: `reset_after` (see `GRUCell`), `backend` ("auto", "native", "torch", "reference"; see
    `ops.choose`) and the options of `Options`; and `forward` takes `lengths` and `resets`.

    Example:
        >>> import torch
        >>> output, h = GRU(3, 5, num_layers=2)(torch.zeros(7, 2, 3), lengths=torch.tensor([7, 4]))
        >>> output.shape, h.shape
        (torch.Size([7, 2, 5]), torch.Size([2, 2, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        reset_after: bool = True,
        backend: str = "auto",
        **options: Unpack[Options],
    ) -> None:
        recurrence = _recurrence(hidden_size, reset_after, options.get("layer_norm", False))
        shape = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
        super().__init__(recurrence, *shape, backend=backend, **options)
