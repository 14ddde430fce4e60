"""Where training ends, validation ends, and testing begins: by time, never shuffled."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .._errors import ConfigurationError, DataError


@dataclass(frozen=True)
class Split:
    """The fractions of a sequence that train, choose and test a model, in this order in time.

    Args:
        train, validation, test: fractions that add up to one; validation and test may be 0.

    Raises:
        ConfigurationError: where they do not add up, or one is out of range.

    Example:
        >>> Split().bounds(100)
        (70, 80, 100)
    """

    train: float = 0.7
    validation: float = 0.1
    test: float = 0.2

    def __post_init__(self) -> None:
        given = f"split {self.train}, {self.validation}, {self.test}"
        if not (self.train > 0 and self.validation >= 0 and self.test >= 0):
            raise ConfigurationError(f"{given}: expected a train part above 0, and no part below 0")
        total = self.train + self.validation + self.test
        if not abs(total - 1) < 1e-9:
            raise ConfigurationError(f"{given} adds up to {total:g}: expected train + validation + test = 1")

    def bounds(self, rows: int) -> tuple[int, int, int]:
        """(end of training, end of validation, end of testing) for a sequence of `rows`.

        The test part is the last round(rows × test) rows, validation the round(rows × validation) before it.

        Raises:
            DataError: where a part that was asked for comes out empty.
        """
        test, validation = round(rows * self.test), round(rows * self.validation)
        parts = {"train": rows - test - validation, "validation": validation, "test": test}
        for name, size in parts.items():
            if size < 1 and getattr(self, name) > 0:
                raise DataError(
                    f"{rows} rows leave the {name} part ({getattr(self, name):g} of them) empty: "
                    f"bring more rows or change the split"
                )
        return parts["train"], parts["train"] + validation, rows

    def to_dict(self) -> dict[str, float]:
        """Plain numbers for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Split:
        """The inverse of `to_dict`."""
        return cls(**record)
