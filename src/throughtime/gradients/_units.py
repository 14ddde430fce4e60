"""Amounts of memory as people write them."""

from __future__ import annotations

import re

from .._errors import ConfigurationError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


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
    if found is None or unit is None or float(found[1]) * unit < 1:
        raise ConfigurationError(f"{name}={amount!r}: expected an amount of memory, such as '256MB' or '1GiB'")
    return int(float(found[1]) * unit)


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
