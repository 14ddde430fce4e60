"""Whole sequences with one label each: how they are parted, and how their label becomes a loss at the last step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ..._types import Batch
from ..labelled.labelled import Labelled
from ..split import Split
from .pair import Pair
from .sequences import Sequences


def parted(data: Labelled, split: Split, seed: int) -> tuple[Labelled, Labelled, Labelled]:
    """The cases that train, choose and test a model: shuffled, and every class in each part as far as it goes.

    Of each class the cases are spread evenly over a line, and the line is cut as `split` says, so that a part has of a
    class its share to within one case. Numbers are shuffled alone.

    Raises:
        DataError: where a part that was asked for comes out empty.

    Example:
        >>> from throughtime.data import LabelledLayout
        >>> layout = LabelledLayout("ts", "classify", ("value",), ("a", "b"))
        >>> steps, targets = (np.zeros((2, 1)),) * 10, np.array([0] * 6 + [1] * 4)
        >>> data = Labelled(steps, targets, tuple("abcdefghij"), layout)
        >>> [sorted(part.labels) for part in parted(data, Split(0.5, 0, 0.5), seed=0)]
        [['a', 'a', 'a', 'b', 'b'], [], ['a', 'a', 'a', 'b', 'b']]
    """
    order = np.random.default_rng(seed).permutation(len(data))
    if data.targets is not None and data.layout.classes is not None:
        shuffled = data.targets[order]
        places = np.empty(len(data))
        for index in np.unique(shuffled):
            own = np.flatnonzero(shuffled == index)
            places[own] = (np.arange(len(own)) + 0.5) / len(own)
        order = order[np.argsort(places, kind="stable")]
    first, second, _ = split.bounds(len(data))
    cases = order.tolist()
    return data.take(cases[:first]), data.take(cases[first:second]), data.take(cases[second:])


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Whole sequences side by side, whose label is to be told after the last step of each.

    Every step has its sequence's label for a target, and the last one alone a weight.

    Args:
        inputs: the sequences, [time, feature] each.
        targets: classes, integers [case], or values, [case, value].
        batch_size: sequences a batch.
        seed: shuffles anew each epoch; None keeps the order.
        class_weights: what a case of each class counts, [class]; None counts every case once.

    Raises:
        DataError: where there is no sequence, or one without a step.

    Example:
        >>> source = Verdicts([np.zeros((3, 1)), np.zeros((2, 1))], np.array([4, 7]), batch_size=2)
        >>> batch = next(source.batches(0))
        >>> batch.targets.T.tolist(), batch.weights.T.tolist()
        ([[4, 4, 4], [7, 7, 0]], [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    """

    inputs: Sequence[Any]
    targets: np.ndarray
    batch_size: int
    seed: int | None = None
    class_weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        len(self)  # refuses what cannot be read

    @cached_property
    def _sequences(self) -> Sequences:
        pairs = [
            Pair(values, np.broadcast_to(target, (len(values), *target.shape)))
            for values, target in zip(self.inputs, self.targets, strict=True)
        ]
        return Sequences(pairs, self.batch_size, self.seed)

    def __len__(self) -> int:
        return len(self._sequences)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from the `start`-th on."""
        for batch in self._sequences.batches(epoch, start):
            yield replace(batch, weights=self._weights(batch))

    def continues(self, index: int) -> bool:
        """Never: each sequence starts afresh."""
        return False

    def _weights(self, batch: Batch) -> torch.Tensor:
        time, count = batch.inputs.shape[:2]
        last = torch.full((count,), time - 1) if batch.lengths is None else batch.lengths - 1
        weights, columns = torch.zeros(time, count), torch.arange(count)
        counted = torch.ones(count)
        if self.class_weights is not None:
            counted = torch.as_tensor(self.class_weights, dtype=torch.float32)[batch.targets[last, columns]]
        weights[last, columns] = counted
        return weights


def balanced(targets: np.ndarray, classes: int) -> np.ndarray:
    """What a case of each class counts where all classes are to count alike: n / (classes · n_class), [class].

    A class without a case counts 0, and is none of the classes that are divided by.

    Example:
        >>> balanced(np.array([0, 0, 0, 1]), 3)
        array([0.66666667, 2.        , 0.        ])
    """
    counts = np.bincount(targets, minlength=classes)
    return np.where(counts > 0, len(targets) / (np.count_nonzero(counts) * np.maximum(counts, 1)), 0.0)
