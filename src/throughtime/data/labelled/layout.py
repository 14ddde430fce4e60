"""How labelled sequences are read: found once, kept with a trained model, and used to read the next file alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from .frames import Frames


@dataclass(frozen=True)
class LabelledColumns:
    """What tells the sequences of a table apart, by the names of its columns.

    Args:
        label: of the classes or numbers; for recordings "name" or "folder", which hold them.
        id: of the sequences' names; None where there is none.
        time: of the order of the steps; None where rows are in order.
        steps: those of a row a sequence; None of other shapes, and without a header.
    """

    label: str | None = None
    id: str | None = None
    time: str | None = None
    steps: tuple[str, ...] | None = None


@dataclass(frozen=True)
class LabelledLayout:
    """Everything that `read_labelled` was told or found.

    Args:
        shape: "ts" (the archive's format), "long" (a row a step), "rows" (a row a sequence) or "sound".
        task: "classify" or "regress".
        features: the names of what is observed at each step.
        classes: in the order of their indices; None for regression.
        columns: which column is what.
        fill: how missing values are mended; None refuses them.
        frames: how sound became frames; None for the rest.

    Example:
        >>> layout = LabelledLayout("ts", "classify", ("value",), ("point", "draw"))
        >>> LabelledLayout.from_dict(layout.to_dict()) == layout
        True
    """

    shape: str
    task: str
    features: tuple[str, ...]
    classes: tuple[str, ...] | None = None
    columns: LabelledColumns = field(default_factory=LabelledColumns)
    fill: str | None = None
    frames: Frames | None = None

    @property
    def sample_rate(self) -> int | None:
        """Of sound, in Hz."""
        return None if self.frames is None else self.frames.sample_rate

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> LabelledLayout:
        """The inverse of `to_dict`."""
        classes, frames, steps = record["classes"], record["frames"], record["columns"].get("steps")
        return cls(
            record["shape"],
            record["task"],
            tuple(record["features"]),
            None if classes is None else tuple(classes),
            LabelledColumns(**record["columns"] | {"steps": None if steps is None else tuple(steps)}),
            record["fill"],
            None if frames is None else Frames(**frames),
        )
