"""What labelled sequences hold: how many of each class, how long, between what, and what a class looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Group
from rich.padding import Padding

from ..describing import columns, number, plain, sheet
from .layout import LabelledLayout
from .picture import Drawn, draw

_ROWS = 12
_UNITS = {"ts": "steps", "long": "steps", "rows": "steps", "sound": "frames"}


@dataclass(frozen=True)
class GroupDescription:
    """The cases of one class, or all of them where there are no classes.

    Args:
        name: of the class; None for all.
        cases: how many.
        shortest, median, longest: their lengths in steps.
    """

    name: str | None
    cases: int
    shortest: int
    median: float
    longest: int


@dataclass(frozen=True)
class FeatureDescription:
    """What is observed at each step, over all cases.

    Args:
        name: its own.
        minimum, maximum, mean, deviation: of all its values.
        missing: how many values are missing.
    """

    name: str
    minimum: float
    maximum: float
    mean: float
    deviation: float
    missing: int = 0


@dataclass(frozen=True)
class LabelledDescription:
    """What was read of labelled sequences.

    Args:
        name: of the file or folder.
        task, shape, sample_rate: as in the layout.
        labelled: whether every case has a label.
        every: all cases.
        classes: one a class, in the order of their indices; none for regression.
        targets: least, mean and greatest number to be told, for regression.
        features: what is observed at each step.
        notes: what was left out or mended, in words.
        drawn: what `plot` draws.
    """

    name: str
    task: str
    shape: str
    sample_rate: int | None
    labelled: bool
    every: GroupDescription
    classes: tuple[GroupDescription, ...]
    targets: tuple[float, float, float] | None
    features: tuple[FeatureDescription, ...]
    notes: tuple[str, ...]
    drawn: Drawn = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("drawn", "every")}
        every = {name: value for name, value in asdict(self.every).items() if name != "name"}
        return {"kind": "labelled"} | record | every | {
            "classes": [asdict(group) for group in self.classes],
            "features": [asdict(feature) for feature in self.features],
        }  # fmt: skip

    def table(self) -> Any:
        """For `rich.print`."""
        groups = columns("class", "cases", "share", "shortest", "median", "longest")
        for group in self.classes[:_ROWS]:
            sizes = map(float, (group.shortest, group.median, group.longest))
            groups.add_row(group.name, f"{group.cases:,}", f"{group.cases / self.every.cases:.1%}", *map(number, sizes))
        if len(self.classes) > _ROWS:
            groups.add_row(f"{len(self.classes) - _ROWS} more")
        table = columns("feature", "minimum", "maximum", "mean", "deviation", "missing")
        for feature in self.features[:_ROWS]:
            figures = (feature.minimum, feature.maximum, feature.mean, feature.deviation)
            table.add_row(feature.name, *map(number, figures), f"{feature.missing:,}" if feature.missing else "–")
        if len(self.features) > _ROWS:
            table.add_row(f"{len(self.features) - _ROWS} more")
        return Group(
            sheet(self._facts(), groups if self.classes else None),
            Padding(table, (1, 0, 0, 0)),
            sheet({}, None, self.notes),
        )

    def _facts(self) -> dict[str, str]:
        unit, every = _UNITS[self.shape], self.every
        same = every.shortest == every.longest
        lengths = f"{every.longest:,}" if same else f"{every.shortest:,} to {every.longest:,}, median {every.median:g}"
        facts = {"file": self.name, "cases": f"{every.cases:,}", unit: f"{lengths} a case"}
        if self.sample_rate is not None:
            facts["sample rate"] = f"{self.sample_rate:,} Hz"
        if self.classes:
            facts["classes"] = str(len(self.classes))
        elif self.targets is not None:
            low, mean, high = map(number, self.targets)
            facts["targets"] = f"{low} to {high}, mean {mean}"
        if not self.labelled:
            facts["labels"] = "none, or not in every case"
        return facts

    def plot(self) -> Figure:
        """Cases of each class and their mean, or each class beside the mean over all where features are many."""
        return draw(self.drawn)


def describe_labelled(
    name: str,
    sequences: Sequence[np.ndarray],
    targets: np.ndarray | None,
    layout: LabelledLayout,
    notes: tuple[str, ...],
) -> LabelledDescription:
    """Describe sequences [time, feature]; what is missing is NaN."""
    lengths = np.array([len(sequence) for sequence in sequences])
    classes = () if targets is None else layout.classes or ()
    numbers = targets if targets is not None and layout.classes is None else None
    groups = tuple(_group(label, lengths[targets == index]) for index, label in enumerate(classes))
    features = tuple(
        _feature(feature, np.concatenate([sequence[:, index] for sequence in sequences]))
        for index, feature in enumerate(layout.features)
    )
    constant = tuple(
        f"feature {feature.name!r} is constant ({number(feature.minimum)})"
        for feature in features
        if feature.minimum == feature.maximum
    )
    return LabelledDescription(
        name=plain(name),
        task=layout.task,
        shape=layout.shape,
        sample_rate=layout.sample_rate,
        labelled=targets is not None,
        every=_group(None, lengths),
        classes=groups,
        targets=None if numbers is None else (float(numbers.min()), float(numbers.mean()), float(numbers.max())),
        features=features,
        notes=(*notes, *constant),
        drawn=Drawn(plain(name), tuple(sequences), targets, tuple(classes), layout.features, layout.frames),
    )


def _group(name: str | None, lengths: np.ndarray) -> GroupDescription:
    if not lengths.size:
        return GroupDescription(name, 0, 0, 0.0, 0)
    return GroupDescription(name, len(lengths), int(lengths.min()), float(np.median(lengths)), int(lengths.max()))


def _feature(name: str, values: np.ndarray) -> FeatureDescription:
    present = values[np.isfinite(values)].astype(np.float64)
    missing = len(values) - len(present)
    if not len(present):
        return FeatureDescription(name, 0.0, 0.0, 0.0, 0.0, missing)
    low, high, mean, deviation = map(float, (present.min(), present.max(), present.mean(), present.std()))
    return FeatureDescription(name, low, high, mean, deviation, missing)
