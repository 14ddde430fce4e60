"""Strategies by name, as they are written on a command line or in a configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._errors import ConfigurationError
from .checkpointed import Checkpointed
from .full import Full
from .random_truncation import RandomTruncation
from .rtrl import RTRL
from .snap1 import SnAp1
from .strategy import Strategy
from .truncated import Truncated
from .uoro import UORO

FORMS = (
    "full, truncated:K1, truncated:K1,K2, checkpointed, checkpointed:STEPS, checkpointed:256MB, artbp:CHUNK,LENGTH, "
    "rtrl, snap1, uoro"
)
"""How a strategy is written."""


def strategy_named(text: str) -> Strategy:
    """The strategy that a text such as `full` or `truncated:32` names.

    Raises:
        ConfigurationError: if there is none of that name, or its numbers are missing or out of range.

    Example:
        >>> strategy_named("truncated:16,64"), strategy_named("checkpointed:256MB")
        (Truncated(k1=16, k2=64), Checkpointed(segment=None, memory='256MB'))
    """
    name, colon, rest = text.partition(":")
    given = rest.split(",") if colon else []
    if name not in _MADE:
        raise ConfigurationError(f"strategy {text!r} is not known; known: {FORMS}")
    counts, make = _MADE[name]
    if len(given) not in counts:
        forms = ", ".join(form for form in FORMS.split(", ") if form.partition(":")[0] == name)
        raise ConfigurationError(f"strategy {text!r}: expected one of {forms}")
    return make(text, *given)


def strategy_of(given: Any) -> Strategy:
    """A strategy as it is, or by its name.

    Raises:
        ConfigurationError: if it is neither.
    """
    if isinstance(given, str):
        return strategy_named(given)
    if isinstance(given, Strategy):
        return given
    shown = f"{given.__name__}, a class: {given.__name__}(…)" if isinstance(given, type) else repr(given)
    raise ConfigurationError(f"the strategy is {shown}; expected one such as Truncated(32), or its name: {FORMS}")


def _number(text: str, part: str) -> int:
    try:
        return int(part)
    except ValueError:
        raise ConfigurationError(f"strategy {text!r}: {part!r} is not a number of steps; known: {FORMS}") from None


def _checkpointed(text: str, *given: str) -> Strategy:
    """A number alone is of steps, one with a unit of memory."""
    if not given:
        return Checkpointed()
    return Checkpointed(segment=int(given[0])) if given[0].isdecimal() else Checkpointed(memory=given[0])


_MADE: dict[str, tuple[tuple[int, ...], Callable[..., Strategy]]] = {
    "full": ((0,), lambda _: Full()),
    "truncated": ((1, 2), lambda text, *given: Truncated(*(_number(text, part) for part in given))),
    "checkpointed": ((0, 1), _checkpointed),
    "artbp": ((2,), lambda text, *given: RandomTruncation(*(_number(text, part) for part in given))),
    "rtrl": ((0,), lambda _: RTRL()),
    "snap1": ((0,), lambda _: SnAp1()),
    "uoro": ((0,), lambda _: UORO()),
}
