"""Whether the swings of a series grow with its level, so that its logarithm is what a model should see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_FEWEST_BLOCKS = 4
_RISE = 1.5
"""Below this ratio of the largest to the smallest level there is little to tell the two apart by."""


def grows_with_level(pieces: Sequence[Any], period: int) -> bool:
    """Whether the logarithm of a column evens out its swings better than leaving it as it is, in most of its series.

    Each series is cut into blocks of a season; the swings, their standard deviations about a straight line, are
    compared to the levels, their means. Guerrero's choice among powers, between 1 and 0 alone: the one by which the
    swings over level^(1 − power) vary least, relative to their mean.

    Args:
        pieces: the column in the training part of each series, [time] each.
        period: steps of a season; where there is none, blocks of about the square root of the length are cut.

    Example:
        >>> level = np.repeat(np.exp(np.linspace(0, 2, 12)), 12)
        >>> swing = np.tile(np.sin(np.arange(12)), 12)
        >>> grows_with_level([level * (2 + swing)], 12), grows_with_level([10 * level + swing], 12)
        (True, False)

    References:
        Guerrero, "Time-series analysis supported by power transformations", Journal of Forecasting 12 (1993) 37-48.
    """
    votes = [_evened(np.asarray(piece, np.float64), period) for piece in pieces]
    told = [vote for vote in votes if vote is not None]
    return bool(told) and 2 * sum(told) > len(told)


def _evened(values: np.ndarray, period: int) -> bool | None:
    """Of one series; `None` where its level hardly changes, or it is too short to tell."""
    size = period if period > 1 else max(2, int(np.sqrt(len(values))))
    count = len(values) // size
    if count < _FEWEST_BLOCKS or not (values > 0).all():
        return None if (values > 0).all() else False
    blocks = values[len(values) - count * size :].reshape(count, size)
    level = blocks.mean(1)
    ramp = np.arange(size) - (size - 1) / 2
    slope = blocks @ ramp / (ramp @ ramp)
    swing = (blocks - level[:, None] - slope[:, None] * ramp).std(1)
    if level.max() < _RISE * level.min() or not (swing > 1e-9 * level).all():
        return None
    return _variation(swing / level) < _variation(swing)


def _variation(values: np.ndarray) -> float:
    return float(values.std() / values.mean())
