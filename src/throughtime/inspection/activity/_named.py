"""Records by their name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._errors import ConfigurationError


def named(layers: Sequence[Any], name: str) -> Any:
    """The one of that `name`.

    Raises:
        ConfigurationError: where there is none.
    """
    for layer in layers:
        if layer.name == name:
            return layer
    raise ConfigurationError(f"no layer {name!r}: expected one of {', '.join(one.name for one in layers)}")
