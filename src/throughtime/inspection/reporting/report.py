"""All that is to be said first about a model and a batch: verdict, profile, five numbers, a remedy, and the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from ..._types import Batch, Loss
from .._unrolling import unroll
from ..flow.gradient_flow import GradientFlow, chosen_anchors, followed
from ..flow.weight_gradient import weight_gradient_of
from ._trace import Watcher, traced
from .remedies import Remedy, remedies

_BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Figure:
    """A number, as it is shown."""

    name: str
    value: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Report:
    """What `report` found.

    Args:
        title: what was looked at.
        flow: the gradient flow.
        remedies: what might help, the most promising first.
        document: what the page draws; see `throughtime.web.render`.
    """

    title: str
    flow: GradientFlow
    remedies: tuple[Remedy, ...]
    document: dict[str, Any]

    @property
    def sentence(self) -> str:
        """The verdict."""
        return self.flow.verdict.sentence

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Five numbers of the layer that the verdict is about."""
        return _figures(self.flow)

    def sparkline(self, width: int = 60) -> str:
        """φ by lag as a line of blocks: a full one is the most of the gradient, an empty place none."""
        return sparkline(self.flow.lag_profile.mean[: self.flow.lag_profile.longest + 1], width)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words, without the document."""
        return {
            "title": self.title,
            "figures": [vars(figure) for figure in self.figures],
            "remedies": [remedy.to_dict() for remedy in self.remedies],
            **self.flow.to_dict(),
        }


def report(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    task_lag: int | None = None,
    *,
    title: str = "",
    anchors: int = 32,
    symbols: Callable[[int], str] | None = None,
    truncation: int | None = None,
    norms: Sequence[float] = (),
    progress: Callable[[float], None] = lambda share: None,
) -> Report:
    """Look at how gradients flow in a model on a batch, what might help, and keep what the page shows of it.

    Args:
        task_lag: how far back the task has to look; by default the longest lag that can be judged.
        title: what the page is headed with; the model's class by default.
        anchors: how many losses are followed for the verdict.
        symbols: how an integer of the inputs is written.
        truncation: the number of steps after which training cuts the gradient, if it does.
        norms: the norms of the gradient that training has logged, before any clipping.
        progress: is told the share that is done.

    Raises:
        DataError, ConfigurationError, UnsupportedError: as `gradient_flow`.

    Example:
        >>> import torch
        >>> from throughtime.models.losses import mean_squared_error
        >>> found = report(nn.RNN(1, 8), Batch(torch.randn(60, 2, 1), torch.zeros(60, 2, 8)), mean_squared_error)
        >>> found.flow.verdict.word, found.figures[0].name, len(found.sparkline())
        ('vanishing', 'left', 60)
    """
    unrolled = unroll(model, batch, loss)
    chosen = chosen_anchors(unrolled, anchors)
    watcher = Watcher(unrolled)
    flow = followed(unrolled, chosen, task_lag, lambda share: progress(0.6 * share), watcher)
    watcher.follow_the_rest(chosen)
    progress(0.7)
    gradient = weight_gradient_of(unrolled) if unrolled.recurrent else None
    progress(0.75)
    document = traced(watcher, flow, gradient, symbols)
    del unrolled, watcher
    found = remedies(model, batch, loss, flow, truncation=truncation, norms=norms)
    progress(1.0)
    title = title or type(model).__name__
    head = {
        "version": 1,
        "title": title,
        "subtitle": _subtitle(flow, document, batch),
        "verdict": {name: getattr(flow.verdict, name) for name in ("word", "sentence", "lag", "layer")},
        "figures": [vars(figure) for figure in _figures(flow)],
        "remedies": [
            {**remedy.to_dict(), "command": f"throughtime train FILE {remedy.option}" if remedy.option else ""}
            for remedy in found
        ],
        "notes": _notes(flow, document, batch),
        "truncation": truncation,
    }
    return Report(title, flow, found, head | document)


def sparkline(values: np.ndarray, width: int = 60) -> str:
    """A line of blocks; a blank where nothing is finite.

    Example:
        >>> sparkline(np.arange(8.0))
        '▁▂▃▄▅▆▇█'
    """
    pieces = np.array_split(np.asarray(values, float), min(width, len(values)))
    means = np.array([piece[np.isfinite(piece)].mean() if np.isfinite(piece).any() else np.nan for piece in pieces])
    if not np.isfinite(means).any():
        return " " * len(means)
    low, high = np.nanmin(means), np.nanmax(means)
    span = high - low if high > low else 1.0
    return "".join(" " if np.isnan(one) else _BLOCKS[round((one - low) / span * 7)] for one in means)


def _figures(flow: GradientFlow) -> tuple[Figure, ...]:
    verdict, profile, slope = flow.verdict, flow.lag_profile, flow.slope
    left = "–" if verdict.ratio is None else f"{verdict.ratio:.2g}"
    half = profile.half_life
    doubles = half is not None and half < 0
    return (
        Figure("left", left, f"at lag {verdict.lag}", "of the gradient of a loss, so many steps back"),
        Figure(
            "doubling time" if doubles else "half-life",
            "–" if half is None else f"{abs(half):.3g}",
            "" if half is None else "steps",
            "no line fits" if half is None else f"in which the gradient {'doubles' if doubles else 'halves'}",
        ),
        Figure(
            "slope",
            "–" if slope is None else f"{slope.value:.3g}",
            "" if slope is None else "nats a step",
            "no line fits" if slope is None else f"95 % interval {slope.low:.3g} to {slope.high:.3g}",
        ),
        Figure("1 % reaches", str(profile.horizon), "steps", "the largest lag with a hundredth of it"),
        Figure("95 % within", str(profile.reach), "steps", "that hold nearly all of the summed norms"),
    )


def _subtitle(flow: GradientFlow, document: dict[str, Any], batch: Batch) -> str:
    layers = ", ".join(f"{layer['name']} ({layer['hidden']})" for layer in document["layers"][:4])
    more = len(document["layers"]) - 4
    sequences = batch.inputs.shape[1]
    beyond = f" and {more} more" if more > 0 else ""
    kind = "" if flow.recurrent else "no recurrence: what reaches its inputs; "
    return (
        f"{kind}{layers}{beyond}; {document['steps']} steps, {len(document['samples'])} of {sequences} sequences shown"
    )


def _notes(flow: GradientFlow, document: dict[str, Any], batch: Batch) -> list[str]:
    layer = document["layers"][0]
    notes = []
    if len(layer["anchors"]) < document["steps"]:
        notes.append(f"{len(layer['anchors'])} of {document['steps']} losses were followed")
    if len(layer["units"]) < layer["hidden"]:
        notes.append(f"{len(layer['units'])} of {layer['hidden']} units are shown")
    if not flow.recurrent:
        notes.append(
            "no recurrence can be seen in the model (a cell of your own is seen in Recurrent): its inputs stand instead"
        )
    return notes
