"""torch.nn's layers; ragged batches through its packed path."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from _case import NAMES, Case
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def version() -> str:
    return f"torch {torch.__version__}"


def prepare(case: Case, threads: int) -> TorchPrepared:
    torch.set_num_threads(threads)
    layer: Any = getattr(nn, NAMES[case.kind])(case.input, case.hidden)
    if not case.ragged:
        return TorchPrepared(case, layer, lambda x: layer(x)[0])
    lengths = torch.from_numpy(case.lengths())

    def forward(x: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(layer(packed)[0], total_length=case.time)[0]

    return TorchPrepared(case, layer, forward)


class TorchPrepared:
    """A layer with torch.nn's parameters, called by `forward`."""

    def __init__(self, case: Case, layer: nn.Module, forward: Callable[[Tensor], Tensor]) -> None:
        self.case, self.forward = case, forward
        self.weights: dict[str, Any] = {name: getattr(layer, f"{name}_l0") for name in case.weights()}
        with torch.no_grad():
            for name, value in case.weights().items():
                self.weights[name].copy_(torch.from_numpy(value))
        self.x = torch.from_numpy(case.inputs()).requires_grad_(case.training)
        self.cotangent = torch.from_numpy(case.cotangent()) if case.training else None
        layer.train(case.training)

    def run(self) -> tuple[Tensor, ...]:
        if not self.case.training:
            with torch.inference_mode(), self._precision():
                return (self.forward(self.x),)
        with self._precision():
            output = self.forward(self.x)
        assert self.cotangent is not None
        gradients = torch.autograd.grad(output, [self.x, *self.weights.values()], self.cotangent.to(output.dtype))
        return output, *gradients

    def _precision(self) -> Any:
        half = self.case.precision == "bfloat16"
        return torch.autocast("cpu", torch.bfloat16) if half else nullcontext()

    def results(self) -> dict[str, np.ndarray]:
        names = ("output", "x", *self.weights)
        return {name: value.detach().float().numpy() for name, value in zip(names, self.run(), strict=False)}
