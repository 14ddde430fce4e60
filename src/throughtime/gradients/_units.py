"""Settings as people write them: numbers of steps, and amounts of memory."""

from __future__ import annotations

import re
from typing import Any

from .._errors import ConfigurationError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_WRITTEN = "B, KB, MB, GB, KiB, MiB or GiB"


def bytes_of(amount: int | str, name: str) -> int:
    """The bytes that `amount` means, as given for the setting `name`.

    Raises:
        ConfigurationError: if it is no such amount, or none.

    Example:
        >>> bytes_of("64MB", "memory"), bytes_of("1.5 GiB", "memory")
        (64000000, 1610612736)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(amount).strip(), re.IGNORECASE)
    unit = None if found is None else _UNITS.get(found[2].upper())
    if not isinstance(amount, int | str) or found is None or unit is None or float(found[1]) * unit < 1:
        raise ConfigurationError(f"{name}={amount!r}: expected bytes, or an amount in {_WRITTEN}, such as '256MB'")
    return int(float(found[1]) * unit)


def whole_number(strategy: Any, *names: str) -> None:
    """Refuse settings that are not whole numbers of steps, at least 1."""
    for name in names:
        value = getattr(strategy, name)
        if type(value) is not int or value < 1:
            raise ConfigurationError(f"{strategy!r}: {name} is a whole number of steps, at least 1")


def in_words(size: int) -> str:
    """An amount that `bytes_of` reads, rounded up.

    Example:
        >>> in_words(31_250_001), in_words(999)
        ('31.3MB', '999B')
    """
    for unit in ("GB", "MB", "KB"):
        if size >= _UNITS[unit]:
            return f"{-(-size * 10 // _UNITS[unit]) / 10:g}{unit}"
    return f"{size}B"
