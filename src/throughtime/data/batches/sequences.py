"""Whole sequences of unequal length, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..._errors import DataError
from ..._types import Batch
from .pair import Pair
from .permutation import permuted
from .source import lengths_of, padded, positive


@dataclass(frozen=True, eq=False)
class Sequences:
    """Whole ragged sequences, padded at their ends, with `lengths`.

    Args:
        pairs: the sequences.
        batch_size: sequences a batch.
        seed: shuffles anew each epoch; None keeps the order.
        begins: the first step of each sequence that counts, those before it are only read; None counts all.

    Raises:
        DataError: where there is no sequence, or one without a step.

    Example:
        >>> from throughtime.data import shifted
        >>> words = [shifted(np.array(word)) for word in ([1, 2, 3], [4, 5])]
        >>> batch = next(Sequences(words, batch_size=2).batches(0))
        >>> batch.targets.T.tolist(), batch.lengths.tolist()
        ([[2, 3], [5, 0]], [2, 1])
    """

    pairs: Sequence[Pair]
    batch_size: int
    seed: int | None = None
    begins: Sequence[int] | None = None

    def __post_init__(self) -> None:
        positive(batch_size=self.batch_size)
        if not self.pairs:
            raise DataError("no sequence was given: at least one is expected")
        for position, pair in enumerate(self.pairs):
            if len(pair) == 0:
                raise DataError(f"sequence {position} of {len(self.pairs)} has no step: leave it out")

    def __len__(self) -> int:
        return -(-len(self.pairs) // self.batch_size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from the `start`-th on."""
        for index in range(start, len(self)):
            ranks = np.arange(index * self.batch_size, min((index + 1) * self.batch_size, len(self.pairs)))
            chosen = ranks if self.seed is None else permuted(ranks, len(self.pairs), (self.seed, epoch))
            pairs = [self.pairs[int(position)] for position in chosen]
            steps = max(map(len, pairs))
            inputs = padded([pair.inputs[:] for pair in pairs], steps)
            targets = padded([pair.targets[:] for pair in pairs], steps)
            weights = None
            if self.begins is not None:
                begins = torch.tensor([self.begins[int(position)] for position in chosen])
                weights = (torch.arange(steps)[:, None] >= begins).float()
            yield Batch(inputs, targets, lengths_of(pairs, steps), weights=weights)

    def continues(self, index: int) -> bool:
        """Never: each sequence starts afresh."""
        return False
