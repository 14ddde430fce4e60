"""Memory for results, for what a forward saves and for scratch, used again instead of being faulted in anew.

A page that is touched for the first time costs more than the kernel's work on it. So large buffers are kept when the
tensors over them die, and given out again to whoever asks for the same size.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from math import prod
from mmap import MADV_HUGEPAGE, MAP_ANONYMOUS, MAP_PRIVATE, mmap
from threading import Lock
from weakref import finalize

import torch
from torch import Tensor

ALIGNMENT = 64
"""What the kernels' addresses of scratch and saves are multiples of; torch's allocator and pages give no less."""

_SMALL = 1 << 20
"""Below this many bytes torch's allocator, which keeps such blocks itself, is as good."""


class Pool:
    """Buffers that return when the last tensor over them dies; safe to use from any thread.

    Args:
        limit: how many bytes may lie idle; beyond them the oldest buffers are unmapped.

    Example:
        >>> pool = Pool(limit=1 << 30)
        >>> first = pool.take(1 << 21)
        >>> address = first.data_ptr()
        >>> del first
        >>> pool.take(1 << 21).data_ptr() == address
        True
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._idle: deque[mmap] = deque()
        self._lock = Lock()
        os.register_at_fork(after_in_child=self._after_fork)

    def take(self, size: int) -> Tensor:
        """Bytes [size] of any content, aligned to 64, the caller's until the last tensor over them is gone."""
        if size < _SMALL:
            return torch.empty(size, dtype=torch.uint8, device="cpu")
        with self._lock:
            buffer = self._pop(_rounded(size))
            self._trim()
        buffer = buffer or _mapped(_rounded(size))
        view = memoryview(buffer)  # held by torch as long as the tensor's storage, and by nobody else
        finalize(view, self._give_back, buffer).atexit = False
        return torch.frombuffer(view, dtype=torch.uint8, count=size)

    def numbers(self, *shape: int) -> Tensor:
        """A float32 tensor of that shape and any content, likewise."""
        size = 4 * prod(shape)
        if size < _SMALL:
            return torch.empty(shape, dtype=torch.float32, device="cpu")
        view = self.take(size).view(torch.float32).view(shape)
        # A tensor of its own: autograd refuses to change views that a function returns.
        own = torch.empty(0, dtype=torch.float32, device="cpu")
        return own.set_(view.untyped_storage(), 0, shape, view.stride())

    def clear(self) -> None:
        """Unmap what lies idle."""
        with self._lock:
            self._idle.clear()

    @property
    def idle(self) -> int:
        """How many bytes lie idle."""
        # Of a copy, which is made in one step: another thread's tensor may die, or one be taken, while this counts.
        return sum(map(len, tuple(self._idle)))

    def _pop(self, size: int) -> mmap | None:
        for index in reversed(range(len(self._idle))):  # the youngest is likeliest to be in the caches still
            buffer = self._idle[index]
            if len(buffer) == size:
                del self._idle[index]
                return buffer
        return None

    def _give_back(self, buffer: mmap) -> None:
        # This runs wherever a tensor dies, so in the midst of the garbage collector as well, perhaps inside `take` of
        # the same thread: it must not wait for the lock. Who holds it trims.
        self._idle.append(buffer)
        if self._lock.acquire(blocking=False):
            try:
                self._trim()
            finally:
                self._lock.release()

    def _trim(self) -> None:
        while self.idle > self.limit:
            self._idle.popleft()

    def _after_fork(self) -> None:
        self._lock = Lock()  # the parent's may have been held by a thread that the child does not have


def _mapped(size: int) -> mmap:
    buffer = mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS)
    with suppress(OSError):  # a system without huge pages
        buffer.madvise(MADV_HUGEPAGE)
    return buffer


def _rounded(size: int) -> int:
    """`size` or up to an eighth more, so that batches of nearly the same length share buffers."""
    grain = 1 << (size.bit_length() - 4)
    return -(-size // grain) * grain


POOL = Pool(limit=1 << 30)
"""The one that the kernels draw from."""
