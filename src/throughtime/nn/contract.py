"""What is asked of any layer, ours, torch.nn's or a user's: whether it streams, its first state, and what it takes."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import UnsupportedError
from .._state import map_state
from .._types import State


def streams(module: nn.Module) -> bool:
    """Whether `output, state = module(x, state)` may be called on consecutive pieces of a time-first sequence.

    What a module declares as `streams` holds; else, as of torch.nn's layers, neither it nor any module in it may be
    bidirectional or batch_first.

    Example:
        >>> streams(nn.GRU(2, 3)), streams(nn.GRU(2, 3, bidirectional=True))
        (True, False)
    """
    declared = getattr(module, "streams", None)
    if declared is not None:
        return bool(declared)
    return not any(
        getattr(part, "bidirectional", False) or getattr(part, "batch_first", False) for part in module.modules()
    )


def has_state(module: nn.Module) -> bool:
    """Whether a module is called with a state: it has `initial_state`, or is one of torch.nn's recurrent layers."""
    return isinstance(module, nn.RNNBase) or hasattr(module, "initial_state")


def initial_state(module: nn.Module, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
    """The state before the first step, of torch.nn's layers too.

    Raises:
        UnsupportedError: where the module tells none.

    Example:
        >>> h, memory = initial_state(nn.LSTM(2, 3, proj_size=1), 4)
        >>> h.shape, memory.shape
        (torch.Size([1, 4, 1]), torch.Size([1, 4, 3]))
    """
    if hasattr(module, "initial_state"):
        given = {name: value for name, value in (("device", device), ("dtype", dtype)) if value is not None}
        return module.initial_state(batch_size, **given)  # type: ignore[operator]
    if not isinstance(module, nn.RNNBase):
        raise UnsupportedError(f"{type(module).__name__} has no initial_state(batch_size): give it that method")
    like = next(module.parameters())
    layers = module.num_layers * (2 if module.bidirectional else 1)
    sizes = (module.proj_size or module.hidden_size, module.hidden_size)[: 2 if module.mode == "LSTM" else 1]
    parts = [
        torch.zeros(layers, batch_size, size, device=device or like.device, dtype=dtype or like.dtype) for size in sizes
    ]
    return tuple(parts) if len(parts) > 1 else parts[0]


def batch_axes(module: nn.Module) -> State:
    """A tree of the state's form that has, for each tensor, the axis along which its sequences stand.

    Raises:
        UnsupportedError: where the module tells no initial state.

    Example:
        >>> batch_axes(nn.LSTM(2, 3))
        (1, 1)
    """
    one, two = initial_state(module, 1), initial_state(module, 2)
    return map_state(lambda a, b: [m == n for m, n in zip(a.shape, b.shape, strict=True)].index(False), one, two)


def accepted(module: nn.Module, name: str, **extras: Tensor | None) -> dict[str, Tensor]:
    """Those of `extras` (lengths, resets) that are given.

    Raises:
        UnsupportedError: where the forward of `module`, which is called `name`, does not take them.
    """
    given = {key: value for key, value in extras.items() if value is not None}
    if not given or torch.compiler.is_compiling():
        return given
    parameters = inspect.signature(module.forward).parameters
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    missing = [key for key in given if key not in parameters and not anything]
    if missing:
        raise UnsupportedError(
            f"{name} takes no {' and no '.join(missing)}: throughtime's layers do, also after accelerate(model), and "
            f"any cell in Recurrent; a module of your own takes {'=, '.join(missing)}= in its forward and passes it on"
        )
    return given
