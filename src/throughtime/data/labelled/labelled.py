"""Whole sequences in memory, each with the class or the number that is to be told from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..files.source import Source
from .description import LabelledDescription, describe_labelled
from .layout import LabelledLayout


@dataclass(frozen=True, eq=False)
class Labelled:
    """The sequences of a file, a folder or a frame, with their labels.

    Args:
        sequences: one a case, float64 or (of sound) float32 [time, feature], ragged.
        targets: indices of classes, int64 [case], or numbers, float64 [case]; None where a file to predict has none.
        names: one a case: its id, the name of its file, or the number of its line.
        layout: how they were read; reads another file alike.
        source: the file or folder; None for a frame.
        notes: what was left out or mended on the way, in words.

    Example:
        >>> layout = LabelledLayout("ts", "classify", ("value",), ("low", "high"))
        >>> steps = (np.zeros((3, 1)), np.ones((2, 1)), np.ones((4, 1)))
        >>> data = Labelled(steps, np.array([0, 1, 1]), ("1", "2", "3"), layout)
        >>> len(data), data.labels, data.take([2, 0]).names
        (3, ('low', 'high', 'high'), ('3', '1'))
    """

    sequences: tuple[np.ndarray, ...]
    targets: np.ndarray | None
    names: tuple[str, ...]
    layout: LabelledLayout
    source: Source | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def labels(self) -> tuple[str | float, ...] | None:
        """The class of each case by its name, or its number; None where there are no targets."""
        if self.targets is None:
            return None
        classes = self.layout.classes
        return tuple(float(value) if classes is None else classes[int(value)] for value in self.targets)

    def take(self, cases: Iterable[int]) -> Labelled:
        """These cases alone, in this order."""
        chosen = [int(case) for case in cases]
        return replace(
            self,
            sequences=tuple(self.sequences[case] for case in chosen),
            targets=None if self.targets is None else self.targets[chosen],
            names=tuple(self.names[case] for case in chosen),
        )

    def describe(self) -> LabelledDescription:
        """What was read, in figures and a picture."""
        return describe_labelled(
            self.source.path if self.source else "a frame", self.sequences, self.targets, self.layout, self.notes
        )
