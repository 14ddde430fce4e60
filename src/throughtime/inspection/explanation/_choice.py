"""Which equations a recurrence has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ..._errors import UnsupportedError
from ...nn.visiting import Place
from ...ops import GATES
from ._equations import Derivation, Sizes
from ._gru import derive_gru
from ._lstm import derive_lstm
from ._min import derive_min_gru, derive_min_lstm
from ._rnn import derive_rnn

_SCANNED: dict[str, Callable[..., Derivation]] = {"mingru": derive_min_gru, "minlstm": derive_min_lstm}
_REFUSED = {
    "layer_norm": "the mean and the variance that it divides by depend on all units, and would stand in every line",
    "zoneout": "it mixes each state with the one before after the cell's own equations",
}
_FINITE = "gradcheck(model, batch, loss) compares its gradients with finite differences instead"


def derivation_of(place: Place, *, memory_read: bool = False) -> Derivation:
    """The equations of a recurrence with its sizes.

    Args:
        memory_read: of an LSTM, whether something outside reads its memory.

    Raises:
        UnsupportedError: for a user's own cell, and options whose equations are not here.
    """
    parameters, kind = place.parameters, place.kind
    for option, reason in _REFUSED.items():
        if option in place.options:
            raise UnsupportedError(f"{place.name} has {option}, of which explain has no equations: {reason}; {_FINITE}")
    if kind in _SCANNED:
        cell: Any = place.cell
        sizes = Sizes(cell.input_size, cell.hidden_size, cell.hidden_size)
        return _SCANNED[kind](sizes, "gates.bias" in parameters)
    if kind not in GATES:
        raise UnsupportedError(
            f"{place.name} is a {kind}, whose equations explain does not know: it knows those of RNN, GRU, LSTM, "
            f"MinGRU and MinLSTM and of their cells; of a cell of your own, {_FINITE}"
        )
    rows, features = parameters["weight_ih"].shape
    sizes = Sizes(features, rows // GATES[kind], parameters["weight_hh"].shape[1])
    bias = "bias_ih" in parameters
    if kind == "gru":
        return derive_gru(sizes, bias, reset_after="reset_after=False" not in place.options)
    if kind == "lstm":
        options = {"peephole": "peephole" in place.options, "projected": "weight_hr" in parameters}
        return derive_lstm(sizes, bias, **options, memory_read=memory_read)
    return derive_rnn(sizes, kind.removeprefix("rnn_"), bias)


def no_recurrence(model: nn.Module) -> UnsupportedError:
    """What is said of a model in which none is found."""
    return UnsupportedError(
        f"{type(model).__name__} has no recurrence whose equations are known: expected an RNN, GRU, LSTM, MinGRU or "
        f"MinLSTM, a cell of one, or a model that has some; if it is a cell of your own, {_FINITE}"
    )
