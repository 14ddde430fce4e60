"""The picture of a recurrence's dynamics: eigenvalues in the plane, exponents, and the condition number by lag."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from ..._plotting import PALETTE, figure, style

if TYPE_CHECKING:
    from .dynamics import Dynamics, LayerDynamics

_STEPS = LinearSegmentedColormap.from_list("steps", [PALETTE["sky"], PALETTE["blue"], "#1b1f4b"])
_DOUBLE = -np.log10(np.finfo(np.float64).eps)
_SINGLE = -np.log10(np.finfo(np.float32).eps)


def draw_dynamics(found: Dynamics) -> Figure:
    """A row a recurrence."""
    with style():
        drawn = figure(10.5, 3.3 * len(found.layers))
        panels = drawn.subplots(len(found.layers), 3, squeeze=False, width_ratios=(1.15, 1, 1))
        for (left, middle, right), layer in zip(panels, found.layers, strict=True):
            _draw_eigenvalues(left, layer)
            _draw_exponents(middle, layer)
            _draw_condition(right, layer)
    return drawn


def _draw_eigenvalues(axes: Axes, layer: LayerDynamics) -> None:
    jacobians = layer.jacobians
    shades = Normalize(min(jacobians.steps), max(max(jacobians.steps), min(jacobians.steps) + 1))
    axes.add_patch(Circle((0, 0), 1, facecolor="#f4f4f4", edgecolor=PALETTE["black"], linewidth=0.9, zorder=0))
    size = float(np.clip(300 / layer.size, 2.5, 24))
    for step, values in zip(jacobians.steps, jacobians.eigenvalues, strict=True):
        axes.scatter(values.real, values.imag, s=size, color=_STEPS(shades(step)), alpha=0.75, linewidths=0, zorder=2)
    reach = 1.08 * max(1.0, float(np.abs(jacobians.eigenvalues).max()))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="real", ylabel="imaginary")
    axes.set_aspect("equal")
    axes.set_title(f"{layer.name}: eigenvalues of $∂z_t/∂z_{{t−1}}$", loc="left")
    bar = axes.get_figure().colorbar(  # pyright: ignore[reportOptionalMemberAccess]
        ScalarMappable(shades, _STEPS), ax=axes, fraction=0.045, pad=0.03, label="step t"
    )
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]


def _draw_exponents(axes: Axes, layer: LayerDynamics) -> None:
    values, errors = layer.spectrum.values, np.nan_to_num(layer.spectrum.errors)
    shown = np.isfinite(values)
    ranks = np.arange(1, len(values) + 1)
    axes.axhline(0, color=PALETTE["black"], linewidth=0.8)
    many = len(values) > 24
    band = 2 * errors[shown]
    if many:
        axes.fill_between(ranks[shown], values[shown] - band, values[shown] + band, color=PALETTE["sky"], alpha=0.4,
                          linewidth=0, label="± 2 standard errors")  # fmt: skip
        axes.plot(ranks[shown], values[shown], color=PALETTE["blue"], marker=".", markersize=3.5, linewidth=0.7)
    else:
        axes.errorbar(ranks[shown], values[shown], band, fmt="o", markersize=4, color=PALETTE["blue"],
                      ecolor=PALETTE["sky"], elinewidth=2, label="± 2 standard errors")  # fmt: skip
    if layer.check is not None:
        slope = layer.check
        axes.axhline(slope.slope, color=PALETTE["vermillion"], linewidth=0.9, linestyle="--", label="slope of φ")
    axes.set_xlim(0.4, len(values) + 0.6)
    axes.margins(y=0.12)
    if len(values) <= 12:
        axes.set_xticks(ranks)
    axes.set_xlabel("rank" if len(values) == layer.size else f"rank, of {layer.size}")
    axes.set_ylabel("exponent, nats a step")
    axes.set_title(f"{layer.word}: $λ_{{max}}$ = {layer.exponent:.3g}", loc="left")
    axes.legend(loc="best", fontsize=8)


def _draw_condition(axes: Axes, layer: LayerDynamics) -> None:
    condition = layer.condition
    shown = np.isfinite(condition.high)
    lags = condition.lags[shown]
    if shown.any():
        axes.fill_between(lags, condition.low[shown], condition.high[shown], color=PALETTE["sky"], alpha=0.4,
                          linewidth=0)  # fmt: skip
        axes.plot(lags, condition.log10[shown], color=PALETTE["blue"])
        top = float(condition.high[shown].max())
        if top > _DOUBLE:
            axes.set_xscale("log")
        axes.set_ylim(0, max(1.0, 1.1 * top))
    else:
        axes.text(0.5, 0.5, "singular", transform=axes.transAxes, ha="center", color=PALETTE["grey"])
    for digits, name in ((_SINGLE, "beyond float32"), (_DOUBLE, "beyond float64")):
        if digits < axes.get_ylim()[1]:
            axes.axhline(digits, color=PALETTE["vermillion"], linewidth=0.8, linestyle=":")
            axes.annotate(name, (1, digits), xytext=(-2, 2), xycoords=("axes fraction", "data"), ha="right",
                          textcoords="offset points", fontsize=8, color=PALETTE["vermillion"])  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.set_xlabel("lag: Jacobians multiplied")
    axes.set_ylabel("$\\log_{10}$ κ of the product")
    axes.set_title("condition number", loc="left")
