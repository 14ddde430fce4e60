"""Where training ends, validation ends, and testing begins: by time, never shuffled."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .._errors import ConfigurationError, DataError


@dataclass(frozen=True)
class Split:
    """The parts of a sequence that train, choose and test a model, in this order in time.

    Args:
        train, validation, test: fractions that add up to one; validation and test may be 0. Validation and test of 1
            and more are so many rows, whatever the length; they don't count among the fractions, and training takes
            what is left.

    Raises:
        ConfigurationError: where they do not add up, or one is out of range.

    Example:
        >>> Split().bounds(100), Split(1, validation=5, test=12).bounds(100)
        ((70, 80, 100), (83, 88, 100))
    """

    train: float | int = 0.7
    validation: float | int = 0.1
    test: float | int = 0.2

    def __post_init__(self) -> None:
        given = f"split {self.train}, {self.validation}, {self.test}"
        if not (self.train > 0 and self.validation >= 0 and self.test >= 0):
            raise ConfigurationError(f"{given}: expected a train part above 0, and no part below 0")
        if any(part >= 1 and part % 1 for part in (self.validation, self.test)):
            raise ConfigurationError(f"{given}: a part of 1 or more is a number of rows: expected a whole number")
        total = self.train + sum(part for part in (self.validation, self.test) if part < 1)
        if not abs(total - 1) < 1e-9:
            raise ConfigurationError(
                f"{given} adds up to {total:g}: expected train + validation + test = 1, but for those given in rows"
            )

    def words(self, unit: str = "rows") -> str:
        """It in words; what a part counts is called by `unit`.

        Example:
            >>> Split().words(), Split(1, validation=0, test=12).words()
            ('train 70%, validation 10%, test 20%', 'train the rest, validation 0%, test 12 rows')
        """
        parts = {"validation": self.validation, "test": self.test}
        train = f"{self.train:.0%}" if max(parts.values()) < 1 else "the rest"
        others = (f"{name} {part:.0%}" if part < 1 else f"{name} {part:.0f} {unit}" for name, part in parts.items())
        return ", ".join((f"train {train}", *others))

    def bounds(self, rows: int, unit: str = "rows") -> tuple[int, int, int]:
        """(end of training, end of validation, end of testing) for a sequence of `rows`, called by `unit` in errors.

        The test part is the last round(rows × test) rows, or so many as it says, validation those before it.

        Raises:
            DataError: where a part that was asked for comes out empty.
        """
        validation, test = (round(part if part >= 1 else rows * part) for part in (self.validation, self.test))
        parts = {"train": rows - test - validation, "validation": validation, "test": test}
        for name, size in parts.items():
            if size < 1 and getattr(self, name) > 0:
                raise DataError(
                    f"{rows} {unit} leave the {name} part empty ({self.words(unit)}): "
                    f"bring more {unit} or change the split"
                )
        return parts["train"], parts["train"] + validation, rows

    def to_dict(self) -> dict[str, float | int]:
        """Plain numbers for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Split:
        """The inverse of `to_dict`."""
        return cls(**record)
