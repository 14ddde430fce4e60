"""What every source of batches promises, and how arrays of unequal length become one tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ..._errors import ConfigurationError
from ..._types import Batch


@runtime_checkable
class BatchSource(Protocol):
    """Batches as a function of (epoch, index) alone, so that a position in them can be returned to exactly.

    `len(source)` is the number of batches of an epoch.
    """

    def __len__(self) -> int: ...

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from the `start`-th on: the same ones as without `start`, less the first."""
        ...

    def continues(self, index: int) -> bool:
        """Whether batch `index` goes on where batch `index - 1` stopped, so that the carry is passed on."""
        ...


def padded(pieces: Sequence[Any], steps: int) -> Tensor:
    """Arrays [time, …] side by side as [steps, batch, …], zeros after each one's end.

    Integers become int64, as embeddings and class targets want them; real values become float32.

    Example:
        >>> padded([np.array([1, 2]), np.array([3])], 3).tolist()
        [[1, 3], [2, 0], [0, 0]]
    """
    arrays = [np.asarray(piece) for piece in pieces]
    kind = np.int64 if np.issubdtype(arrays[0].dtype, np.integer) else np.float32
    stacked = np.zeros((steps, len(arrays), *arrays[0].shape[1:]), kind)
    for position, array in enumerate(arrays):
        stacked[: len(array), position] = array
    return torch.from_numpy(stacked)


def lengths_of(pieces: Sequence[Any], steps: int) -> Tensor | None:
    """The length of each piece, or None where all are full."""
    lengths = [len(piece) for piece in pieces]
    return None if min(lengths) == steps else torch.tensor(lengths)


def positive(**settings: int) -> None:
    """Refuse settings below one by name."""
    for name, value in settings.items():
        if value < 1:
            raise ConfigurationError(f"{name}={value}: expected at least 1")
