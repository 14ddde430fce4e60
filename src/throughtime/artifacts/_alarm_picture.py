"""The picture of scores: what was observed above, how surprising it was below, alarms shaded through both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import _plotting
from .scored import Scored

_MOST_POINTS = 4000
_LEAST_WIDTH = 0.004
"""Of an alarm's shade, as a share of the axis, so that one short spike is seen."""


def picture(sequences: Sequence[Scored], window: int, unit: str, targets: tuple[str, ...], most: int) -> Figure:
    """Two panels a sequence, of those with the rarest alarms."""
    shown = sorted(range(len(sequences)), key=lambda index: _rarest(sequences[index]))[:most]
    values = bool(targets)
    heights = ([1.5, 1.0] if values else [1.0]) * len(shown)
    with _plotting.style():
        figure = _plotting.figure(9, 1.1 + (3.6 if values else 2.2) * len(shown))
        grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
        for row, index in enumerate(sorted(shown)):
            one = sequences[index]
            first = (2 if values else 1) * row
            axes = [figure.add_subplot(grid[first])]
            if values:
                axes.append(figure.add_subplot(grid[first + 1], sharex=axes[0]))
            _sequence(axes, one, window, unit, targets)
            title = one.name or (targets[0] if len(targets) == 1 else "")
            axes[0].set_title(title + (f" · {_counted(one, window)}" if title else _counted(one, window)), loc="left")
        handles, labels = figure.axes[-1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small")
    return figure


def _rarest(one: Scored) -> tuple[float, int]:
    known = one.verdict.probability[np.isfinite(one.verdict.probability)]
    return (float(known.min()) if len(known) else 1.0, -int(one.verdict.alarm.sum()))


def _counted(one: Scored, window: int) -> str:
    count = len(one.intervals(window))
    return f"{count or 'no'} alarm{'' if count == 1 else 's'}"


def _sequence(axes: list[Axes], one: Scored, window: int, unit: str, targets: tuple[str, ...]) -> None:
    dated = np.issubdtype(one.labels.dtype, np.datetime64)
    places = one.labels if dated else np.arange(1, len(one.labels) + 1)
    if len(axes) == 2:
        _values(axes[0], one, places, targets)
        axes[0].tick_params(labelbottom=False)
    _surprise(axes[-1], one, places, window)
    for part in axes:
        _shade(part, one, places, window)
        part.set_xlim(places[0], places[-1])
    if dated:
        _plotting.dated(axes[-1], 10)
    else:
        axes[-1].set_xlabel("step" if unit == "time" else unit)


def _values(axes: Axes, one: Scored, places: np.ndarray, targets: tuple[str, ...]) -> None:
    colours = [_plotting.PALETTE[name] for name in ("black", "blue", "green", "purple", "orange", "sky")]
    assert one.values is not None
    values = one.values
    if len(targets) > 1:
        values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-12)
    for index, name in enumerate(targets[: len(colours)]):
        at, seen = _enveloped(places, values[:, index])
        axes.plot(at, seen, color=colours[index], linewidth=0.8, label=name)
    axes.set_ylabel(targets[0] if len(targets) == 1 else "standardised")
    if len(targets) > 1:
        axes.legend(loc="upper left", ncols=6, fontsize="small")


def _surprise(axes: Axes, one: Scored, places: np.ndarray, window: int) -> None:
    blue, red = _plotting.PALETTE["blue"], _plotting.PALETTE["vermillion"]
    at, seen = _enveloped(places, one.verdict.smoothed)
    label = "surprise" if window == 1 else f"surprise, mean of {window} steps"
    _plotting.gapped(axes, at, seen, color=blue, linewidth=0.8, label=label)
    low, high = one.thresholds
    axes.axhline(high, color=red, linewidth=1, linestyle=(0, (5, 3)), label="threshold")
    if low is not None:
        axes.axhline(low, color=red, linewidth=1, linestyle=(0, (5, 3)))
    known = one.verdict.smoothed[np.isfinite(one.verdict.smoothed)]
    lowest, highest = (known.min(), known.max()) if len(known) else (high, high)
    bottom = min(lowest, high if low is None else low)
    room = 0.08 * (max(highest, high) - bottom) or 1.0
    axes.set_ylim(bottom - room, max(highest, high) + room)
    axes.set_ylabel("nats")


def _shade(axes: Axes, one: Scored, places: np.ndarray, window: int) -> None:
    least = (places[-1] - places[0]) * _LEAST_WIDTH
    for number, (first, last, _) in enumerate(one.intervals(window)):
        begin, end = places[first], places[last]
        short = max(least - (end - begin), least * 0) / 2
        axes.axvspan(begin - short, end + short, color=_plotting.PALETTE["orange"], alpha=0.35, linewidth=0, zorder=0,
                     label="alarm" if number == 0 else None)  # fmt: skip


def _enveloped(places: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most some thousand points: of a longer line the least and the greatest value of each stretch."""
    if len(values) <= _MOST_POINTS:
        return places, values
    size = -(-2 * len(values) // _MOST_POINTS)
    count = len(values) // size
    blocks = values[: count * size].reshape(count, size)
    whole = np.where(np.isnan(blocks), np.inf, blocks)
    least, most = whole.argmin(axis=1), np.where(np.isnan(blocks), -np.inf, blocks).argmax(axis=1)
    pairs = np.sort(np.stack([least, most], axis=1), axis=1) + np.arange(count)[:, None] * size
    chosen = np.concatenate([pairs.ravel(), np.arange(count * size, len(values))])
    return places[chosen], values[chosen]
