"""How many bytes a gradient keeps: what autograd saves for the backward, and what a strategy holds on to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet, finalize

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from .._state import leaves
from .._types import State


class Meter:
    """Bytes kept now and at most, each storage counted once.

    Example:
        >>> import torch
        >>> x = torch.ones(1000, requires_grad=True)
        >>> with metered([x]) as meter:
        ...     loss = (x.exp() * 2).sum()
        >>> meter.peak  # what exp() gave: its own derivative
        4000
    """

    def __init__(self, beside: Iterable[Tensor]) -> None:
        self.now = self.peak = 0
        self._beside = {_storage(tensor) for tensor in beside}
        self._holders: Counter[int] = Counter()
        self._saved: WeakSet[_Saved] = WeakSet()

    def hold(self, tensor: Tensor, owner: Any) -> None:
        """Count `tensor` for as long as `owner` lives."""
        storage, size = _storage(tensor), tensor.untyped_storage().nbytes()
        if storage in self._beside or size == 0:
            return
        if not self._holders[storage]:
            self.now += size
            self.peak = max(self.peak, self.now)
        self._holders[storage] += 1
        finalize(owner, self._release, storage, size)

    def save(self, tensor: Tensor) -> _Saved:
        """Count what autograd saves, for as long as it does."""
        saved = _Saved(tensor)
        self._saved.add(saved)
        self.hold(tensor, saved)
        return saved

    def forget(self) -> None:
        """Let go of what was saved for a backward that will not come: an output among it would keep its own graph."""
        for saved in list(self._saved):
            del saved.tensor

    def _release(self, storage: int, size: int) -> None:
        self._holders[storage] -= 1
        if not self._holders[storage]:
            self.now -= size


class _Saved:
    """A tensor in autograd's keeping."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


_METER: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered(beside: Iterable[Tensor], saved: bool = True) -> Iterator[Meter]:
    """Measure what is kept meanwhile; parameters and inputs, which are there anyway, are given as `beside`.

    Transforms of torch.func know no hooks on saved tensors: without `saved`, only what a strategy holds is counted.
    """
    meter = Meter(beside)
    token = _METER.set(meter)
    try:
        with saved_tensors_hooks(meter.save, lambda held: held.tensor) if saved else nullcontext():
            yield meter
    finally:
        _METER.reset(token)


def kept(state: State) -> State:
    """A state that a strategy keeps, known to the meter, if there is one."""
    meter = _METER.get()
    if meter is not None:
        for _, part in leaves(state):
            meter.hold(part, part)
    return state


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
