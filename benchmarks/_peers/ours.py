"""throughtime's layers, on whichever backend `backend="auto"` chooses."""

from __future__ import annotations

from typing import Any

import torch
from _case import NAMES, Case

import throughtime as tt

from .torch_nn import TorchPrepared


def version() -> str:
    return f"throughtime {tt.__version__}"


def prepare(case: Case, threads: int) -> Ours:
    torch.set_num_threads(threads)
    layer: Any = getattr(tt, NAMES[case.kind])(case.input, case.hidden)
    lengths = torch.from_numpy(case.lengths()) if case.ragged else None
    return Ours(case, layer, lambda x: layer(x, lengths=lengths)[0])


class Ours(TorchPrepared):
    def __init__(self, case: Case, layer: Any, forward: Any) -> None:
        super().__init__(case, layer, forward)
        self.backend = layer.choice(self.x, lengths=case.ragged).backend
