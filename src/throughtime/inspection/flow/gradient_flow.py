"""What of each loss reaches each earlier state: where a gradient vanishes, and where it explodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor, nn

from ..._errors import ConfigurationError, UnsupportedError
from ..._types import Batch, Loss
from .._numbers import plain
from .._trajectory import Trajectory
from .._unrolling import Unrolled, unroll
from ._flow_picture import draw_flow
from ._profile import LagProfile, Slope, by_lag, lag_profile
from ._verdict import Verdict, judge, overall, usual_lag


@dataclass(frozen=True)
class LayerFlow:
    """The gradients of one recurrence.

    Args:
        name: of the recurrence in the model.
        parts: what its state is made of, as ("h", "C").
        reverse: whether it runs backward, and its gradient forward.
        norms: itemised: ‖∂ℓ_s/∂z_t‖₂ [anchor, time, batch] of each sequence by itself; NaN where nothing can flow:
            after the loss, before the beginning of the sequence or a reset, in padding; 0 where it is below what the
            model's numbers express with any precision (of float32 3·10⁻³⁵, of float64 10⁻³⁰⁰).
        accumulated: ‖∂L/∂z_t‖₂ [time, batch], L being the sum of all losses; NaN in padding, and for a cell of several
            states whose output is none of them, so that the loss of a step reads past the cut.
        profile: φ, the mean logarithm by lag, and what follows from it.
    """

    name: str
    parts: tuple[str, ...]
    reverse: bool
    norms: np.ndarray
    accumulated: np.ndarray
    profile: LagProfile


@dataclass(frozen=True)
class GradientFlow:
    """What `gradient_flow` found.

    Args:
        layers: a flow for each recurrence of the model, in its order.
        anchors: the steps s whose losses were followed.
        task_lag: the lag of the task, if one was given.
        recurrent: whether the model has a recurrence; without one the flow is that to its inputs.
        verdict: for the whole model: exploding if any layer is, healthy if any is, else as the layer that keeps most.
        verdicts: for each layer.
    """

    layers: tuple[LayerFlow, ...]
    anchors: tuple[int, ...]
    task_lag: int | None
    recurrent: bool
    verdict: Verdict
    verdicts: tuple[Verdict, ...]

    @property
    def layer(self) -> LayerFlow:
        """The layer that the verdict is about."""
        return next(layer for layer in self.layers if layer.name == self.verdict.layer)

    @property
    def lag_profile(self) -> LagProfile:
        """φ of that layer."""
        return self.layer.profile

    @property
    def slope(self) -> Slope | None:
        """The line through φ, nats a step; `None` where a line is no description."""
        return self.lag_profile.fit

    @property
    def half_life(self) -> float | None:
        """Steps in which the gradient halves; negative, those in which it doubles."""
        return self.lag_profile.half_life

    @property
    def horizon(self) -> int:
        """The largest lag at which 1 % of the gradient is left."""
        return self.lag_profile.horizon

    @property
    def reach(self) -> int:
        """The smallest K such that the lags up to K hold 95 % of the summed norms."""
        return self.lag_profile.reach

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words, without the norms of each sequence."""
        return {
            "verdict": {name: plain(value) for name, value in vars(self.verdict).items()},
            "anchors": list(self.anchors),
            "task_lag": self.task_lag,
            "recurrent": self.recurrent,
            "layers": [
                {"name": layer.name, "parts": list(layer.parts), "verdict": verdict.word, **layer.profile.to_dict()}
                for layer, verdict in zip(self.layers, self.verdicts, strict=True)
            ],
        }

    def table(self) -> Table:
        """A row a layer."""
        followed = f"{len(self.anchors)} losses followed, of steps {self.anchors[0]} to {self.anchors[-1]}"
        table = Table(title="gradient flow", caption=f"{self.verdict.sentence}; {followed}")
        table.add_column("layer", overflow="fold")
        for heading in ("lag", "left", "nats/step", "R²", "½-life", "1 % to", "95 % to", "verdict"):
            table.add_column(heading, justify="right", no_wrap=True)
        for layer, verdict in zip(self.layers, self.verdicts, strict=True):
            profile, fit = layer.profile, layer.profile.fit
            table.add_row(
                layer.name,
                str(verdict.lag),
                "–" if verdict.ratio is None else f"{verdict.ratio:.2g}",
                "no line" if fit is None else f"{fit.value:.3g}",
                "–" if fit is None else f"{fit.r_squared:.2f}",
                "–" if profile.half_life is None else f"{profile.half_life:.3g}",
                str(profile.horizon),
                str(profile.reach),
                verdict.word,
            )
        return table

    def plot(self) -> Figure:
        """Of each layer, the profile with its band and line, and beside it the accumulated gradient."""
        return draw_flow(self)


def gradient_flow(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    task_lag: int | None = None,
    anchors: int | Iterable[int] = 32,
    *,
    progress: Callable[[float], None] = lambda share: None,
) -> GradientFlow:
    """Follow losses back through time: how much of the gradient of each arrives at each earlier state.

    Itemised: the gradient ∂ℓ_s/∂z_t of one loss, its norm taken for each sequence by itself and only then averaged, as
    a logarithm, so that sequences do not cancel. The gradient ∂L/∂z_t of all losses together, which training sees,
    stays flat where there is a loss at every step, however little of each loss arrives; both are in the record.

    The model runs in evaluation mode, in its own precision; parameters and their `.grad` stay as they are. z_t is the
    state right after step t: h, or h and C together; ℓ_t reads it. A model without a recurrence is asked how much
    arrives at its inputs.

    Args:
        task_lag: how far back the task has to look; the verdict is given there, by default at the longest lag that half
            of the anchors reach.
        anchors: how many losses are followed, evenly spread over the latter half of the steps that count, or which.
        progress: is told the share that is done.

    Raises:
        DataError: for a single step, or values that are not finite.
        ConfigurationError: for a detached loss, one that reads no state, or an anchor that is no step.
        UnsupportedError: for a recurrence that is not run once over the batch, or whose steps are not the losses'.

    Example:
        >>> from throughtime.nn import RNN
        >>> from throughtime.models.losses import mean_squared_error
        >>> layer = RNN(1, 4)
        >>> _ = layer.weight_hh_l0.data.copy_(0.5 * torch.eye(4))
        >>> flow = gradient_flow(layer, Batch(torch.zeros(40, 2, 1), torch.ones(40, 2, 4)), mean_squared_error)
        >>> flow.verdict.word, flow.half_life is not None and flow.half_life <= 1
        ('vanishing', True)

    References:
        Hochreiter, "Untersuchungen zu dynamischen neuronalen Netzen" (1991); Bengio, Simard & Frasconi, "Learning
        long-term dependencies with gradient descent is difficult", IEEE Transactions on Neural Networks 5 (1994);
        Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
        https://arxiv.org/abs/1211.5063
    """
    if task_lag is not None and (not isinstance(task_lag, Integral) or task_lag < 1):
        raise ConfigurationError(f"task_lag={task_lag}: expected a number of steps, at least 1")
    unrolled = unroll(model, batch, loss)
    return followed(unrolled, chosen_anchors(unrolled, anchors), task_lag, progress)


def followed(
    unrolled: Unrolled,
    chosen: Sequence[int],
    task_lag: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
    watch: Callable[[Trajectory, int, list[list[Tensor]]], None] = lambda trajectory, anchor, found: None,
) -> GradientFlow:
    """The flow of the losses of the chosen steps; `watch` is shown the gradient of each at all steps."""
    layers, done = [], 0
    for trajectory in unrolled.trajectories:
        norms = []
        for anchor, found in zip(chosen, unrolled.gradients(chosen, trajectory), strict=True):
            watch(trajectory, anchor, found)
            norms.append(np.stack([norms_of(parts) for parts in found]))
            _check_order(unrolled, trajectory, anchor, norms[-1])
            done += 1
            progress(done / (len(chosen) * len(unrolled.trajectories)))
        masked = np.where(flowing(unrolled, chosen, trajectory.place.reverse), np.stack(norms), np.nan)
        accumulated = np.stack([norms_of(parts) for parts in unrolled.accumulated(trajectory)])
        accumulated[~np.broadcast_to(_real(unrolled), accumulated.shape)] = np.nan
        if trajectory.reads_past_cut:
            accumulated[:] = np.nan
            masked[np.arange(len(chosen)), list(chosen)] = np.nan
        layers.append(_layer(trajectory, masked, accumulated, chosen))
    verdicts = tuple(judge(layer, chosen, task_lag or usual_lag(layer.profile)) for layer in layers)
    return GradientFlow(tuple(layers), tuple(chosen), task_lag, unrolled.recurrent, overall(verdicts), verdicts)


def chosen_anchors(unrolled: Unrolled, anchors: int | Iterable[int]) -> list[int]:
    """The steps whose losses are followed.

    Raises:
        ConfigurationError: for steps that are none, or whose loss counts nowhere.
    """
    counting = (unrolled.weights != 0).sum(1)
    if isinstance(anchors, Integral):
        if anchors < 1:
            raise ConfigurationError(f"anchors={anchors}: expected at least 1")
        possible = [int(step) for step in (counting >= max(1, int(counting.max()) / 2)).nonzero()[:, 0] if step > 0]
        if not possible:
            raise ConfigurationError("no loss after the first step counts: all weights are zero, or all lengths 1")
        latter = [step for step in possible if 2 * step >= unrolled.steps - 1] or possible
        return [latter[at] for at in np.unique(np.linspace(0, len(latter) - 1, int(anchors)).round().astype(int))]
    assert not isinstance(anchors, int)
    chosen = sorted({int(anchor) for anchor in anchors})
    for anchor in chosen:
        if not 0 <= anchor < unrolled.steps or counting[anchor] == 0:
            raise ConfigurationError(f"anchor {anchor}: expected a step whose loss counts, 0 to {unrolled.steps - 1}")
    if not chosen:
        raise ConfigurationError("anchors are empty: expected a number, or steps")
    return chosen


def _layer(trajectory: Trajectory, norms: np.ndarray, accumulated: np.ndarray, anchors: Sequence[int]) -> LayerFlow:
    reverse = trajectory.place.reverse
    profile = lag_profile(by_lag(norms, anchors, reverse))
    return LayerFlow(trajectory.name, trajectory.part_names(), reverse, norms, accumulated, profile)


def norms_of(parts: Sequence[Tensor]) -> np.ndarray:
    """‖(h, C)‖ [batch]; zero below what the numbers express with any precision, infinite where it is not finite."""
    joined = torch.cat([part.detach().double().flatten(1) for part in parts], 1)
    largest = joined.abs().amax(1, keepdim=True)
    scale = torch.where((largest > 0) & torch.isfinite(largest), largest, torch.ones_like(largest))
    norms = (joined / scale).norm(dim=1) * scale[:, 0]
    numbers = torch.finfo(parts[0].dtype)
    norms = torch.where(norms < numbers.tiny / numbers.eps**0.5, 0.0, norms)
    return torch.where(norms.isnan(), torch.inf, norms).cpu().numpy()


def flowing(unrolled: Unrolled, anchors: Sequence[int], reverse: bool) -> np.ndarray:
    """Where a gradient can arrive at all, bool [anchor, time, batch]."""
    begun, counts = unrolled.begun.cpu().numpy(), (unrolled.weights != 0).cpu().numpy()
    steps, real = np.arange(len(begun))[:, None], _real(unrolled)
    found = []
    for anchor in anchors:
        same = begun == begun[anchor]
        side = steps >= anchor if reverse else steps <= anchor
        found.append(real & side & same & counts[anchor])
    return np.stack(found)


def _real(unrolled: Unrolled) -> np.ndarray:
    """What is no padding, bool [time, batch]."""
    lengths = unrolled.batch.lengths
    steps = np.arange(unrolled.steps)[:, None]
    return steps < (unrolled.steps if lengths is None else lengths.cpu().numpy())


def _check_order(unrolled: Unrolled, trajectory: Trajectory, anchor: int, norms: np.ndarray) -> None:
    """Refuse losses that read later steps, where nothing in the model runs backward."""
    later = norms[anchor + 1 :]
    if any(one.place.reverse for one in unrolled.trajectories) or not trajectory.recurrent or not later.any():
        return
    step = anchor + 1 + int(np.flatnonzero(later.any(1))[0])
    raise UnsupportedError(
        f"the loss of step {anchor} depends on step {step} of {trajectory.name}: its steps are not the losses', "
        "as of an encoder that is read whole before anything is predicted"
    )
