"""Receptive fields between modules: what a forward computes number by number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

_POINTWISE = {
    *("relu", "gelu", "silu", "elu", "selu", "leaky_relu", "hardtanh", "softplus", "tanh", "sigmoid"),
    *("add", "iadd", "radd", "sub", "rsub", "mul", "rmul", "div", "truediv"),
    *("dropout", "clone", "contiguous", "batch_norm", "layer_norm"),
}


class Joining(TorchFunctionMode):
    """Follows receptive fields through what a forward computes number by number, between modules."""

    def __init__(self, joined: Callable[[Sequence[Tensor], Tensor], None]) -> None:
        super().__init__()
        self.joined = joined

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and getattr(func, "__name__", "").strip("_") in _POINTWISE:
            tensors = [one for one in args if isinstance(one, Tensor)]
            if any(one.shape == result.shape for one in tensors):
                self.joined(tensors, result)
        return result
