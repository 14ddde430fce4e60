"""Strategies by name, as they are written on a command line or in a configuration."""

from __future__ import annotations

from .._errors import ConfigurationError
from .full import Full
from .strategy import Strategy
from .truncated import Truncated

_FORMS = "full, truncated:STEPS"


def strategy_named(text: str) -> Strategy:
    """The strategy that a text such as `full` or `truncated:32` names.

    Raises:
        ConfigurationError: if there is none of that name, or its number is missing or out of range.

    Example:
        >>> strategy_named("truncated:32")
        Truncated(k1=32, k2=None)
    """
    name, _, rest = text.partition(":")
    try:
        numbers = [int(part) for part in rest.split(",")] if rest else []
    except ValueError:
        raise ConfigurationError(f"strategy {text!r}: {rest!r} is not a number of steps; known: {_FORMS}") from None
    if name == "full" and not numbers:
        return Full()
    if name == "truncated" and len(numbers) in (1, 2):
        return Truncated(*numbers)
    raise ConfigurationError(f"strategy {text!r} is not known; known: {_FORMS}")
