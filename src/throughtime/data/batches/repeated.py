"""An epoch of several passes, for data so small that one pass is over before anything is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..._types import Batch
from .source import BatchSource, positive


@dataclass(frozen=True, eq=False)
class Repeated:
    """A source whose epoch is `times` epochs of another.

    Args:
        source: the other.
        times: how many of its epochs make one here.

    Example:
        >>> import numpy as np
        >>> from throughtime.data import Sequences, shifted
        >>> len(Repeated(Sequences([shifted(np.arange(4))], batch_size=1), 5))
        5
    """

    source: BatchSource
    times: int

    def __post_init__(self) -> None:
        positive(times=self.times)

    def __len__(self) -> int:
        return len(self.source) * self.times

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from the `start`-th on."""
        first, inside = divmod(start, len(self.source))
        for turn in range(first, self.times):
            yield from self.source.batches(epoch * self.times + turn, inside if turn == first else 0)

    def continues(self, index: int) -> bool:
        """As the other says; a new pass never continues the last one."""
        inside = index % len(self.source)
        return inside > 0 and self.source.continues(inside)
