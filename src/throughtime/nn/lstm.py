"""Long short-term memory: C_t = forget ⊙ C_{t−1} + input ⊙ cell, h_t = output ⊙ tanh(C_t)."""

from __future__ import annotations

from typing import Any, Unpack

from .._errors import ConfigurationError
from ..ops import lstm_step
from ._stack import Stack
from .cell import GatedCell
from .options import Options, Recurrence

_PEEPHOLES = ("peephole_input", "peephole_forget", "peephole_output")


def _recurrence(
    hidden_size: int, bias: bool, peephole: bool, forget_bias: float | None, layer_norm: bool
) -> Recurrence:
    if forget_bias is not None and not bias:
        raise ConfigurationError(f"forget_bias={forget_bias} but bias=False: there is no bias to set")
    extras: dict[str, tuple[int, ...]] = {}
    if peephole:
        extras |= dict.fromkeys(_PEEPHOLES, (hidden_size,))
    if layer_norm:
        extras |= dict.fromkeys(("gain_ih", "gain_hh"), (4 * hidden_size,))
        extras |= dict.fromkeys(("gain_memory", "shift_memory"), (hidden_size,))
    wanted = {"peephole": peephole, "layer_norm": layer_norm}
    options = tuple(option for option, asked in wanted.items() if asked)
    return Recurrence("lstm", lstm_step, 2, extras, options, forget_bias)


class LSTMCell(GatedCell):
    """One step of long short-term memory (Hochreiter & Schmidhuber 1997); parameters as torch.nn.LSTMCell's.

    Its state is (h, C); h is its output.

    Args:
        input_size, hidden_size: features of x and of C.
        bias: whether there are b_ih and b_hh.
        proj_size: features of h where it is a projection (Sak et al. 2014), 0 where it is not.
        peephole: whether the gates see the memory (Gers & Schmidhuber 2000).
        forget_bias: the initial bias of the forget gate (Gers et al. 2000 advise 1 or more); `None` is torch's.
        options: see `Options`.

    Example:
        >>> import torch
        >>> output, (h, memory) = LSTMCell(3, 5, proj_size=2)(torch.zeros(2, 3))
        >>> output.shape, memory.shape
        (torch.Size([2, 2]), torch.Size([2, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: int = 0,
        peephole: bool = False,
        forget_bias: float | None = None,
        **options: Unpack[Options],
    ) -> None:
        recurrence = _recurrence(hidden_size, bias, peephole, forget_bias, options.get("layer_norm", False))
        shape = (input_size, hidden_size, bias, device, dtype)
        super().__init__(recurrence, *shape, proj_size=proj_size, **options)


class LSTM(Stack):
    """Layers of long short-term memory: a drop-in replacement of torch.nn.LSTM, arguments as there.

    Beyond it, keyword-only: `peephole` and `forget_bias` (see `LSTMCell`), `backend` ("auto", "native", "torch",
    "reference"; see `ops.choose`) and the options of `Options`; and `forward` takes `lengths` and `resets`.

    Example:
        >>> import torch
        >>> output, (h, memory) = LSTM(3, 5, forget_bias=1.0)(torch.zeros(7, 2, 3))
        >>> output.shape, memory.shape
        (torch.Size([7, 2, 5]), torch.Size([1, 2, 5]))
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
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        peephole: bool = False,
        forget_bias: float | None = None,
        backend: str = "auto",
        **options: Unpack[Options],
    ) -> None:
        recurrence = _recurrence(hidden_size, bias, peephole, forget_bias, options.get("layer_norm", False))
        shape = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        super().__init__(recurrence, *shape, device, dtype, backend=backend, **options)
