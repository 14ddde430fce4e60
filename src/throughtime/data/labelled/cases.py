"""What every reader of labelled sequences hands on: steps, and labels as they are written."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..._errors import DataError
from ..files.source import Source
from ..series.frequency import Frequency
from ..series.grid import Grid, Stretch
from .frames import Frames
from .layout import LabelledColumns


@dataclass
class Cases:
    """Sequences that were read, before their labels are made targets.

    Args:
        file: what messages call it all.
        shape, features, columns, frames: as in `LabelledLayout`.
        sequences: one a case, [time, feature].
        names: one a case.
        labels: one a case, as written; None where a case has none.
        places: where the label of each case stands, or should, for messages.
        remedy: what to do where labels are missing.
        classes: those that a header lists, in its order.
        source, notes: as in `Labelled`.
    """

    file: str
    shape: str
    features: tuple[str, ...]
    columns: LabelledColumns
    sequences: list[np.ndarray]
    names: list[str]
    labels: list[str | None]
    places: Sequence[str]
    remedy: str
    classes: tuple[str, ...] | None = None
    frames: Frames | None = None
    source: Source | None = None
    notes: list[str] = field(default_factory=list)

    def targets(
        self, task: str, known: tuple[str, ...] | None, needed: bool
    ) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
        """The labels as targets, and the classes in order.

        Args:
            task: "classify" gives int64 [case], "regress" float64 [case].
            known: the classes of a model; None takes those that are found.
            needed: refuse a case without a label, one of a class that is not known, and a file of one class;
                otherwise there are no targets then, and a note says why.

        Raises:
            DataError: naming the place and the label.
        """
        classes = None if task == "regress" else known or self._found()
        fault = self._fault(None if classes is None else known or self.classes or classes)
        if needed and fault is not None:
            raise DataError(fault)
        if needed and classes is not None and len(classes) < 2:
            raise DataError(
                f"{self.file}: every case is of class {''.join(classes)!r}: at least two classes are expected"
            )
        if fault is not None:
            if any(label is not None for label in self.labels):
                self.notes.append(f"the labels are left aside: {fault}")
            return None, classes
        if classes is None:
            return np.array([float(label or "") for label in self.labels]), None
        index = {name: position for position, name in enumerate(classes)}
        return np.array([index[_tidy(label or "")] for label in self.labels], np.int64), classes

    def _found(self) -> tuple[str, ...]:
        seen = {_tidy(label) for label in self.labels if label is not None}
        if self.classes is None:
            return tuple(sorted(seen, key=_rank))
        absent = [name for name in self.classes if name not in seen]
        if absent and seen:
            self.notes.append(f"no case is of class {', '.join(map(repr, absent))}, which the header lists")
        return tuple(name for name in self.classes if name in seen)

    def _fault(self, classes: tuple[str, ...] | None) -> str | None:
        """What is wrong with the first label that is no target."""
        for label, place in zip(self.labels, self.places, strict=True):
            if label is None:
                count = self.labels.count(None)
                more = f"; {count} cases have none" if count > 1 else ""
                return f"{place} has no label{more}: {self.remedy}"
            if classes is None and not _is_finite(label):
                return f"{place}: the label {label!r} is no finite number; to tell classes apart: task='classify'"
            if classes is not None and _tidy(label) not in classes:
                listed = ", ".join(map(repr, classes[:8])) + (", …" if len(classes) > 8 else "")
                return f"{place}: class {label!r} is none of those known: {listed}"
        return None


def in_order(grid: Grid, read: Sequence[Stretch]) -> list[np.ndarray]:
    """The steps of each case in the order of their times, missing values mended as the grid says, [time, feature]."""
    ordered = [grid.ordered(one) for one in read]
    counted = [replace(one, times=np.arange(len(one.times)), values=np.array(one.values)) for one in ordered]
    return [grid.regular(one, Frequency("count", 1)).values for one in counted]


def _is_finite(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False


def _tidy(label: str) -> str:
    """A class written as a whole number with decimals, as 1.0 or 1.00e+00, by its digits alone."""
    return str(int(float(label))) if re.fullmatch(r"[+-]?\d\.0*([eE][+-]?00?)?|[+-]?\d+\.0*", label) else label


def _rank(name: str) -> tuple[bool, float, str]:
    """Numbers by their size, then words by their letters."""
    return (not _is_finite(name), float(name) if _is_finite(name) else 0.0, name)
