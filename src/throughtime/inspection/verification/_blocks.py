"""The parts of a gradient that are looked at by themselves: parameters, and in them gates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..._errors import ConfigurationError
from ...nn.cell import GatedCell, kind_of
from ...ops import GATE_NAMES


@dataclass(frozen=True)
class Block:
    """Some entries of a tensor.

    Args:
        name: of the tensor.
        gate: whose entries they are, `None` where they are all.
        tensor: the tensor, contiguous.
        positions: of the entries in the flattened tensor.
    """

    name: str
    gate: str | None
    tensor: Tensor
    positions: Tensor

    @property
    def flat(self) -> Tensor:
        """The whole tensor, flat, its own memory."""
        return self.tensor.detach().view(-1)

    def index(self, position: int) -> tuple[int, ...]:
        """Where an entry stands in the tensor."""
        return tuple(int(at) for at in torch.unravel_index(torch.tensor(position), self.tensor.shape))


def whole(name: str, tensor: Tensor) -> Block:
    """All of a tensor."""
    return Block(name, None, tensor, torch.arange(tensor.numel()))


def blocks_of(model: nn.Module) -> Iterator[Block]:
    """The parameters that require a gradient, split into gates where they stack them.

    Raises:
        ConfigurationError: for a `gate_names` that is no tuple of names.
    """
    modules = dict(model.named_modules())
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad or not parameter.numel():
            continue
        owners = [name.rsplit(".", cut)[0] for cut in range(1, name.count(".") + 1)]
        gated = next((owner for owner in [*owners, ""] if gates_of(modules[owner])), None)
        axis = None if gated is None else _gate_axis(modules[gated], parameter)
        if gated is None or axis is None:
            yield whole(name, parameter)
            continue
        places = torch.arange(parameter.numel()).view(parameter.shape)
        gates = gates_of(modules[gated])
        for gate, own in zip(gates, places.chunk(len(gates), axis), strict=True):
            yield Block(name, gate, parameter, own.flatten())


def gates_of(module: nn.Module) -> tuple[str, ...]:
    """The gates that its parameters stack, in their order: known ones, or those it declares as `gate_names`.

    Raises:
        ConfigurationError: for a `gate_names` that is no tuple of names.

    Example:
        >>> gates_of(nn.GRU(2, 3)), gates_of(nn.Linear(2, 3))
        (('reset', 'update', 'new'), ())
    """
    if isinstance(module, nn.RNNBase):
        return _stacked(module.mode)
    if isinstance(module, GatedCell):
        return _stacked(module.recurrence.kind)
    if isinstance(module, nn.RNNCellBase):
        return _stacked(kind_of(module))
    declared = getattr(module, "gate_names", ())
    if not isinstance(declared, (tuple, list)) or not all(isinstance(name, str) for name in declared):
        raise ConfigurationError(
            f"gate_names of {type(module).__name__} is {declared!r}: expected a tuple of names in the order in which "
            'its parameters stack the gates, as ("reset", "update", "new")'
        )
    return tuple(declared)


def _stacked(kind: str) -> tuple[str, ...]:
    """The names of a kind's gates; one alone stacks nothing."""
    names = GATE_NAMES.get(kind.lower(), ())
    return names if len(names) > 1 else ()


def _gate_axis(module: nn.Module, parameter: Tensor) -> int | None:
    """Along which axis a parameter stacks the gates: rows, else columns; `None` where it stacks none."""
    count, hidden = len(gates_of(module)), getattr(module, "hidden_size", None)
    for axis in dict.fromkeys((0, parameter.dim() - 1)) if parameter.dim() else ():
        size = parameter.shape[axis]
        if size == count * hidden if isinstance(hidden, int) else size % count == 0:
            return axis
    return None
