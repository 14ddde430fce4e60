"""In which order a sequence of chunks is run, kept and run again, on its way back, with few states kept."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import comb
from typing import NamedTuple


class Advance(NamedTuple):
    """Run chunks `start` … `stop` − 1 from the state before `start`, which stays; keep the state before `stop`."""

    start: int
    stop: int


class Reverse(NamedTuple):
    """Run `chunk` once more with all that its backward needs, and go back through it; its state is not needed again."""

    chunk: int


def schedule(chunks: int, slots: int) -> Iterator[Advance | Reverse]:
    """The order of fewest forwards through `chunks`, where beside the first state `slots` more can be kept at a time.

    A state that is reversed at once, being the last, takes no slot.

    Example:
        >>> list(schedule(3, 1))
        [Advance(start=0, stop=1), Advance(start=1, stop=2), Reverse(chunk=2), Reverse(chunk=1), Reverse(chunk=0)]
        >>> list(schedule(3, 0))[:4]
        [Advance(start=0, stop=2), Reverse(chunk=2), Advance(start=0, stop=1), Reverse(chunk=1)]
    """
    starts, stop = [0], chunks
    while stop > 0:
        start, free = starts[-1], slots - (len(starts) - 1)
        if stop - start > 1:
            ahead = _ahead(stop - start, free)
            yield Advance(start, start + ahead)
            if free > 0:
                starts.append(start + ahead)
                continue
        else:
            starts.pop()
        stop -= 1
        yield Reverse(stop)


def forwards(chunks: int, slots: int) -> int:
    """How often a chunk is run forward, in all: the binomial optimum.

    Example:
        >>> forwards(10, 9), forwards(10, 3), forwards(10, 0)
        (19, 24, 55)

    References:
        Griewank & Walther, "Algorithm 799: revolve", ACM Transactions on Mathematical Software 26 (2000).
    """
    kept, sweeps = slots + 1, 0
    while comb(kept + sweeps, kept) < chunks:
        sweeps += 1
    return chunks + (sweeps * chunks - comb(kept + sweeps, kept + 1) if sweeps else 0)


@lru_cache(maxsize=100_000)
def _ahead(chunks: int, slots: int) -> int:
    """How far to advance through more than one chunk before a state is kept; without a slot, to the last one."""
    if slots == 0:
        return chunks - 1
    if slots >= chunks - 1:
        return 1
    return min(range(1, chunks), key=lambda ahead: ahead + forwards(chunks - ahead, slots - 1) + forwards(ahead, slots))
