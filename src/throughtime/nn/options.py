"""What the built-in cells take beyond their equations, said once for cells and layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

from .._errors import ConfigurationError
from .._types import State
from ..ops import GATES


class Options(TypedDict, total=False):
    """The keyword-only options of every built-in cell and layer.

    Args:
        recurrent_init: `"orthogonal"` makes each gate's block of `weight_hh` orthogonal (Saxe et al. 2014);
            `None` is torch's initialisation.
        chrono_init: the longest lag T of the task, for GRU and LSTM: units begin with memories of 1 to T − 1 steps, the
            biases of the forget or update gate drawn as ln u, u uniform between, an LSTM's input biases as their
            negatives (Tallec & Ollivier 2018, https://arxiv.org/abs/1804.11188).
        variational_dropout: the probabilities with which a feature of the input and of h_{t−1} is dropped for a whole
            sequence, a pair or one for both (Gal & Ghahramani 2016, https://arxiv.org/abs/1512.05287).
        zoneout: the probabilities with which an element of h, and of an LSTM's memory C, keeps its previous value;
            a pair (h, C) or one for both (Krueger et al. 2017, https://arxiv.org/abs/1606.01305).
        layer_norm: normalise inside the cell (Ba et al. 2016, https://arxiv.org/abs/1607.06450).
        weight_drop: the probability with which an element of `weight_hh` is dropped for a whole call
            (Merity et al. 2018, https://arxiv.org/abs/1708.02182).

    All are at work in training mode only, but for `layer_norm`, and zoneout, which in evaluation is its expectation.
    Masks are drawn from torch's default generator on the CPU, so `torch.manual_seed` fixes them.
    """

    recurrent_init: str | None
    chrono_init: int | None
    variational_dropout: float | tuple[float, float]
    zoneout: float | tuple[float, float]
    layer_norm: bool
    weight_drop: float


@dataclass(frozen=True)
class Recurrence:
    """What tells one recurrence from another: all that cells and layers share.

    Args:
        kind: its name among `ops.KINDS`.
        equation: `state = equation(x, state, recurrent_mask=…, **parameters)`.
        parts: the tensors its state is made of.
        extras: shapes of the parameters that torch's own layer lacks, by name.
        options: what it asks for beyond torch's equations, in words.
        forget_bias: the initial bias of the forget gate; `None` is torch's.
    """

    kind: str
    equation: Callable[..., State]
    parts: int = 1
    extras: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    forget_bias: float | None = None

    @property
    def gates(self) -> int:
        """How many blocks of rows the weights have."""
        return GATES[self.kind]


KEEPING = {"lstm": (1, 0), "gru": (1, None)}
"""Where the rows of the gate stand that keeps the old state, and of the one that lets in the new, if it is another."""


@dataclass(frozen=True)
class Start:
    """How parameters begin where it is not torch's way: `recurrent_init` and `chrono_init` of the options."""

    recurrent: str | None = None
    chrono: int | None = None


@dataclass(frozen=True)
class Noise:
    """The noise of training: probabilities, all 0 by default."""

    input_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout: tuple[float, ...] = (0.0,)
    weight_drop: float = 0.0

    @property
    def masks(self) -> bool:
        """Whether states carry masks in training."""
        return self.input_dropout > 0 or self.recurrent_dropout > 0

    def described(self) -> tuple[str, ...]:
        """What is not 0, as it was asked for."""
        rates = {field.name: getattr(self, field.name) for field in fields(self)}
        return tuple(f"{name}={rate}" for name, rate in rates.items() if rate and rate != (0.0,) * len(self.zoneout))

    def at_work(self, training: bool) -> tuple[str, ...]:
        """What it does that torch's own layers do not, in words; weight-drop is done beforehand, on any of them."""
        masks = ("variational_dropout",) if training and self.masks else ()
        return (*masks, "zoneout") if any(self.zoneout) else masks


def read_options(options: Options, recurrence: Recurrence, bias: bool) -> tuple[Noise, Start]:
    """The noise of a recurrence, and how its parameters begin.

    Raises:
        ConfigurationError: for unknown names, values out of range, and what the recurrence has not.
    """
    unknown = sorted(set(options) - set(Options.__annotations__))
    if unknown:
        raise ConfigurationError(f"unknown option {unknown[0]!r}: expected one of {', '.join(Options.__annotations__)}")
    init, chrono = options.get("recurrent_init"), options.get("chrono_init")
    if init not in (None, "orthogonal"):
        raise ConfigurationError(f"recurrent_init={init!r}: expected 'orthogonal', or None for torch's")
    if chrono is not None:
        _check_chrono(chrono, recurrence, bias)
    parts = recurrence.parts
    dropout = _probabilities("variational_dropout", options.get("variational_dropout", 0.0), 2, "(input, recurrent)")
    zoneout = _probabilities("zoneout", options.get("zoneout", 0.0), parts, "(h, C)")
    (weight_drop,) = _probabilities("weight_drop", options.get("weight_drop", 0.0), 1, "")
    return Noise(dropout[0], dropout[1], zoneout, weight_drop), Start(init, chrono)


def _check_chrono(lag: Any, recurrence: Recurrence, bias: bool) -> None:
    if not isinstance(lag, int) or isinstance(lag, bool) or lag < 3:
        raise ConfigurationError(f"chrono_init={lag!r}: expected the longest lag of the task in steps, at least 3")
    if recurrence.kind not in KEEPING:
        raise ConfigurationError(f"chrono_init={lag} but {recurrence.kind} has no gate that keeps: GRU and LSTM have")
    if not bias or recurrence.forget_bias is not None:
        given = "bias=False" if not bias else f"forget_bias={recurrence.forget_bias}"
        raise ConfigurationError(f"chrono_init={lag} but {given}: both say how the gates' biases begin")


def _probabilities(name: str, given: Any, count: int, pair: str) -> tuple[float, ...]:
    values = tuple(given) if isinstance(given, (tuple, list)) else (given,) * count
    wanted = f"a probability in [0, 1){f', or a pair {pair} of them' if count == 2 else ''}"
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if len(values) != count or not numbers or not all(0 <= value < 1 for value in values):
        raise ConfigurationError(f"{name}={given!r}: expected {wanted}")
    return tuple(float(value) for value in values)
