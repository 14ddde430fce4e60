"""The picture of gates at work: a heat map of each, and of the state, over the steps of one sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure, SubFigure

from ..._errors import ConfigurationError
from ..._plotting import PALETTE, figure, style

if TYPE_CHECKING:
    from .gates import LayerGates

MOST_UNITS = 40
_WIDTH = 9.5
_POINTS, _SMALLEST, _LARGEST = 575, 5.5, 9.0
"""The width of a map, and the sizes in which symbols are written below it."""
_MOST_LINES = 4
_NAMED = 12
"""Up to so many units are told by their numbers."""
_SAME = " = "
_MOST_STEPS = 800
"""Beyond them neighbours share a point of the picture."""
EMPTY = "#ededed"
"""Where there is nothing to be shown."""
OPENING = LinearSegmentedColormap.from_list("opening", ["#fbfcfe", "#b9dcf2", PALETTE["blue"], "#1b1f4b"])
"""From nothing to all of it."""
_SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#10336b", PALETTE["blue"], "#a9d2ec", "#fbfbfb", "#f7c9a3", PALETTE["vermillion"], "#7f2704"]
)


@dataclass(frozen=True)
class _Order:
    """The units of a layer that are shown, from the top.

    Args:
        units: which.
        words: how they are chosen and sorted.
        scales: their time scales, where there are any.
    """

    units: np.ndarray
    words: str
    scales: np.ndarray | None


def draw_gates(
    layers: Sequence[LayerGates],
    inputs: np.ndarray,
    sample: int,
    units: int | Iterable[int] | None,
    labels: Sequence[Any] | None,
) -> Figure:
    """A block of heat maps a layer, under what the sequence reads."""
    timelines = [_without_twins(layer.timeline(sample), layer.parts) for layer in layers]
    steps = max(len(next(iter(timeline.values()))) for timeline in timelines)
    shown = inputs[:steps, sample] if labels is None else _given(labels, steps)
    chosen = [None if units is None or isinstance(units, int) else list(units)] * len(layers)
    orders = [_order(layer, units, one) for layer, one in zip(layers, chosen, strict=True)]
    heights = [_heights(timeline, order) for timeline, order in zip(timelines, orders, strict=True)]
    with style():
        drawn = figure(_WIDTH, sum(sum(part) + 0.55 + 0.16 * len(part) for part in heights))
        blocks = drawn.subfigures(len(layers), 1, squeeze=False, height_ratios=[sum(part) + 0.5 for part in heights])
        for at, block in enumerate(blocks[:, 0]):
            _draw_layer(block, layers[at], timelines[at], orders[at], heights[at], shown, sample)
    return drawn


def _without_twins(timeline: dict[str, np.ndarray], parts: Sequence[str]) -> dict[str, np.ndarray]:
    """A state that is a gate's value, as of a plain RNN, is shown once."""
    found = {name: values for name, values in timeline.items() if name not in parts}
    for part in parts:
        same = (name for name, values in found.items() if values.any() and np.array_equal(values, timeline[part]))
        twin = next(same, None)
        if twin is None:
            found[part] = timeline[part]
        else:
            found = {f"{name}{_SAME}{part}" if name == twin else name: values for name, values in found.items()}
    return found


def _given(labels: Sequence[Any], steps: int) -> np.ndarray:
    if len(labels) < steps:
        raise ConfigurationError(f"{len(labels)} labels for a sequence of {steps} steps: expected one a step")
    plain = list(labels[:steps])
    if all(isinstance(one, Real) for one in plain):
        return np.array(plain)
    return np.array([str(one) for one in plain], dtype=object)


def _order(layer: LayerGates, units: int | Iterable[int] | None, chosen: list[int] | None) -> _Order:
    keeping = layer.keeping
    scales = None if keeping is None else keeping.time_scale
    first = layer.gates[0].mean if layer.gates else np.nanmean(layer.timelines[layer.parts[0]], (0, 1))
    by = first if scales is None else scales
    count = len(by)
    if chosen is not None:
        wrong = [unit for unit in chosen if not 0 <= unit < count]
        if wrong or not chosen:
            raise ConfigurationError(f"units={chosen}: expected units of {layer.name}, 0 to {count - 1}")
        kept = np.array(chosen)
        return _Order(kept, "the units asked for", None if scales is None else scales[kept])
    most = MOST_UNITS if units is None else units
    if not isinstance(most, int) or most < 1:
        raise ConfigurationError(f"units={units}: expected at least 1, or which")
    ranked = np.argsort(-by, kind="stable")
    kept = ranked[np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))]
    of = f"{count} units" if len(kept) == count else f"{len(kept)} of {count} units, evenly spread,"
    what = f"the mean of {layer.gates[0].name if layer.gates else layer.parts[0]}" if scales is None else "time scale"
    return _Order(kept, f"{of} sorted by {what}", None if scales is None else scales[kept])


def _heights(timeline: dict[str, np.ndarray], order: _Order) -> list[float]:
    """Inches: of the input, and of each map."""
    count = len(order.units)
    rows = float(np.clip(0.13 * count, 0.3, 1.3) if count <= _NAMED else np.clip(0.03 * count + 0.3, 0.8, 1.3))
    return [0.5, *[rows] * len(timeline)]


def _draw_layer(
    block: SubFigure,
    layer: LayerGates,
    timeline: dict[str, np.ndarray],
    order: _Order,
    heights: list[float],
    shown: np.ndarray,
    sample: int,
) -> None:
    panels = block.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    panels[0].set_title(f"{layer.name}, sequence {sample}: {order.words}", loc="left")
    _draw_input(panels[0], shown)
    functions = {gate.name: gate.function for gate in layer.gates}
    for axes, (name, values) in zip(panels[1:], timeline.items(), strict=True):
        own = order if values.shape[1] > order.units.max() else None
        kept = values[:, order.units if own is not None else slice(0, MOST_UNITS)].T
        colours, norm = _colours(functions.get(name.split(_SAME)[0]), kept)
        image = axes.imshow(kept, aspect="auto", cmap=colours, norm=norm,
                            interpolation="nearest" if kept.shape[1] <= _MOST_STEPS else "antialiased",
                            extent=(-0.5, kept.shape[1] - 0.5, len(kept) - 0.5, -0.5))  # fmt: skip
        axes.set_facecolor(EMPTY)
        axes.grid(visible=False)
        axes.tick_params(bottom=axes is panels[-1])
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontweight="bold")
        _mark_rows(axes, len(kept), own, name, layer)
        clipped = bool((np.abs(kept[np.isfinite(kept)]) > (norm.vmax or 1) + 1e-6).any())
        bar = block.colorbar(image, ax=axes, fraction=0.012, pad=0.008, aspect=14, extendfrac=0.08,
                             extend="both" if clipped else "neither")  # fmt: skip
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        bar.ax.tick_params(labelsize=7, length=0)
        bar.set_ticks([norm.vmin or 0.0, 0.5 * ((norm.vmin or 0.0) + (norm.vmax or 1.0)), norm.vmax or 1.0])
        bar.ax.yaxis.set_major_formatter("{x:.2g}")
        for spine in axes.spines.values():
            spine.set_visible(False)
    panels[-1].set_xlabel("step t")
    _symbols_below(panels[-1], shown)
    panels[-1].set_xlim(-0.5, len(next(iter(timeline.values()))) - 0.5)


def _mark_rows(axes: Axes, rows: int, order: _Order | None, name: str, layer: LayerGates) -> None:
    """Beside the gate that keeps, time scales; beside the others unit numbers, where they are few."""
    axes.tick_params(axis="y", labelsize=7, pad=1)
    keeping = layer.keeping
    if order is not None and order.scales is not None and keeping is not None and name == keeping.name:
        at = np.unique(np.linspace(0, rows - 1, min(rows, 4)).round().astype(int))
        axes.set_yticks(at, [f"τ {_short(float(order.scales[row]))}" for row in at])
    elif order is not None and rows <= _NAMED:
        axes.set_yticks(range(rows), [str(unit) for unit in order.units])
    else:
        axes.set_yticks([])


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}" if value < 1e4 else f"{value:.0e}"


def _colours(function: str | None, values: np.ndarray) -> tuple[Colormap, Normalize]:
    finite = np.abs(values[np.isfinite(values)])
    most = float(finite.max()) if len(finite) else 1.0
    if function == "sigmoid":
        return OPENING, Normalize(0, 1)
    if function == "relu":
        return OPENING, Normalize(0, most or 1.0)
    reach = 1.0 if function == "tanh" or 0.3 <= most <= 1 else float(np.quantile(finite, 0.97)) or most or 1.0
    return _SIGNED, Normalize(-reach, reach)


def _draw_input(axes: Axes, shown: np.ndarray) -> None:
    """Values as lines; symbols as text where they fit, and where not as marks of their number."""
    axes.grid(visible=False)
    axes.tick_params(labelsize=7, labelbottom=False, bottom=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_ylabel("x", rotation=0, ha="right", va="center", fontweight="bold")
    steps = np.arange(len(shown))
    if _is_symbols(shown):
        _symbols(axes, shown)
        return
    values = shown.reshape(len(shown), -1).astype(float)[:, :_MOST_LINES]
    colours = [PALETTE[name] for name in ("black", "vermillion", "green", "orange")]
    for at, column in enumerate(values.T):
        axes.plot(steps, column, color=colours[at], linewidth=0.9)
    axes.margins(y=0.12)
    axes.locator_params(axis="y", nbins=3)


def _is_symbols(shown: np.ndarray) -> bool:
    return shown.ndim == 1 and not np.issubdtype(shown.dtype, np.floating)


def _symbols(axes: Axes, shown: np.ndarray) -> None:
    if not _fits(shown):
        if shown.dtype == object:
            axes.set_yticks([])
            axes.text(0, 0.5, f"{len(shown)} symbols, too many to be read here", transform=axes.transAxes, va="center",
                      color=PALETTE["grey"])  # fmt: skip
            return
        axes.plot(np.arange(len(shown)), shown, "|", color=PALETTE["black"], markersize=3, markeredgewidth=0.6)
        axes.locator_params(axis="y", nbins=3)
        return
    axes.spines["left"].set_visible(False)
    axes.set(yticks=[], ylim=(0, 1))
    for step, symbol in enumerate(shown):
        axes.text(step, 0.5, seen_letters(symbol), ha="center", va="center", fontsize=_size(shown))


def _symbols_below(axes: Axes, shown: np.ndarray) -> None:
    """The same symbols under the last map."""
    if _is_symbols(shown) and _fits(shown):
        axes.set_xticks(range(len(shown)), [seen_letters(symbol) for symbol in shown], fontsize=_size(shown))
        axes.set_xlabel("")


def _fits(shown: np.ndarray) -> bool:
    return _size(shown) >= _SMALLEST


def _size(shown: np.ndarray) -> float:
    """At which the widest of the symbols has room, as wide letters are."""
    widest = max((_ems(seen_letters(symbol)) for symbol in shown), default=1.0)
    return min(_LARGEST, _POINTS / max(1, len(shown)) / widest)


def _ems(text: str) -> float:
    return 0.2 + sum(1.05 if east_asian_width(letter) in "WF" else 0.62 for letter in text)


def seen_letters(symbol: Any) -> str:
    """Without what would not be seen."""
    return {" ": "␣", "\n": "↵", "\t": "⇥", "$": "\\$"}.get(str(symbol), str(symbol).strip("\n").replace("$", "\\$"))
