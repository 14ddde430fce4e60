"""Central differences that know how wrong they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_STEPS = (1e-5, 1e-4, 1e-6, 1e-3, 1e-7, 1e-8)
"""Relative to the size of what is moved, the likeliest first: eps^⅓ balances rounding and truncation."""

_EPSILON = torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class Difference:
    """A derivative by differences.

    Args:
        value: Richardson's extrapolation of two central differences; at a kink, the middle of both slopes.
        error: how far off it may be, by rounding and truncation; at a kink, half of what the slopes differ by.
        kink: whether the slopes to the left and to the right stay apart however small the step.
    """

    value: float
    error: float
    kink: bool


def difference(losses: Callable[[float], Tensor], centre: Tensor, scale: float, goal: float) -> Difference:
    """The derivative of Σ losses(h) by h at 0, in float64.

    Losses are subtracted one by one and then summed, so that those which do not change add no rounding. Of several
    steps the one with the smallest error counts; the first that is good enough ends the search.

    Args:
        losses: at a distance h, any shape.
        centre: the losses at 0.
        scale: of what is moved.
        goal: the error that is small enough.

    Example:
        >>> cube = lambda h: torch.tensor([(2 + h) ** 3], dtype=torch.float64)
        >>> found = difference(cube, cube(0.0), 2.0, 1e-8)
        >>> round(found.value, 6), found.error < 1e-8, found.kink
        (12.0, True, False)
    """
    best, taken = None, math.inf
    for step in _STEPS:
        found = _at(losses, centre, scale * step, goal)
        if best is None or found.error < best.error or (found.kink and step < taken):  # a kink that was hidden
            best, taken = found, step
        if best.error <= goal:
            break
    assert best is not None
    return best


def _at(losses: Callable[[float], Tensor], centre: Tensor, step: float, goal: float) -> Difference:
    (wide, wide_bend), (narrow, bend) = (_slopes(losses, centre, size) for size in (step, step / 2))
    value = narrow + (narrow - wide) / 3
    rounding = 8 * _EPSILON * float(centre.norm()) / step
    error = abs(value - narrow) + rounding
    if not math.isfinite(error + bend + wide_bend):
        return Difference(value, math.inf, False)
    # The slopes on both sides of a smooth place approach each other as the step shrinks; those of a kink do not.
    if abs(bend) > 0.75 * abs(wide_bend) and abs(bend) > goal + 8 * rounding:
        return Difference(narrow, abs(bend) / 2 + rounding, True)
    return Difference(value, error, False)


def _slopes(losses: Callable[[float], Tensor], centre: Tensor, step: float) -> tuple[float, float]:
    """The central difference, and the forward minus the backward one."""
    after, before = losses(step), losses(-step)
    return float((after - before).sum()) / (2 * step), float(((after - centre) + (before - centre)).sum()) / step
