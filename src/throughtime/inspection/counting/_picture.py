"""The picture of a summary: how many parameters each layer has, by gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..._plotting import PALETTE, figure, style
from ._words import in_short

if TYPE_CHECKING:
    from .summary import Summary

_COLOURS = {
    "input": "blue",
    "forget": "vermillion",
    "cell": "green",
    "output": "orange",
    "reset": "vermillion",
    "update": "blue",
    "new": "green",
    "query": "blue",
    "key": "green",
    "value": "sky",
    "projection": "purple",
    "memory norm": "yellow",
}
_OTHER = "not by gate"
_MOST = 40


def draw_summary(summary: Summary) -> Figure:
    """A bar a layer and direction, from zero, in the order of the forward; gates side by side in it."""
    bars = [
        (f"{layer.name}, {block.name}" if block.name else layer.name, block.parts)
        for layer in summary.layers
        for block in layer.blocks
        if block.count
    ]
    left_out = len(bars) - _MOST
    if left_out > 0:
        smallest = sorted(range(len(bars)), key=lambda at: sum(bars[at][1].values()))[:left_out]
        bars = [bar for at, bar in enumerate(bars) if at not in smallest]
    with style():
        drawn = figure(7.5, 1.15 + 0.34 * max(len(bars), 1))
        axes = drawn.add_subplot()
        most = max((sum(parts.values()) for _, parts in bars), default=1)
        seen: dict[str, str] = {}
        for at, (_, parts) in enumerate(bars):
            start = 0
            for part, count in _shares(parts).items():
                colour = PALETTE[_COLOURS.get(part, "grey")]
                seen.setdefault(part, colour)
                axes.barh(at, count, 0.66, left=start, color=colour, edgecolor="white", linewidth=0.6)
                start += count
            axes.text(start + 0.012 * most, at, f"{start:,}", va="center", fontsize=8)
        axes.set_yticks(range(len(bars)), [_shortened(name) for name, _ in bars])
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, 1.16 * most)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: in_short(round(value))))
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("parameters" + (f"; the {left_out} smallest layers are left out" if left_out > 0 else ""))
        axes.set_title(f"{summary.model}: {summary.parameters:,} parameters", loc="left")
        if seen.keys() - {_OTHER}:
            order = sorted(seen, key=lambda part: part == _OTHER)
            below = -0.45 / max(1, 0.34 * len(bars))
            axes.legend(handles=[Patch(color=seen[part], label=part) for part in order], loc="upper center",
                        bbox_to_anchor=(0.5, below), ncols=7, fontsize=8, handlelength=1.2)  # fmt: skip
    return drawn


def _shares(parts: Mapping[str, int]) -> dict[str, int]:
    """Gates, and in one everything that is no gate."""
    gates = {part: count for part, count in parts.items() if part in _COLOURS and len(parts) > 1}
    rest = sum(parts.values()) - sum(gates.values())
    return gates | ({_OTHER: rest} if rest else {})


def _shortened(name: str, most: int = 34) -> str:
    return name if len(name) <= most else f"…{name[-most + 1 :]}"
