"""One long sequence read as several parallel ones, each going on where its last batch stopped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from ..._errors import DataError
from ..._types import Batch
from .pair import Pair
from .source import lengths_of, padded, positive


@dataclass(frozen=True, eq=False)
class Streams:
    """`batch_size` contiguous streams of one sequence, read `steps` at a time, in order, with the carry passed on.

    The streams' lengths differ by one at most; the last batch is shorter, with `lengths` where the streams end
    apart. Every target comes exactly once an epoch.

    Args:
        pair: the sequence.
        batch_size: how many streams stand side by side.
        steps: how many steps a batch has.
        restart: after so many batches the streams begin afresh where they are, so that a model learns to begin;
            None passes the carry on to the end.

    Raises:
        DataError: where the sequence has fewer steps than there are streams.

    Example:
        >>> import numpy as np
        >>> from throughtime.data import shifted
        >>> streams = Streams(shifted(np.arange(8)), batch_size=2, steps=3)
        >>> [batch.targets.tolist() for batch in streams.batches(0)]
        [[[1, 4], [2, 5], [3, 6]], [[0, 7]]]
        >>> streams.continues(0), streams.continues(1)
        (False, True)
    """

    pair: Pair
    batch_size: int
    steps: int
    restart: int | None = None

    def __post_init__(self) -> None:
        positive(batch_size=self.batch_size, steps=self.steps, restart=1 if self.restart is None else self.restart)
        if len(self.pair) < self.batch_size:
            raise DataError(
                f"{len(self.pair)} steps cannot make {self.batch_size} streams: lower the batch size to at most "
                f"{len(self.pair)}, or bring more data"
            )

    def __len__(self) -> int:
        longest = -(-len(self.pair) // self.batch_size)
        return -(-longest // self.steps)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches from the `start`-th on; the epoch makes no difference."""
        bounds = [stream * len(self.pair) // self.batch_size for stream in range(self.batch_size + 1)]
        for index in range(start, len(self)):
            spans = [
                slice(min(first + index * self.steps, last), min(first + (index + 1) * self.steps, last))
                for first, last in itertools.pairwise(bounds)
            ]
            inputs = [self.pair.inputs[span] for span in spans]
            targets = [self.pair.targets[span] for span in spans]
            steps = max(map(len, targets))
            yield Batch(padded(inputs, steps), padded(targets, steps), lengths_of(targets, steps))

    def continues(self, index: int) -> bool:
        """True for all but the first batch of an epoch, and those that begin afresh."""
        return index > 0 and (self.restart is None or index % self.restart > 0)
