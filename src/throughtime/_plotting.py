"""The look of every picture: one size of type, colours that everyone can tell apart, fonts that have the letters."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager, rcsetup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

PALETTE = {
    "black": "#000000",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
    "yellow": "#F0E442",
    "grey": "#777777",
}
"""Okabe & Ito's colours for the colour-blind (2008), and a grey."""

_CYCLE = ("blue", "vermillion", "green", "orange")
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "NanumGothic",
    "Nanum Gothic",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "UnDotum",
    "Baekmuk Gulim",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "WenQuanYi Zen Hei",
    "Unifont",
)


@contextmanager
def style() -> Iterator[None]:
    """Draw and save in the house style; matplotlib's own settings stay as they are.

    Where no installed font has a letter, one warning in words a process takes the place of matplotlib's one a letter.
    """
    settings: Any = {
        "font.family": list(_fonts()),
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#999999",
        "axes.linewidth": 0.8,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.unicode_minus": False,
        "axes.xmargin": 0.01,
        "grid.color": "#e4e4e4",
        "grid.linewidth": 0.6,
        "axes.prop_cycle": rcsetup.cycler(color=[PALETTE[name] for name in _CYCLE]),
        "xtick.color": "#444444",
        "ytick.color": "#444444",
        "xtick.major.size": 3,
        "ytick.major.size": 0,
        "lines.linewidth": 1.1,
        "legend.frameon": False,
        "figure.dpi": 110,
        "savefig.dpi": 140,
    }
    with mpl.rc_context(settings):
        yield


class _Figure(Figure):
    """A figure that is saved in the style it was drawn in, wherever that happens."""

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        with style(), warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            super().savefig(*args, **kwargs)
        missing = [entry for entry in raised if "missing from font" in str(entry.message)]
        for entry in raised:
            if entry not in missing:
                warnings.warn_explicit(entry.message, entry.category, entry.filename, entry.lineno)
        if missing:
            _warn_of_fonts()


@cache
def _warn_of_fonts() -> None:
    warnings.warn(
        "no installed font has every letter of this picture's labels, and boxes stand in their place: install one that "
        "does, such as Noto Sans CJK (fonts-noto-cjk) or NanumGothic (fonts-nanum)",
        UserWarning,
        stacklevel=3,
    )


@cache
def _fonts() -> tuple[str, ...]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in _FONTS if name in installed) or ("sans-serif",)


def figure(width: float | int, height: float | int) -> Figure:
    """An empty figure of so many inches, laid out by itself, with no window and nothing global behind it.

    Example:
        >>> axes = figure(6, 2).add_subplot()
        >>> axes.get_figure().get_size_inches().tolist()
        [6.0, 2.0]
    """
    made = _Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def gapped(axes: Axes, times: np.ndarray, values: np.ndarray, **how: Any) -> None:
    """A line that breaks where values are missing; a value between two missing ones is a dot."""
    axes.plot(times, values, **how)
    present = np.isfinite(values)
    beside = np.zeros_like(present)
    beside[1:] |= present[:-1]
    beside[:-1] |= present[1:]
    alone = present & ~beside
    if alone.any():
        axes.plot(times[alone], values[alone], ".", markersize=2.5, color=axes.lines[-1].get_color())


def dated(axes: Axes, most: int) -> None:
    """Mark the horizontal axis with dates, `most` of them at most."""
    locator = AutoDateLocator(minticks=3, maxticks=most)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def named(axes: Axes, points: Mapping[str, tuple[float, float]], colours: Mapping[str, str]) -> None:
    """The name of each point beside it, moved up where it would cover one below; limits and scales come before."""
    lowest_first = sorted(points, key=lambda name: axes.transData.transform(points[name])[1])
    dots = axes.figure.dpi / 72
    size = mpl.rcParams["font.size"] * dots
    placed: list[tuple[float, float, float]] = []
    for name in lowest_first:
        x, y = axes.transData.transform(points[name])
        left, right, bottom = x + 0.6 * size, x + 0.6 * size * (len(name) + 2), y - 0.3 * size
        for other_left, other_right, top in placed:
            if left < other_right and other_left < right:
                bottom = max(bottom, top)
        placed.append((left, right, bottom + 1.25 * size))
        shift = (bottom + 0.3 * size - y) / dots
        axes.annotate(name, points[name], xytext=(6, shift), textcoords="offset points", va="center",
                      color=colours[name], path_effects=[withStroke(linewidth=2, foreground="white")])  # fmt: skip
