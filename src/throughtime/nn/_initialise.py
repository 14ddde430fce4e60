"""First values of a recurrence's parameters, beyond torch's own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import init

from ..ops import GATES
from .options import KEEPING, Recurrence, Start


@torch.no_grad()
def initialise_extras(recurrence: Recurrence, parameters: Mapping[str, Tensor], hidden_size: int) -> None:
    """Gains are 1, shifts 0, the rest uniform as torch's own weights."""
    bound = hidden_size**-0.5
    for name in recurrence.extras:
        if name.startswith(("gain", "shift")):
            init.constant_(parameters[name], float(name.startswith("gain")))
        else:
            init.uniform_(parameters[name], -bound, bound)


@torch.no_grad()
def initialise_as_asked(recurrence: Recurrence, parameters: Mapping[str, Tensor], start: Start) -> None:
    """Orthogonal blocks of `weight_hh`, one a gate, and biases that keep, where they are asked for."""
    if start.recurrent == "orthogonal":
        for block in parameters["weight_hh"].chunk(recurrence.gates):
            block.copy_(init.orthogonal_(torch.empty(block.shape)))  # drawn in float32, as half precision has no QR
    if recurrence.forget_bias is not None:
        _set_bias(parameters, 1, 4, recurrence.forget_bias)
    if start.chrono is not None:
        initialise_memories(recurrence.kind, parameters, start.chrono)


@torch.no_grad()
def initialise_memories(kind: str, parameters: Mapping[str, Tensor], lag: int) -> None:
    """Biases of the gates with which units remember for 1 to `lag` − 1 steps (Tallec & Ollivier 2018)."""
    keeping, letting_in = KEEPING[kind]
    biases = torch.empty(len(parameters["bias_ih"]) // GATES[kind]).uniform_(1, lag - 1).log()
    _set_bias(parameters, keeping, GATES[kind], biases)
    if letting_in is not None:
        _set_bias(parameters, letting_in, GATES[kind], -biases)


def _set_bias(parameters: Mapping[str, Tensor], gate: int, gates: int, value: Tensor | float) -> None:
    """The whole bias of a gate, of which torch keeps two halves."""
    parameters["bias_ih"].chunk(gates)[gate].copy_(torch.as_tensor(value))
    parameters["bias_hh"].chunk(gates)[gate].fill_(0.0)
