"""Numbers as JSON has them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def plain(value: Any, digits: int | None = None) -> Any:
    """A number, or an array as nested lists; what is not finite is `None`, and what is no number stays as it is.

    Args:
        digits: significant ones; all by default.

    Example:
        >>> plain(np.array([[0.123456, np.nan], [np.inf, 2.0]]), 3)
        [[0.123, None], [None, 2.0]]
    """
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), digits)
    if isinstance(value, list):
        return [plain(item, digits) for item in value]
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return float(value if digits is None else f"{value:.{digits}g}")
