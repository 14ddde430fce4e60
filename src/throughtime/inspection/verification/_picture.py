"""The pictures of what was verified: how far apart two ways of computing are, beside how far they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._plotting import PALETTE, figure, style

if TYPE_CHECKING:
    from .gradcheck import GradientCheck
    from .parity import Parity

_COLOURS = {"reference": "green", "torch": "orange", "native": "blue"}


def draw_gradients(check: GradientCheck) -> Figure:
    """A row a block: the distance, and what would have shown."""
    with style():
        drawn = figure(7.5, 0.24 * len(check.blocks) + 1.1)
        axes = drawn.add_subplot()
        rows = np.arange(len(check.blocks))
        relative = _floored([block.relative for block in check.blocks])
        resolution = _floored([block.resolution for block in check.blocks])
        low = min(relative.min(), 1e-12) / 3
        axes.barh(rows, resolution - low, 0.7, left=low, color="#ececec", label="too small to tell")
        looks = (
            ("agrees", "blue", "full"),
            ("wrong, the likely cause", "vermillion", "full"),
            ("wrong", "vermillion", "none"),
        )
        states = [0 if block.agrees else 1 if block.cause else 2 for block in check.blocks]
        for state, (label, colour, fill) in enumerate(looks):
            own = [row for row, found in enumerate(states) if found == state]
            if own:
                axes.plot(
                    relative[own], rows[own], "o", markersize=4.5, fillstyle=fill, color=PALETTE[colour], label=label
                )
        _rows(axes, [block.name for block in check.blocks])
        axes.set_xlim(low, max(10 * relative.max(), 10 * resolution.max()))
        axes.set_xlabel("largest |analytic − numeric|, relative to the block's largest derivative")
        axes.set_title("the gradient agrees" if check.agrees else "wrong: " + check.worst.name, loc="left")
    return drawn


def draw_parity(parity: Parity) -> Figure:
    """A row a quantity: the error of each backend and of torch's float32, and the bound."""
    quantities = list(dict.fromkeys(row.quantity for row in parity.rows))
    with style():
        drawn = figure(7.5, 0.24 * len(quantities) + 1.1)
        axes = drawn.add_subplot()
        places = {quantity: place for place, quantity in enumerate(quantities)}
        errors = [value for row in parity.rows for value in (row.error, row.torchs_error) if value > 0]
        low = min(errors, default=1e-9) / 3
        first = [next(row for row in parity.rows if row.quantity == quantity) for quantity in quantities]
        bounds = _floored([row.bound for row in first])
        axes.barh(np.arange(len(first)), bounds - low, 0.7, left=low, color="#ececec", label="within the bound")
        backends = list(dict.fromkeys(row.backend for row in parity.rows))
        for index, backend in enumerate(backends):
            own = [row for row in parity.rows if row.backend == backend]
            heights = np.array([places[row.quantity] for row in own]) + 0.18 * (index - (len(backends) - 1) / 2)
            colour = PALETTE[_COLOURS.get(backend, "purple")]
            axes.plot(np.maximum([row.error for row in own], low), heights, "o", markersize=4, color=colour,
                      label=backend)  # fmt: skip
        theirs = np.maximum([row.torchs_error for row in first], low)
        axes.plot(theirs, np.arange(len(first)), "|", markersize=9, color=PALETTE["black"], label="torch.nn, float32")
        _rows(axes, quantities)
        axes.set_xlim(low * 0.9, 2 * max(bounds.max(), *errors))
        axes.set_xlabel("largest error beside float64")
        axes.set_title(parity.layer, loc="left")
    return drawn


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.grid(False, axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)


def _floored(values: list[float]) -> np.ndarray:
    return np.clip(np.nan_to_num(np.array(values), nan=1.0, posinf=1e3), 1e-15, 1e3)
