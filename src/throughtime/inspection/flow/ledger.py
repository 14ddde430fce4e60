"""The way of one loss back through time, step by step: what each step does to the gradient, and on which path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import nn

from ..._errors import ConfigurationError, UnsupportedError
from ..._types import Batch, Loss
from .._numbers import plain
from .._trajectory import Trajectory
from .._unrolling import Unrolled, unroll
from ._ledger_picture import draw_ledger
from ._paths import ABOVE, ELSEWHERE, Paths
from .gradient_flow import norms_of


@dataclass(frozen=True)
class LayerLedger:
    """The way through one recurrence.

    Args:
        name: of the recurrence in the model.
        reverse: whether it runs backward, and its gradient to later steps.
        steps: s, the step of the loss, and the steps behind it, to where the sequence begins.
        norms: ‖δ_t‖ of these steps, δ_t = ∂ℓ_s/∂z_t.
        jumps: r_t = ln(‖δ_{t−1}‖/‖δ_t‖) in nats, from each of these steps to the next: one fewer. They add up to
            `decay`.
        split: of an RNN, the terms of which each jump is the sum, "squashing" and "weights", and "elsewhere" where
            another path adds to it; `None` for other recurrences.
        shares: by path, ⟨δ_path, δ_{t−1}⟩/‖δ_{t−1}‖² of the gradient that each jump brings; they sum to one. "from
            above" is what does not come from the recurrence's own next step.
        cut: the step of a reset that ends the way; `None` where the sequence begins with the batch, or, backward, ends.
    """

    name: str
    reverse: bool
    steps: tuple[int, ...]
    norms: np.ndarray
    jumps: np.ndarray
    split: Mapping[str, np.ndarray] | None
    shares: Mapping[str, np.ndarray]
    cut: int | None

    @property
    def decay(self) -> float:
        """ln(‖δ_0‖/‖δ_s‖), from the loss to the other end of the way, in nats."""
        return float(_log(self.norms[-1:])[0] - _log(self.norms[:1])[0])

    @property
    def lost(self) -> int | None:
        """The first step on the way whose gradient is zero or not finite; `None` where there is none."""
        places = np.flatnonzero((self.norms == 0) | ~np.isfinite(self.norms))
        return self.steps[places[0]] if len(places) else None

    @property
    def measured(self) -> int:
        """How many jumps there are before the gradient is lost."""
        return len(self.jumps) if self.lost is None else max(0, self.steps.index(self.lost) - 1)

    @property
    def strongest(self) -> int | None:
        """The place in `jumps` of the one that does most of what the whole way does; `None` where there is none."""
        jumps = self.jumps[: self.measured]
        if not len(jumps):
            return None
        return int(jumps.argmax() if jumps.sum() > 0 else jumps.argmin())

    @property
    def end(self) -> str:
        """Where the way ends, in words."""
        if self.cut is not None:
            return f"cut by the reset of step {self.cut}"
        return f"the sequence {'ends' if self.reverse else 'begins'} at step {self.steps[-1]}"

    @property
    def sentence(self) -> str:
        """What the way is, in words."""
        count = len(self.steps) - 1
        if self.lost is not None:
            kind = "zero, or below what its numbers can express," if self._norm(self.lost) == 0 else "not finite"
            return f"{self.name}: the gradient is {kind} from step {self.lost} on; {self.end}"
        if count == 0:
            return f"{self.name}: no step lies behind step {self.steps[0]}; {self.end}"
        left, way = _times(self.decay), f"{count} step{'s' if count > 1 else ''} {'on' if self.reverse else 'back'}"
        return f"{self.name}: {way} the gradient is {left} ({self.decay:+.4g} nats); {self.end}"

    def _norm(self, step: int) -> float:
        return float(self.norms[self.steps.index(step)])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words; `None` for what is not finite."""
        return {
            "name": self.name,
            "reverse": self.reverse,
            "steps": list(self.steps),
            "norms": plain(self.norms),
            "jumps": plain(self.jumps),
            "split": None if self.split is None else {name: plain(part) for name, part in self.split.items()},
            "shares": {name: plain(part) for name, part in self.shares.items()},
            "decay": self.decay if math.isfinite(self.decay) else None,
            "cut": self.cut,
            "lost": self.lost,
        }


@dataclass(frozen=True)
class Ledger:
    """What `ledger` found.

    Args:
        layers: the way through each recurrence of the model, in its order.
        anchor: s, the step of the loss.
        sample: whose loss it is.
    """

    layers: tuple[LayerLedger, ...]
    anchor: int
    sample: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        return {
            "anchor": self.anchor,
            "sample": self.sample,
            "layers": [layer.to_dict() for layer in self.layers],
        }

    def table(self) -> Table:
        """Of each layer the whole, as far as it is measured, and below it what it is made of; shares are means."""
        title = f"from the loss of step {self.anchor}, sequence {self.sample}"
        table = Table(title=title, caption="\n".join(layer.sentence for layer in self.layers), caption_justify="left")
        table.add_column("", overflow="fold", min_width=13)
        for heading in ("steps", "nats", "nats/step", "strongest", "share"):
            table.add_column(heading, justify="right", no_wrap=True)
        for layer in self.layers:
            count, jumps = layer.measured, layer.jumps[: layer.measured]
            table.add_row(layer.name, str(count), *_sums(jumps), _strongest(layer), "")
            for name, part in (layer.split or {}).items():
                table.add_row(f"  {name}", "", *_sums(part[:count]), "", "")
            for name, part in layer.shares.items():
                table.add_row(f"  {name}", "", "", "", "", f"{part[:count].mean():.3f}" if count else "–")
            table.add_section()
        return table

    def plot(self) -> Figure:
        """Of each layer the decay by lag, the jumps that it is the sum of, and the shares of the paths."""
        return draw_ledger(self)


def ledger(model: nn.Module, batch: Batch, loss: Loss, anchor: int | None = None, sample: int = 0) -> Ledger:
    """Follow one loss of one sequence back through time, and keep account of what each step does to its gradient.

    With δ_t = ∂ℓ_s/∂z_t, each step multiplies the norm by exp(r_t), r_t = ln(‖δ_{t−1}‖/‖δ_t‖), and the r_t add up
    to the whole decay. In an RNN each is the sum of what the squashing function does and of what the weights do; in an
    LSTM, a GRU and any cell whose gates are seen, δ_{t−1} is the sum of what comes on the path past all gates and on
    that through each gate, and each has its share of it. A share may be negative, or above one: paths can cancel.

    The model runs in evaluation mode, in its own precision; parameters and their `.grad` stay as they are. A reset cuts
    the way; nothing is said of the steps beyond it. Of a direction that runs backward the way leads to later steps.

    Args:
        anchor: s, by default the last step whose loss counts in the sequence.
        sample: which sequence of the batch.

    Raises:
        ConfigurationError: for a sequence that is not in the batch, a step whose loss does not count, a detached loss.
        DataError: for a single step, or values that are not finite.
        UnsupportedError: for a model without a recurrence, or a cell of several states whose output is none of them.

    Example:
        >>> from throughtime.nn import RNN
        >>> layer = RNN(1, 2, nonlinearity="relu", bias=False)
        >>> for weight in layer.parameters():
        ...     _ = weight.data.copy_(0.5 * torch.eye(2)[:, :weight.shape[1]])
        >>> batch = Batch(torch.ones(6, 1, 1), torch.zeros(6, 1, 2))
        >>> found = ledger(layer, batch, lambda output, target: output[..., 0])
        >>> print(found.layers[0].jumps.round(3), round(found.layers[0].decay, 3))
        [-0.693 -0.693 -0.693 -0.693 -0.693] -3.466

    References:
        Hochreiter, "Untersuchungen zu dynamischen neuronalen Netzen" (1991); Gers, Schmidhuber & Cummins, "Learning to
        forget: continual prediction with LSTM", Neural Computation 12 (2000).
    """
    return ledger_of(unroll(model, batch, loss), anchor, sample)


def ledger_of(unrolled: Unrolled, anchor: int | None = None, sample: int = 0) -> Ledger:
    """The same, of a forward that has been made."""
    if not unrolled.recurrent:
        raise UnsupportedError(
            "the model has no recurrence, and so no way back through its states: gradient_flow(model, batch, loss) "
            "says what of each loss arrives at its inputs"
        )
    anchor = _checked(unrolled, anchor, sample)
    layers = tuple(_followed(unrolled, trajectory, anchor, sample) for trajectory in unrolled.trajectories)
    return Ledger(layers, anchor, sample)


def _checked(unrolled: Unrolled, anchor: int | None, sample: int) -> int:
    sequences = unrolled.losses.shape[1]
    if not 0 <= sample < sequences:
        raise ConfigurationError(f"sample={sample}: expected a sequence of the batch, 0 to {sequences - 1}")
    counting = (unrolled.weights[:, sample] != 0).nonzero()[:, 0].tolist()
    if not counting:
        raise ConfigurationError(f"sample={sample}: no loss of this sequence counts, choose another")
    if anchor is None:
        return counting[-1]
    if anchor not in counting:
        raise ConfigurationError(
            f"anchor={anchor}: expected a step whose loss counts in sequence {sample}; the first is {counting[0]}, "
            f"the last {counting[-1]}"
        )
    return anchor


def _followed(unrolled: Unrolled, trajectory: Trajectory, anchor: int, sample: int) -> LayerLedger:
    if trajectory.reads_past_cut:
        raise UnsupportedError(
            f"the output of {trajectory.name} is made from its states and is none of them, so what a loss owes to its "
            "own step cannot be told: let the step give a state as its output, and compute the rest from it afterwards"
        )
    steps, cut = _way(unrolled, trajectory.place.reverse, anchor, sample)
    found = next(unrolled.gradients([anchor], trajectory))
    deltas = [[part[[sample]] for part in parts] for parts in found]
    norms = np.array([norms_of(deltas[step])[0] for step in steps])
    with np.errstate(invalid="ignore"):
        jumps = np.diff(_log(norms))
    paths, reached, number = Paths(trajectory.only([sample])), list(steps[1:]), torch.finfo(deltas[0][0].dtype)
    sure = norms[1:] > number.tiny / number.eps
    shares = _told(paths.shares(deltas), reached, sure, number.eps)
    split = paths.split(deltas)
    split = None if split is None else _told(split, reached, sure, number.eps)
    return LayerLedger(trajectory.name, trajectory.place.reverse, steps, norms, jumps, split, shares, cut)


def _way(unrolled: Unrolled, reverse: bool, anchor: int, sample: int) -> tuple[tuple[int, ...], int | None]:
    """The steps from the loss to where the sequence begins, or, backward, ends; and the reset that ends the way."""
    begun = unrolled.begun[:, sample].tolist()
    if not reverse:
        first = begun[anchor]
        resets = unrolled.batch.resets
        cut = first if resets is not None and bool(resets[first, sample]) and first > 0 else None
        return tuple(range(anchor, first - 1, -1)), cut
    lengths = unrolled.batch.lengths
    length = unrolled.steps if lengths is None else int(lengths[sample])
    after = next((step for step in range(anchor, length) if begun[step] != begun[anchor]), length)
    return tuple(range(anchor, after)), after if after < length else None


def _told(parts: dict[str, np.ndarray], steps: list[int], sure: np.ndarray, eps: float) -> dict[str, np.ndarray]:
    """At these steps, without what comes from elsewhere where it is but rounding, wherever numbers are large enough."""
    reached = {name: part[steps, 0] for name, part in parts.items()}
    rest = {ABOVE, ELSEWHERE} & reached.keys()
    return {name: part for name, part in reached.items() if name not in rest or (np.abs(part[sure]) > 1e4 * eps).any()}


def _log(norms: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(norms)


def _times(nats: float) -> str:
    return f"× {math.exp(nats):.2g}" if abs(nats) < 700 else f"× 10^{nats / math.log(10):.0f}"


def _sums(parts: np.ndarray) -> tuple[str, str]:
    return (f"{parts.sum():.4g}", f"{parts.mean():.3g}") if len(parts) else ("–", "–")


def _strongest(layer: LayerLedger) -> str:
    at = layer.strongest
    return "–" if at is None else f"{layer.steps[at]}→{layer.steps[at + 1]} ({layer.jumps[at]:+.2g})"
