"""The picture of a gradient flow: what is left by lag, and what training sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._plotting import PALETTE, figure, style
from ._verdict import EXPLODING, VANISHING, Verdict

if TYPE_CHECKING:
    from .gradient_flow import GradientFlow, LayerFlow

_NATS_PER_DECADE = np.log(10)


def draw_flow(flow: GradientFlow) -> Figure:
    """Of each layer, the profile with its band and line, and beside it the itemised and the accumulated gradient."""
    with style():
        drawn = figure(9.5, 2.7 * len(flow.layers) + 0.3)
        panels = drawn.subplots(len(flow.layers), 2, squeeze=False, width_ratios=(3, 2))
        for (left, right), layer, verdict in zip(panels, flow.layers, flow.verdicts, strict=True):
            _draw_profile(left, layer, verdict)
            _draw_by_step(right, flow, layer)
        panels[-1, 0].set_xlabel("lag: steps back from the loss")
        panels[-1, 1].set_xlabel("step t")
    return drawn


def _draw_profile(axes: Axes, layer: LayerFlow, verdict: Verdict) -> None:
    profile = layer.profile
    lags = np.arange(profile.longest + 1)
    start = profile.mean[profile.first]
    low, mean, high = (
        (part[: len(lags)] - start) / _NATS_PER_DECADE for part in (profile.low, profile.mean, profile.high)
    )
    mean = np.where(np.isfinite(mean), mean, np.nan)
    axes.fill_between(lags, low, high, color=PALETTE["sky"], alpha=0.35, linewidth=0, label="10–90 %")
    axes.plot(lags, mean, color=PALETTE["blue"], label="mean of the logarithm")
    if profile.fit is not None:
        fitted = np.arange(profile.fit.lags)
        at = mean[: profile.fit.lags]
        line = np.nanmean(at) + profile.fit.value / _NATS_PER_DECADE * (fitted - fitted.mean())
        axes.plot(fitted, line, "--", color=PALETTE["black"], linewidth=0.8, label="line")
    for threshold, name in ((VANISHING, "vanishing"), (EXPLODING, "exploding")):
        decades = np.log10(threshold)
        bottom, top = axes.get_ylim()
        if bottom <= decades <= top:
            axes.axhline(decades, color=PALETTE["vermillion"], linewidth=0.8, linestyle=":")
            axes.annotate(name, (1, decades), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
    axes.axvline(verdict.lag, color=PALETTE["grey"], linewidth=0.8)
    axes.set_ylabel("decades beside lag 0" if profile.first == 0 else f"decades beside lag {profile.first}")
    axes.set_title(f"{layer.name}: {verdict.word}", loc="left")
    axes.legend(loc="best", fontsize=8)


def _draw_by_step(axes: Axes, flow: GradientFlow, layer: LayerFlow) -> None:
    """The last loss by itself, and all losses together."""
    steps = np.arange(layer.norms.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        itemised, accumulated = (_mean_log10(part) for part in (layer.norms[-1], layer.accumulated))
    axes.plot(steps, itemised, color=PALETTE["blue"], label=f"of the loss of step {flow.anchors[-1]}")
    axes.plot(steps, accumulated, color=PALETTE["orange"], label="of all losses together")
    axes.set_ylabel("log₁₀ of the gradient at $z_t$")
    axes.legend(loc="best", fontsize=8)


def _mean_log10(norms: np.ndarray) -> np.ndarray:
    """Over the sequences, by step; NaN where there is none."""
    logs = np.log10(norms)
    usable = np.isfinite(logs)
    count = usable.sum(1)
    return np.where(count > 0, np.where(usable, logs, 0).sum(1) / np.maximum(count, 1), np.nan)
