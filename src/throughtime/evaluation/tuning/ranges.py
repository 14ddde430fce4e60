"""What a setting is drawn from: numbers between two ends, or some values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..._errors import ConfigurationError

Value: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True)
class Numbers:
    """Numbers from `low` to `high`, both among them.

    Args:
        low, high: the ends.
        log: whether each doubling is as likely as the next, as suits rates and sizes.
        whole: whether they are whole.
        multiple: whole ones are rounded to multiples of this, as far as the ends allow.

    Example:
        >>> Numbers(16, 256, log=True, whole=True, multiple=8).exact(83), Numbers(0.0, 0.5).nearest(0.7)
        (80, 0.5)
    """

    low: float | int
    high: float | int
    log: bool = False
    whole: bool = False
    multiple: int = 1

    def suggest(self, trial: Any, name: str) -> Value:
        """A value for this trial of an Optuna study."""
        if self.whole:
            return self.exact(trial.suggest_int(name, int(self.low), int(self.high), log=self.log))
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def exact(self, value: int) -> int:
        """The multiple that is meant."""
        rounded = self.multiple * round(value / self.multiple)
        return rounded if self.low <= rounded <= self.high else value

    def nearest(self, value: Value) -> Value:
        """The value among these that is closest to one which may lie outside; `None` where it is no number."""
        if value is None or isinstance(value, (bool, str)):
            return None
        within = min(max(value, self.low), self.high)
        return self.exact(int(within)) if self.whole else float(within)

    @property
    def ends(self) -> tuple[Value, ...]:
        """Those that tell whether all are possible."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}"


@dataclass(frozen=True)
class Choices:
    """Some values; `None` where a setting may be left out."""

    values: tuple[Value, ...]

    def suggest(self, trial: Any, name: str) -> Value:
        """A value for this trial of an Optuna study."""
        return trial.suggest_categorical(name, list(self.values))

    def nearest(self, value: Value) -> Value:
        """The value, if it is among these, else the first."""
        return value if value in self.values else self.values[0]

    @property
    def ends(self) -> tuple[Value, ...]:
        """Those that tell whether all are possible."""
        return self.values

    def __str__(self) -> str:
        return ",".join("none" if value is None else str(value).lower() for value in self.values)


Range: TypeAlias = Numbers | Choices


def range_of(name: str, text: str, usual: Range) -> Range:
    """The range that a text such as `16..256` or `32,64,128` means, for a setting with that usual one.

    Raises:
        ConfigurationError: where it is neither, is of another kind than the setting, or its ends are in disorder.

    Example:
        >>> range_of("hidden-size", "16..256", Numbers(8, 64, log=True, whole=True)).high
        256
        >>> range_of("strategy", "full,truncated:8,16,truncated", Choices(("full",))).values
        ('full', 'truncated:8,16', 'truncated')
    """
    if isinstance(usual, Choices):
        between = r",(?=\s*[a-z])" if name == "strategy" else ","  # a comma before a number is the strategy's own
        return Choices(tuple(_choice(name, part.strip(), usual) for part in re.split(between, text)))
    low, dots, high = text.partition("..")
    if not dots:
        return Choices(tuple(_number(name, text, part, usual) for part in text.split(",")))
    found = Numbers(_number(name, text, low, usual), _number(name, text, high, usual), usual.log, usual.whole)
    if found.low >= found.high:
        raise ConfigurationError(f"range {name}={text}: {found.low} is not below {found.high}: turn them round")
    if found.log and found.low <= 0:
        raise ConfigurationError(f"range {name}={text}: its values are drawn by their logarithm: begin above 0")
    even = all(end % usual.multiple == 0 for end in (found.low, found.high))
    return Numbers(found.low, found.high, usual.log, usual.whole, usual.multiple if even else 1)


def _number(name: str, text: str, part: str, usual: Numbers) -> int | float:
    try:
        return int(part) if usual.whole else float(part)
    except ValueError:
        kind = "whole numbers" if usual.whole else "numbers"
        raise ConfigurationError(
            f"range {name}={text}: expected two {kind} with .. between, such as {name}={usual}, or some with commas"
        ) from None


def _choice(name: str, part: str, usual: Choices) -> Value:
    if part == "none" and None in usual.values:
        return None
    if any(isinstance(value, bool) for value in usual.values):
        if part not in ("true", "false"):
            raise ConfigurationError(f"range {name}={part}: expected {usual}")
        return part == "true"
    if all(isinstance(value, int) for value in usual.values):
        if not part.isdecimal():
            raise ConfigurationError(f"range {name}={part}: expected whole numbers with commas, such as {name}={usual}")
        return int(part)
    if not part or ".." in part:
        raise ConfigurationError(f"range {name}={part}: expected names with commas, such as {name}={usual}")
    return part
