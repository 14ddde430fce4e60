"""The picture of attention: a map a head, queries downward and keys to the right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from ..._errors import ConfigurationError
from ..._plotting import figure, style
from ._gate_picture import EMPTY, OPENING, seen_letters

if TYPE_CHECKING:
    from .attention_maps import LayerAttention

_MOST_COLUMNS = 6
_SIDE = 2.0
_MOST_LABELS = 26
_MOST = 0.9
"""Darkest is the largest weight that this share of the queries gives: the first of all have little to choose from."""
_Pair: TypeAlias = tuple[Sequence[Any], Sequence[Any]]


def draw_attention(layers: Sequence[LayerAttention], sample: int, labels: Sequence[Any] | None) -> Figure:
    """Rows of heads, layer by layer."""
    columns = min(_MOST_COLUMNS, max(layer.heads for layer in layers))
    rows = [math.ceil(layer.heads / columns) for layer in layers]
    side = _SIDE * (1.0 if columns > 2 else 1.4)
    with style():
        drawn = figure(max(4.6, side * columns + 0.7), (side + 0.42) * sum(rows) + 0.35 * len(layers) + 0.25)
        drawn.supxlabel("darkest: the weight written above; shades go by its root",
                        fontsize=8, color="#777777")  # fmt: skip
        blocks = drawn.subfigures(len(layers), 1, squeeze=False, height_ratios=rows)
        for block, layer, count in zip(blocks[:, 0], layers, rows, strict=True):
            panels = block.subplots(count, columns, squeeze=False)
            what = "" if layer.itself else ": at another sequence"
            block.suptitle(f"{layer.name}{what}", x=0.01, ha="left", fontsize=10, fontweight="bold")
            shown = int(np.flatnonzero(layer.counted[sample])[-1]) + 1 if layer.counted[sample].any() else 0
            pair = _pair(layer, labels, shown)
            for head, axes in enumerate(panels.ravel()):
                if head < layer.heads and shown:
                    _draw_head(axes, layer, sample, head, shown, pair, first=head % columns == 0)
                else:
                    axes.axis("off")
    return drawn


def _pair(layer: LayerAttention, labels: Sequence[Any] | None, shown: int) -> _Pair | None:
    """The labels of queries and keys."""
    if labels is None:
        return None
    keys = shown if layer.itself else layer.maps.shape[-1]
    given = (labels, labels) if layer.itself else tuple(labels)
    if len(given) != 2 or len(given[0]) < shown or len(given[1]) < keys:
        raise ConfigurationError(
            f"labels of {layer.name}: expected "
            + (f"{shown}" if layer.itself else f"a pair, {shown} of the queries and {keys} of the keys")
            + "; to show another alone, choose it by layer="
        )
    return given[0], given[1]


def _draw_head(
    axes: Axes,
    layer: LayerAttention,
    sample: int,
    head: int,
    shown: int,
    labels: _Pair | None,
    *,
    first: bool,
) -> None:
    weights = layer.maps[sample, head, :shown].astype(float)
    if layer.itself:
        weights = weights[:, :shown]
    darkest = float(np.quantile(weights.max(1), _MOST)) or 1.0
    shaded = np.where(np.triu(np.ones_like(weights), 1) > 0, np.nan, weights) if layer.causal else weights
    norm = PowerNorm(0.5, 0, darkest, clip=True)
    axes.imshow(shaded, cmap=OPENING, norm=norm, aspect="equal" if layer.itself else "auto",
                interpolation="nearest" if max(shaded.shape) <= 250 else "antialiased")  # fmt: skip
    axes.set_facecolor(EMPTY)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(f"head {head}", loc="left", fontsize=9)
    back = "" if layer.distance is None else f"{layer.distance[head]:.3g} {'back' if layer.causal else 'away'}, "
    axes.set_title(f"{back}to {darkest:.2g}", loc="right", fontsize=7, fontweight="normal", color="#666666")
    axes.tick_params(labelsize=7, pad=1.5, length=2)
    if labels is not None:
        _letter(axes.set_yticks, labels[0], shown)
        _letter(axes.set_xticks, labels[1], weights.shape[1])
    else:
        axes.locator_params(nbins=5, integer=True)
    if first:
        axes.set_ylabel("query", fontsize=8)
    axes.set_xlabel("key", fontsize=8, labelpad=1)


def _letter(ticks: Any, labels: Sequence[Any], count: int) -> None:
    """As many as have room."""
    if count <= _MOST_LABELS:
        ticks(range(count), [seen_letters(one) for one in labels[:count]], fontsize=8 if count <= 16 else 6)
