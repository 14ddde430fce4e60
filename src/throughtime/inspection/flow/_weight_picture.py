"""The picture of a weight's gradient: what each step gives, and what it takes back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._plotting import PALETTE, figure, style

if TYPE_CHECKING:
    from .weight_gradient import LayerTerms, Terms, WeightGradient

_MOST_BARS, _MOST_ROWS = 240, 28
_UP, _DOWN = 0.66, 0.3
"""How far bars reach, of the distance between two rows."""


def draw_terms(gradient: WeightGradient) -> Figure:
    """A panel a recurrence, a row of bars a parameter and gate."""
    layers = [layer for layer in gradient.layers if layer.terms]
    by_gate = sum(len(_rows(layer, True)) for layer in layers) <= _MOST_ROWS
    rows = [_rows(layer, by_gate) for layer in layers]
    with style():
        drawn = figure(9, sum(0.42 * len(terms) + 0.75 for terms in rows) + 0.2)
        panels = drawn.subplots(len(layers), 1, squeeze=False, sharex=True,
                                height_ratios=[len(terms) + 1.2 for terms in rows])[:, 0]  # fmt: skip
        for axes, layer, terms in zip(panels, layers, rows, strict=True):
            _draw_layer(axes, layer, terms)
        each = _each(gradient.steps)
        mean = "" if each == 1 else f" (bars: sums of {each} steps)"
        panels[-1].set_xlabel(f"step t{mean}")
    return drawn


def _rows(layer: LayerTerms, by_gate: bool) -> list[Terms]:
    """Each parameter, or in its place its gates."""
    gated = {terms.parameter for terms in layer.terms if terms.gate is not None}
    return [terms for terms in layer.terms if (terms.gate is None) != (by_gate and terms.parameter in gated)]


def _each(steps: int) -> int:
    """How many steps a bar stands for."""
    return math.ceil(steps / _MOST_BARS)


def _draw_layer(axes: Axes, layer: LayerTerms, rows: list[Terms]) -> None:
    for at, terms in enumerate(rows):
        _draw_row(axes, terms, at)
    axes.set_yticks(range(len(rows)), [terms.name for terms in rows])
    axes.set_ylim(len(rows) - 0.55, -0.8)
    axes.grid(False, axis="y")
    steps = len(rows[0].c)
    axes.set_xlim(-0.5, steps - 0.5)
    axes.set_title(f"{layer.name}: $c_t$, what each step gives of ΔW", loc="left", pad=8)
    for place, heading in ((1.07, "largest"), (1.15, "kept")):
        axes.annotate(heading, (place, -0.6), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8,
                      color="#444444", annotation_clip=False)  # fmt: skip


def _draw_row(axes: Axes, terms: Terms, at: int) -> None:
    """Bars that point up from the row's own line where they add, and down where they cancel."""
    count = len(terms.c)
    starts = np.arange(0, count, _each(count))
    sums = np.add.reduceat(np.nan_to_num(terms.c), starts)
    largest = np.abs(sums).max()
    longest = max(sums.max() / _UP, -sums.min() / _DOWN)
    heights = sums / longest if longest > 0 else sums
    widths = np.diff(np.append(starts, count))
    colours = np.where(sums < 0, PALETTE["vermillion"], PALETTE["blue"])
    gap = 0.1 if len(starts) <= 80 else 0.0
    axes.bar(starts - 0.5 + gap / 2, -heights, widths - gap, bottom=at, align="edge", color=colours.tolist())
    axes.axhline(at, color="#bbbbbb", linewidth=0.6, zorder=0)
    for place, number in ((1.07, largest), (1.15, terms.kept)):
        text = f"{number:.0%}" if math.isfinite(number) else "–"
        axes.annotate(text, (place, at), xycoords=("axes fraction", "data"), ha="right", va="center", fontsize=8,
                      annotation_clip=False)  # fmt: skip
