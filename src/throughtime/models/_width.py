"""How wide a model's inputs are, as far as its first layers tell."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..nn import Lags, Recurrent, Sequential
from ..nn.cell import GatedCell
from .known import KnownScale

_IN_ORDER = (nn.Sequential, nn.ModuleList, Sequential, Recurrent)
_AS_WIDE = (nn.Identity, nn.Dropout, KnownScale)


def input_width(*modules: nn.Module) -> int | None:
    """How many features the first of `modules`, applied one after the other, takes; `None` where it is not known.

    Example:
        >>> input_width(nn.Identity(), Sequential(Lags(1, (0, 1, 2)), nn.Linear(5, 4)))
        3
    """
    added = 0
    for layer in _layers(modules):
        if isinstance(layer, nn.Linear):
            return layer.in_features - added
        if isinstance(layer, (nn.RNNBase, nn.RNNCellBase, GatedCell)):
            return layer.input_size - added
        if isinstance(layer, Lags):
            added += layer.output_size(0)
        elif not isinstance(layer, _AS_WIDE):
            return None
    return None


def _layers(modules: tuple[nn.Module, ...]) -> Iterator[nn.Module]:
    for module in modules:
        if isinstance(module, _IN_ORDER):
            yield from _layers(tuple(module.children()))
        else:
            yield module
