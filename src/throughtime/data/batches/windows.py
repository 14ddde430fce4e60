"""Windows of many sequences: a lookback to read and a horizon to predict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..._errors import ConfigurationError, DataError
from ..._types import Batch
from .pair import Pair
from .permutation import permuted
from .source import lengths_of, padded, positive


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of `lookback` + `horizon` steps, whose counted targets stay within [start, stop) of each sequence.

    The lookback may reach back before `start`, as a forecast on a test part may read what came before it; where it
    is counted (`count_lookback`), it may not. A sequence too short for a whole window, but longer than the horizon,
    gives one window with a shorter lookback, padded at its end, with `lengths`.

    Args:
        pairs: the sequences.
        lookback, horizon: steps read, and steps predicted after them.
        batch_size: windows a batch.
        start, stop: for each pair, the first target row and the one after the last; default: all of it.
        stride: rows between the starts of two windows.
        seed: shuffles anew each epoch; None keeps the order.
        per_epoch: at most so many windows an epoch: a fresh random subset of them each epoch, or, in order,
            ones spread evenly.
        count_lookback: whether the steps of the lookback count in the loss too; else `weights` are 0 there.

    Raises:
        DataError: naming a pair that has no room for its horizon and one step before it.

    Example:
        >>> from throughtime.data import shifted
        >>> windows = Windows([shifted(np.arange(6))], lookback=2, horizon=1, batch_size=2, count_lookback=False)
        >>> batch = next(windows.batches(0))
        >>> batch.targets.T.tolist(), batch.weights.T.tolist()
        ([[1, 2, 3], [2, 3, 4]], [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    """

    pairs: Sequence[Pair]
    lookback: int
    horizon: int
    batch_size: int
    start: Sequence[int] | None = None
    stop: Sequence[int] | None = None
    stride: int = 1
    seed: int | None = None
    per_epoch: int | None = None
    count_lookback: bool = False

    def __post_init__(self) -> None:
        positive(lookback=self.lookback, horizon=self.horizon, batch_size=self.batch_size, stride=self.stride)
        if self.per_epoch is not None:
            positive(per_epoch=self.per_epoch)
        for name, bound in (("start", self.start), ("stop", self.stop)):
            if bound is not None and len(bound) != len(self.pairs):
                raise ConfigurationError(f"{name} has {len(bound)} rows for {len(self.pairs)} pairs: one each")
        if not self.pairs:
            raise DataError("no sequence was given: windows need at least one")
        _ = self._first_windows

    @cached_property
    def _bounds(self) -> list[tuple[int, int]]:
        starts = self.start if self.start is not None else [0] * len(self.pairs)
        stops = self.stop if self.stop is not None else [len(pair) for pair in self.pairs]
        return [
            (max(start, 0), min(stop, len(pair))) for start, stop, pair in zip(starts, stops, self.pairs, strict=True)
        ]

    def _first_target(self, position: int) -> int:
        """The first row of a pair at which a whole window can begin to predict."""
        start, _ = self._bounds[position]
        return start + self.lookback if self.count_lookback else max(start, self.lookback)

    @cached_property
    def _first_windows(self) -> np.ndarray:
        """The index of each pair's first window, and the number of all, [pairs + 1]."""
        counts = []
        for position, (start, stop) in enumerate(self._bounds):
            whole = (stop - self._first_target(position) - self.horizon) // self.stride + 1
            earliest = start + 1 if self.count_lookback else max(start, 1)
            if whole < 1 and stop - self.horizon < earliest:
                raise DataError(
                    f"sequence {position} has {stop - start} steps to predict, from {start} to {stop}: a horizon of "
                    f"{self.horizon} needs {self.horizon} of them and a step before; shorten the horizon or leave "
                    "the sequence out"
                )
            counts.append(max(whole, 1))
        return np.concatenate([[0], np.cumsum(counts)])

    @property
    def total(self) -> int:
        """How many windows there are, whatever `per_epoch` takes of them."""
        return int(self._first_windows[-1])

    @property
    def count(self) -> int:
        """How many windows an epoch has."""
        return self.total if self.per_epoch is None else min(self.per_epoch, self.total)

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def places(self, epoch: int, index: int) -> list[tuple[int, int]]:
        """Of each window of a batch: the pair it is from, and the row its horizon begins at."""
        ranks = np.arange(index * self.batch_size, min((index + 1) * self.batch_size, self.count))
        if self.seed is None:
            windows = ranks * self.total // self.count
        else:
            windows = permuted(ranks, self.total, (self.seed, epoch))
        owners = np.searchsorted(self._first_windows, windows, side="right") - 1
        offsets = (windows - self._first_windows[owners]) * self.stride
        return [self._place(int(owner), int(offset)) for owner, offset in zip(owners, offsets, strict=True)]

    def _place(self, owner: int, offset: int) -> tuple[int, int]:
        return owner, min(self._first_target(owner) + offset, self._bounds[owner][1] - self.horizon)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from the `start`-th on."""
        for index in range(start, len(self)):
            places = self.places(epoch, index)
            spans = []
            for owner, row in places:
                floor = self._bounds[owner][0] if self.count_lookback else 0
                spans.append(slice(max(row - self.lookback, floor), row + self.horizon))
            pairs = [self.pairs[owner] for owner, _ in places]
            inputs = [pair.inputs[span] for pair, span in zip(pairs, spans, strict=True)]
            targets = [pair.targets[span] for pair, span in zip(pairs, spans, strict=True)]
            steps = max(map(len, targets))
            weights = None if self.count_lookback else self._weights([len(piece) for piece in targets], steps)
            yield Batch(padded(inputs, steps), padded(targets, steps), lengths_of(targets, steps), weights=weights)

    def _weights(self, lengths: list[int], steps: int) -> Tensor:
        ends = torch.tensor(lengths)
        time = torch.arange(steps)[:, None]
        return ((time >= ends - self.horizon) & (time < ends)).float()

    def continues(self, index: int) -> bool:
        """Never: each window starts afresh."""
        return False
