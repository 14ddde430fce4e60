"""Replacing torch.nn's recurrent layers by ours inside any module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from ._stack import Stack
from .gru import GRU
from .lstm import LSTM
from .rnn import RNN


@dataclass(frozen=True)
class Acceleration:
    """What `accelerate` did.

    Args:
        module: the module, its layers replaced; a new one where it was itself such a layer.
        replaced: the name and the description of each layer replaced, and, where the kernels do not serve it, why.
        left: the name of each layer left as it was, and why.
    """

    module: nn.Module
    replaced: tuple[tuple[str, str], ...]
    left: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        lines = [f"replaced {name or '(the module itself)'}: {what}" for name, what in self.replaced]
        lines += [f"left {name or '(the module itself)'}: {why}" for name, why in self.left]
        return "\n".join(lines) or "no recurrent layer of torch.nn was found"


def accelerate(module: nn.Module) -> Acceleration:
    """Replace every torch.nn.RNN, GRU and LSTM inside `module`, in place, by ours with the very same parameters.

    Optimisers that hold the parameters go on; training mode is kept, and a layer used at two places stays one.
    Left as they are, and explained: cells, subclasses, layers with hooks, parametrizations or a forward of their own.
    A module that is such a layer itself cannot be replaced in place: the new one is the result's `module`.

    Example:
        >>> model = nn.Sequential(nn.LSTM(3, 5))
        >>> print(accelerate(model))
        replaced 0: LSTM(3, 5)...
        >>> accelerate(nn.GRU(3, 5)).module
        GRU(3, 5)
    """
    replaced: list[tuple[str, str]] = []
    left = [(name, _WHY_CELLS_STAY) for name, part in module.named_modules() if isinstance(part, nn.RNNCellBase)]
    successors: dict[nn.Module, Stack] = {}
    for name, layer in _recurrent_layers(module):
        reason = obstacle(layer)
        if reason is not None:
            left.append((name, reason))
            continue
        if layer not in successors:
            successors[layer] = successor(layer)
        replaced.append((name, _described(successors[layer])))
    for parent in list(module.modules()):
        for child_name, child in list(parent._modules.items()):
            if child in successors:
                parent._modules[child_name] = successors[child]
    return Acceleration(successors.get(module, module), tuple(replaced), tuple(left))


def _recurrent_layers(module: nn.Module) -> Iterator[tuple[str, nn.RNNBase]]:
    """Every recurrent layer of torch.nn, at every place where it stands."""
    for name, layer in module.named_modules(remove_duplicate=False):
        if isinstance(layer, nn.RNNBase) and not isinstance(layer, Stack):
            yield name, layer


def obstacle(layer: nn.RNNBase) -> str | None:
    """Why a layer must stay as it is."""
    if parametrize.is_parametrized(layer):
        return "it has parametrizations, which compute its weights anew at each call"
    if type(layer) not in _REPLACEMENTS:
        return f"{type(layer).__qualname__} is a subclass, whose behaviour may be its own"
    hooks = [name for name, value in vars(layer).items() if name.endswith(("hooks", "hooks_with_kwargs")) and value]
    if hooks:
        return f"it has hooks ({', '.join(sorted(name.strip('_') for name in hooks))})"
    if "forward" in vars(layer) or layer._compiled_call_impl is not None:
        return "its forward was replaced or compiled"
    missing = [name for name in layer._flat_weights_names if name not in layer._parameters]
    if missing:
        return f"its {missing[0]} is no parameter of it any more"
    if list(layer.children()) or list(layer.buffers()) or len(layer._parameters) != len(layer._flat_weights_names):
        return "it was given modules, buffers or parameters of its own"
    return None


def _described(layer: Stack) -> str:
    """A layer, and who computes it where that is not the kernels."""
    choice = layer.choice(layer._first_weight)
    return repr(layer) if choice.backend == "native" else f"{layer!r}, on {choice.backend}: {choice.reason}"


def successor(layer: nn.RNNBase) -> Stack:
    """Our layer over the parameters of torch's."""
    ours: Stack = _REPLACEMENTS[type(layer)](layer)
    ours.dropout = layer.dropout
    for name in layer._flat_weights_names:
        setattr(ours, name, layer._parameters[name])
    ours._init_flat_weights()
    ours.train(layer.training)
    for name, value in vars(layer).items():
        if name not in vars(ours):
            setattr(ours, name, value)
    return ours


def _settings(layer: nn.RNNBase) -> dict[str, Any]:
    names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional")
    return {"device": "meta", **{name: getattr(layer, name) for name in names}}


_WHY_CELLS_STAY = "a cell takes one step at a time; layer.stepper() is the fast way to do so"

_REPLACEMENTS: dict[type, Callable[[Any], Stack]] = {
    nn.RNN: lambda layer: RNN(nonlinearity=layer.nonlinearity, **_settings(layer)),
    nn.GRU: lambda layer: GRU(**_settings(layer)),
    nn.LSTM: lambda layer: LSTM(proj_size=layer.proj_size, **_settings(layer)),
}
