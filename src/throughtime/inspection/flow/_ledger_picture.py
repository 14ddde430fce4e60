"""The picture of a ledger: the way down, the steps it is made of, and the paths that each step takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ..._plotting import PALETTE, figure, gapped, style

if TYPE_CHECKING:
    from .ledger import LayerLedger, Ledger

_MOST_BARS = 160
_COLOURS = ("blue", "vermillion", "orange", "green", "purple", "sky", "yellow", "black")
_SPLIT = {"squashing": "vermillion", "weights": "blue", "elsewhere": "grey"}
_SHARES = (-0.6, 1.6)
"""How far shares are shown; beyond it paths cancel each other, and the bars are cut off."""


def draw_ledger(ledger: Ledger) -> Figure:
    """A block of panels a layer, two side by side."""
    layers = ledger.layers
    columns = min(2, len(layers))
    rows = math.ceil(len(layers) / columns)
    paths = any(len(layer.shares) > 1 for layer in layers)
    with style():
        drawn = figure(7.2 if columns == 1 else 11.5, (5.4 if paths else 4.0) * rows)
        blocks = np.atleast_1d(drawn.subfigures(rows, columns, squeeze=False).ravel())
        for block, layer in zip(blocks, layers, strict=False):
            _draw_layer(block, layer, ledger)
    return drawn


def _draw_layer(block: SubFigure, layer: LayerLedger, ledger: Ledger) -> None:
    several = len(layer.shares) > 1
    heights = (3, 2, 2) if several else (3, 2)
    panels = block.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    way = "on to" if layer.reverse else "back to"
    panels[0].set_title(f"{layer.name}: from the loss of step {ledger.anchor} {way} {layer.steps[-1]}", loc="left")
    if not len(layer.jumps):
        panels[0].annotate(layer.sentence.partition(": ")[2], (0, 0.9), xycoords="axes fraction")
        for axes in panels:
            axes.axis("off")
        return
    _draw_decay(panels[0], layer)
    parts = {"jump r": layer.jumps} if layer.split is None else layer.split
    colours = {"jump r": PALETTE["blue"], **{name: PALETTE[colour] for name, colour in _SPLIT.items()}}
    each = _bars(panels[1], parts, colours)
    panels[1].set_ylabel("nats a step")
    if several:
        colours = {name: PALETTE[_COLOURS[at % len(_COLOURS)]] for at, name in enumerate(layer.shares)}
        _bars(panels[2], layer.shares, {**colours, "from above": PALETTE["grey"]})
        panels[2].axhline(1, color=PALETTE["black"], linewidth=0.6)
        low, high = panels[2].get_ylim()
        panels[2].set_ylim(max(low, _SHARES[0]), min(high, _SHARES[1]))
        panels[2].set_ylabel("share of path")
    mean = "" if each == 1 else f" (bars: means of {each} steps)"
    panels[-1].set_xlabel(f"lag: steps from the loss{mean}")
    _mark_end(panels, layer)
    block.align_ylabels(panels)


def _draw_decay(axes: Axes, layer: LayerLedger) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        decay = np.log(layer.norms) - np.log(layer.norms[0])
    decay[~np.isfinite(decay)] = np.nan
    lags = np.arange(len(decay))
    gapped(axes, lags, decay, color=PALETTE["black"], linewidth=1.4)
    if len(lags) <= 40:
        axes.plot(lags, decay, "o", color=PALETTE["black"], markersize=3)
    axes.set_ylabel("ln ‖δ‖ beside lag 0, nats")
    usable = np.flatnonzero(np.isfinite(decay))
    if len(usable) > 1:
        last = usable[-1]
        text = f"{decay[last]:+.3g} nats: × {_power(decay[last])}"
        axes.annotate(text, (len(lags) - 0.5, 0.93), xycoords=("data", "axes fraction"), xytext=(-18, 0),
                      textcoords="offset points", ha="right", va="top")  # fmt: skip
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.18 * (high - low))
    if layer.lost is not None:
        at = layer.steps.index(layer.lost)
        axes.axvline(at, color=PALETTE["vermillion"], linewidth=0.9, linestyle=":")
        word = "zero" if layer.norms[at] == 0 else "not finite"
        right = at < 0.7 * len(lags)
        axes.annotate(f"{word} from step {layer.lost} on", (at, 0.5 if right else 0.7),
                      xycoords=("data", "axes fraction"), xytext=(5 if right else -5, 0), textcoords="offset points",
                      color=PALETTE["vermillion"], ha="left" if right else "right")  # fmt: skip


def _power(nats: float) -> str:
    return f"{math.exp(nats):.2g}" if abs(nats) < 700 else f"$10^{{{nats / math.log(10):.0f}}}$"


def _bars(axes: Axes, parts: Mapping[str, np.ndarray], colours: Mapping[str, str]) -> int:
    """Stacked, above zero and below it; steps side by side as one bar where there are many. How many they are."""
    count = len(next(iter(parts.values())))
    each = max(1, math.ceil(count / _MOST_BARS))
    starts = np.arange(0, count, each)
    edges = np.append(starts, count) + 0.5
    floor, ceiling = np.zeros(len(starts)), np.zeros(len(starts))
    for name, values in parts.items():
        means = np.array([_mean(values[start : start + each]) for start in starts])
        bottom = np.where(means < 0, floor, ceiling)
        axes.bar(edges[:-1], means, np.diff(edges), bottom, align="edge", color=colours[name], label=name,
                 linewidth=0.4 if len(starts) <= 60 else 0, edgecolor="white")  # fmt: skip
        floor, ceiling = floor + np.minimum(means, 0), ceiling + np.maximum(means, 0)
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, fontsize=8, borderaxespad=0.1, handlelength=1,
                columnspacing=1.2)  # fmt: skip
    return each


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else 0.0


def _mark_end(panels: np.ndarray, layer: LayerLedger) -> None:
    """Past the last step of the way nothing is said: a reset is a wall, and no zero."""
    last = len(layer.jumps) + 0.5
    right = last + max(0.5, 0.04 * last)
    for axes in panels:
        axes.set_xlim(-0.5, last if layer.cut is None else right)
        if layer.cut is not None:
            axes.axvspan(last, right, facecolor="#eeeeee", edgecolor="#bbbbbb", hatch="////", linewidth=0)
            axes.axvline(last, color="#777777", linewidth=1.2)
    if layer.cut is not None:
        panels[0].annotate(f"cut by the reset of step {layer.cut}", (last, 0.5), xycoords=("data", "axes fraction"),
                           xytext=(-3, 0), textcoords="offset points", rotation=90, ha="right", va="center",
                           fontsize=8, color="#555555")  # fmt: skip
