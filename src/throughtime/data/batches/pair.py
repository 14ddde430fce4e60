"""One long sequence as a model sees it: what is known before each step, and what comes at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._errors import ShapeError


@dataclass(frozen=True, eq=False)
class Joined:
    """Arrays side by side along their last axis; what is sliced is joined, nothing else is ever held.

    Args:
        parts: sliceables of equal length that give [time, feature].

    Example:
        >>> both = Joined((np.zeros((4, 2)), np.ones((4, 1))))
        >>> both[1:3]
        array([[0., 0., 1.],
               [0., 0., 1.]])
    """

    parts: tuple[Any, ...]

    def __post_init__(self) -> None:
        lengths = [len(part) for part in self.parts]
        if len(set(lengths)) != 1:
            raise ShapeError(f"arrays of {lengths} steps cannot stand side by side: equal lengths are expected")

    def __len__(self) -> int:
        return len(self.parts[0])

    @property
    def shape(self) -> tuple[int, int]:
        """[time, feature]."""
        return len(self), sum(part.shape[1] for part in self.parts)

    def __getitem__(self, index: slice) -> np.ndarray:
        return np.concatenate([part[index] for part in self.parts], axis=1)


@dataclass(frozen=True, eq=False)
class Span:
    """The steps from `start` to before `stop` of something that is computed where it is sliced."""

    whole: Any
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def shape(self) -> tuple[int, ...]:
        """[time, …]."""
        return (len(self), *self.whole.shape[1:])

    def __getitem__(self, index: slice) -> np.ndarray:
        first, last, _ = index.indices(len(self))
        return self.whole[self.start + first : self.start + last]


@dataclass(frozen=True, eq=False)
class Pair:
    """One long sequence: `inputs[t]` is what is known before `targets[t]` is seen.

    Args:
        inputs: [time, …], anything sliced by `[a:b]`.
        targets: [time, …], likewise, of the same length.

    Raises:
        ShapeError: where the two lengths differ.

    Example:
        >>> len(Pair(np.arange(5), np.arange(5) + 1))
        5
    """

    inputs: Any
    targets: Any

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise ShapeError(f"a pair has {len(self.inputs)} inputs and {len(self.targets)} targets: one each a step")

    def __len__(self) -> int:
        return len(self.targets)


def shifted(observed: Any, known: Any = None) -> Pair:
    """Each element to be predicted from the one before it. Nothing is copied.

    Target t of the pair is element t + 1 of `observed`, so that a sequence of n elements makes n − 1 steps.

    Args:
        observed: tokens [time] (integers), or values [time, feature]; values [time] are taken as one feature.
        known: [time, feature], what is known of each time in advance (the calendar, a plan); for values only.

    Returns:
        Pair: for tokens `inputs = tokens[:-1]`, `targets = tokens[1:]`; for values
        `inputs[t] = [observed[t], known[t + 1]]` and `targets[t] = observed[t + 1]`.

    Raises:
        ShapeError: where `known` is not as long as `observed`, or there are fewer than two elements.

    Example:
        >>> pair = shifted(np.array([3, 1, 4, 1]))
        >>> pair.inputs, pair.targets
        (array([3, 1, 4]), array([1, 4, 1]))
    """
    if len(observed) < 2:
        raise ShapeError(f"a sequence of {len(observed)} has no step to predict: at least two elements are expected")
    integers = np.issubdtype(observed.dtype, np.integer)
    if observed.ndim == 1 and not integers:
        observed = observed[:, None]
    before, after = _span(observed, 0, len(observed) - 1), _span(observed, 1, len(observed))
    if known is None or known.shape[1] == 0:
        return Pair(before, after)
    if len(known) != len(observed):
        raise ShapeError(f"known has {len(known)} steps and observed {len(observed)}: one row each a time is expected")
    return Pair(Joined((before, _span(known, 1, len(known)))), after)


def _span(values: Any, start: int, stop: int) -> Any:
    return values[start:stop] if isinstance(values, np.ndarray) else Span(values, start, stop)
