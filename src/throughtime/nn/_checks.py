"""Refusing, in words, what contradicts the input of a recurrent layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._errors import ConfigurationError, ShapeError
from .._types import State


def check_features(name: str, x: Tensor, input_size: int, weight: Tensor) -> None:
    """`x` must have `input_size` features, and the weights' dtype and device."""
    if x.shape[-1] != input_size:
        raise ShapeError(
            f"{name} got an input {list(x.shape)} with {x.shape[-1]} features, expected input_size={input_size}"
        )
    if x.dtype != weight.dtype and not torch._C._is_any_autocast_enabled():
        raise ConfigurationError(
            f"{name} got an input of {x.dtype} but its weights are {weight.dtype}: input.to({weight.dtype})"
        )
    if x.device != weight.device:
        raise ConfigurationError(
            f"{name} got an input on {x.device} but its weights are on {weight.device}: input.to('{weight.device}')"
        )


def check_lengths(name: str, lengths: Any, time: int, batch: int, device: torch.device) -> None:
    """`lengths` must be integers [batch] from 0 to `time`, on the input's device."""
    if not isinstance(lengths, Tensor):
        raise ShapeError(f"{name} got lengths as a {type(lengths).__name__}: torch.tensor(lengths) is expected")
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise ShapeError(
            f"{name} got lengths of {lengths.dtype}, expected integers; of a mask [time, batch] they are mask.sum(0)"
        )
    if tuple(lengths.shape) != (batch,):
        raise ShapeError(
            f"{name} got lengths {list(lengths.shape)}, expected [{batch}], one a sequence of the batch"
            + _if_swapped(tuple(lengths.shape) == (time,) and time != batch)
        )
    if lengths.device != device:
        raise ShapeError(f"{name} got lengths on {lengths.device}, input on {device}: lengths.to('{device}')")
    if torch.compiler.is_compiling() or not batch:
        return
    shortest, longest = (int(bound) for bound in torch.aminmax(lengths))
    if shortest < 0 or longest > time:
        wrong = shortest if shortest < 0 else longest
        raise ShapeError(
            f"{name} got a length of {wrong}, expected 0 to {time}, the steps of the input"
            + _if_swapped(shortest >= 0 and longest <= batch)
        )


def check_resets(name: str, resets: Any, time: int, batch: int, device: torch.device) -> None:
    """`resets` must be bool [time, batch], on the input's device."""
    if not isinstance(resets, Tensor):
        raise ShapeError(f"{name} got resets as a {type(resets).__name__}: a bool tensor [time, batch] is expected")
    if resets.dtype != torch.bool:
        raise ShapeError(f"{name} got resets of {resets.dtype}, expected torch.bool: resets.bool()")
    if tuple(resets.shape) != (time, batch):
        raise ShapeError(
            f"{name} got resets {list(resets.shape)}, expected [time, batch] = [{time}, {batch}]"
            + _if_swapped(tuple(resets.shape) == (batch, time))
        )
    if resets.device != device:
        raise ShapeError(f"{name} got resets on {resets.device}, input on {device}: resets.to('{device}')")


def check_state(name: str, state: State, wanted: tuple[tuple[int, ...], ...], time: int, x: Tensor) -> None:
    """`state` must be a tensor, or a tuple (h, C), of the shapes `wanted`: [layers × directions, batch, hidden]."""
    pair = len(wanted) == 2
    if isinstance(state, (tuple, list)) != pair or (pair and len(state) != 2):
        kind = f"a {type(state).__name__} of {len(state)}" if isinstance(state, (tuple, list)) else type(state).__name__
        expected = "a pair (h, C), as of an LSTM" if pair else "one tensor h"
        raise ShapeError(f"{name} got a state that is {kind}, expected {expected}: it is another layer's state")
    for symbol, part, shape in zip("hC", state if pair else (state,), wanted, strict=False):
        if not isinstance(part, Tensor):
            raise ShapeError(f"{name} got {symbol} as a {type(part).__name__}, expected a tensor {list(shape)}")
        if tuple(part.shape) != shape:
            raise ShapeError(
                f"{name} got a state {symbol} {list(part.shape)}, expected {list(shape)}: {_differs(part, shape, time)}"
            )
        if part.dtype != x.dtype and not torch._C._is_any_autocast_enabled():
            raise ConfigurationError(f"{name} got a state of {part.dtype} for an input of {x.dtype}: use one dtype")
        if part.device != x.device:
            raise ConfigurationError(f"{name} got a state on {part.device}, input on {x.device}: move it there")


def _differs(part: Tensor, shape: tuple[int, ...], time: int) -> str:
    given = tuple(part.shape)
    if len(given) != len(shape):
        axes = "layers × directions, batch, hidden" if len(shape) == 3 else "layers × directions, hidden"
        return f"its axes must be [{axes}]" + ("" if len(shape) == 3 else " for an input without batch")
    if len(shape) == 3 and given[1] != shape[1]:
        swapped = _if_swapped(given[1] == time)
        return f"it is of a batch of {given[1]}, the input of {shape[1]}{swapped}"
    if given[0] != shape[0]:
        return f"another number of layers or directions, {given[0]} instead of {shape[0]}: it is another layer's state"
    return f"its hidden size is {given[-1]} instead of {shape[-1]}: it is another layer's state"


def _if_swapped(looks_so: bool) -> str:
    return "; it looks as if time and batch were swapped: transpose(0, 1), or batch_first=True" if looks_so else ""
