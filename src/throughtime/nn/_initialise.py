"""First values of a recurrence's parameters, beyond torch's own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import init

from .options import Recurrence


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
def initialise_as_asked(recurrence: Recurrence, parameters: Mapping[str, Tensor], recurrent_init: str | None) -> None:
    """Orthogonal blocks of `weight_hh`, one a gate, and the forget gate's bias, where they are asked for."""
    if recurrent_init == "orthogonal":
        for block in parameters["weight_hh"].chunk(recurrence.gates):
            init.orthogonal_(block)
    if recurrence.forget_bias is not None:
        parameters["bias_ih"].chunk(4)[1].fill_(recurrence.forget_bias)
        parameters["bias_hh"].chunk(4)[1].fill_(0.0)
