"""The pictures of the page, in the look of every other picture of this library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from _case import NAMES
from _timing import Timing
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from throughtime._plotting import PALETTE, figure, style

_LOOKS = {
    "throughtime": ("blue", "o"),
    "torch.nn": ("vermillion", "s"),
    "JAX": ("green", "D"),
    "Keras": ("orange", "^"),
    "ONNX Runtime": ("purple", "v"),
}


def relative_times(timings: list[list[Timing]], ours: str, file: Path) -> None:
    """A row a layer, training and inference side by side, a line a shape: the time of each peer over ours."""
    kinds = list(dict.fromkeys(found[0].case.kind for found in timings))
    with style():
        drawn = figure(9, 0.6 + 2.1 * len(kinds))
        axes = drawn.subplots(len(kinds), 2, squeeze=False, sharex="col", sharey=True)
        for row, kind in enumerate(kinds):
            for column, mode in enumerate(("training", "inference")):
                panel = axes[row, column]
                chosen = [found for found in timings if (found[0].case.kind, found[0].case.mode) == (kind, mode)]
                _one_panel(panel, chosen, ours)
                panel.set_title(f"{NAMES[kind]}, {mode}", loc="left")
        for panel in axes[-1]:
            panel.set_xlabel("time relative to throughtime's")
        handles = {
            label: handle
            for panel in axes.flat
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        drawn.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles))
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(file)


def _one_panel(panel: Axes, chosen: list[list[Timing]], ours: str) -> None:
    shapes = [found[0].case.shape for found in chosen]
    peers = dict.fromkeys(timing.peer for found in chosen for timing in found)
    panel.axvline(1, color=PALETTE["grey"], linewidth=0.8)
    for peer in peers:
        points = [
            (timing.median / mine.median, row)
            for row, found in enumerate(chosen)
            for mine in found
            for timing in found
            if mine.peer == ours and timing.peer == peer
        ]
        colour, marker = _LOOKS[peer]
        panel.plot(*zip(*points, strict=True), marker, color=PALETTE[colour], markersize=5, label=peer)
    panel.set_xscale("log")
    panel.margins(x=0.06)
    panel.set_yticks(range(len(shapes)), shapes)
    panel.set_ylim(len(shapes) - 0.5, -0.5)
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter("{x:g}×")
    panel.xaxis.set_minor_locator(NullLocator())


def sizes(swept: dict[str, list[dict[str, Any]]], peers: list[str], file: Path) -> None:
    """A column for each size that grows; above the time of a step, below the memory; both axes logarithmic."""
    labels = {"hidden": "units H", "batch": "batch B", "time": "steps T"}
    with style():
        drawn = figure(9, 5)
        axes = drawn.subplots(2, len(swept), squeeze=False, sharey="row", sharex="col")
        for column, (name, points) in enumerate(swept.items()):
            for peer in peers:
                colour = PALETTE[_LOOKS[peer][0]]
                for mode, line in (("training", "-"), ("inference", "--")):
                    _curve(
                        axes[0, column], points, peer, mode, 1e6, linestyle=line, color=colour, label=f"{peer}, {mode}"
                    )
                _curve(axes[1, column], points, peer, "memory", 1, color=colour)
            axes[1, column].set_xlabel(labels[name])
        axes[0, 0].set_ylabel("µs a step")
        axes[1, 0].set_ylabel("MiB in training")
        handles, names = axes[0, 0].get_legend_handles_labels()
        drawn.legend(handles, names, loc="outside upper center", ncols=len(handles))
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(file)


def _curve(panel: Axes, points: list[dict[str, Any]], peer: str, what: str, scale: float, **how: Any) -> None:
    shown = [(point["size"], point[peer][what] * scale) for point in points if what in point.get(peer, {})]
    panel.plot(*zip(*shown, strict=True), marker="o", markersize=3, **how)
    panel.set_xscale("log")
    panel.set_yscale("log")
