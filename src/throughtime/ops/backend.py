"""The one place that decides which implementation runs a call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .._errors import ConfigurationError, UnsupportedError
from ._library import KINDS as _NUMBERS
from ._library import sets, why_missing

KINDS = tuple(_NUMBERS)
BACKENDS = ("auto", "native", "torch", "reference")


@dataclass(frozen=True)
class Call:
    """What a layer is about to do, as far as it bears on who can do it.

    Args:
        kind: one of `KINDS`.
        options: what the call asks for beyond torch's equations, in words ("zoneout", "reset_after=False").
        lengths, resets: whether they are given.
        device: the type of device the input is on.
        dtype: the one that products are taken in: the input's, or autocast's.
        projected: whether an LSTM's output is a projection of h.
        transformed: whether a transform of torch.func is at work.
    """

    kind: str
    options: tuple[str, ...] = ()
    lengths: bool = False
    resets: bool = False
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    projected: bool = False
    transformed: bool = False


@dataclass(frozen=True)
class Choice:
    """Who runs a call, and why."""

    backend: str
    reason: str


def product_dtype(dtype: torch.dtype, device: str) -> torch.dtype:
    """The dtype that products of such an input are taken in: autocast's, where it is on; it leaves float64 alone.

    Example:
        >>> with torch.autocast("cpu", torch.bfloat16):
        ...     product_dtype(torch.float32, "cpu"), product_dtype(torch.float64, "cpu")
        (torch.bfloat16, torch.float64)
    """
    # The first question is cheap; the last is an error on a device that knows no autocast.
    if not torch._C._is_any_autocast_enabled() or not torch.amp.is_autocast_available(device):
        return dtype
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) and dtype != torch.float64 else dtype


def check_backend(requested: str) -> str:
    """`requested` itself, if there is such a backend.

    Raises:
        ConfigurationError: if there is none.
    """
    if requested not in BACKENDS:
        raise ConfigurationError(f"backend={requested!r} is unknown: choose one of {', '.join(map(repr, BACKENDS))}")
    return requested


def choose(call: Call, requested: str = "auto") -> Choice:
    """The backend for a call; only "auto" chooses, any other is taken or refused.

    Raises:
        ConfigurationError: for an unknown backend.
        UnsupportedError: for one that has no rule for this call; the message says what stands in its way.

    Example:
        >>> choose(Call("gru"), "reference")
        Choice(backend='reference', reason='asked for')
        >>> choose(Call("gru", options=("zoneout",), resets=True)).backend
        'reference'
        >>> choose(Call("lstm", dtype=torch.float64)).backend
        'torch'
    """
    if check_backend(requested) != "auto":
        obstacle = _OBSTACLES[requested](call)
        if obstacle is not None:
            raise UnsupportedError(f"backend={requested!r} cannot run this {call.kind}: {obstacle}; use backend='auto'")
        return Choice(requested, "asked for")
    reasons: list[str] = []
    for backend, find_obstacle in _OBSTACLES.items():
        obstacle = find_obstacle(call)
        if obstacle is None:
            return Choice(backend, "; ".join(reasons) or _MERITS[backend])
        reasons.append(obstacle)
    raise AssertionError("the reference has no obstacle")


def _native_obstacle(call: Call) -> str | None:
    if call.device != "cpu":
        return f"the kernels run on the CPU, not on {call.device}"
    unknown = (*call.options, *(("projection",) if call.projected else ()))
    if unknown:
        return f"the kernels have no {' and no '.join(unknown)}"
    if call.dtype not in (torch.float32, torch.bfloat16):
        return f"the kernels compute in float32, not in {call.dtype}"
    missing = why_missing()
    if missing is None and call.dtype == torch.bfloat16 and "avx512_bf16" not in sets():
        return "bfloat16 kernels need the instructions avx512_bf16"
    return missing


def _torch_obstacle(call: Call) -> str | None:
    missing = (*call.options, *(("resets=",) if call.resets else ()))
    if call.lengths and call.transformed:
        missing = (*missing, "transforms of packed sequences")
    return f"torch has no {' and no '.join(missing)}" if missing else None


def _no_obstacle(call: Call) -> str | None:
    return None


# From the best to the one that can do everything.
_OBSTACLES: dict[str, Callable[[Call], str | None]] = {
    "native": _native_obstacle,
    "torch": _torch_obstacle,
    "reference": _no_obstacle,
}
_MERITS = {
    "native": "the native kernels are the fastest",
    "torch": "torch's own fused layer computes exactly this",
    "reference": "the equations in plain PyTorch",
}
