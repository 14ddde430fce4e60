"""What a recurrence does to small changes of its state: Jacobians, Lyapunov exponents, condition numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor, nn
from torch.distributions import Distribution

from ..._errors import ConfigurationError, UnsupportedError
from ..._types import Batch, Loss
from ...models.sequence import negative_log_likelihood
from .._numbers import plain
from .._trajectory import Trajectory
from .._unrolling import in_float64, unroll
from ..flow.gradient_flow import GradientFlow
from ._jacobian_spectra import JacobianSpectra, RecurrentBlock, bound_of, jacobian_spectra, recurrent_blocks
from ._lyapunov import WHOLE, Condition, Spectrum, spectrum_and_condition
from ._picture import draw_dynamics
from ._slope_check import SlopeCheck, check_slope
from ._tangents import Tangents, check_long_enough, spans, stretch_of

_SHORTEST = 8
_LEADING = 12


@dataclass(frozen=True)
class LayerDynamics:
    """What was found of one recurrence.

    Args:
        name: of the recurrence in the model.
        kind: "lstm", or the name of a cell's class.
        size: n, the numbers of its state z: of an LSTM h and C joined.
        sequences: those of the batch that were followed.
        warm_up: how many steps only turned the directions.
        steps: how many were then averaged over, in each sequence.
        jacobians: at some of these steps.
        weights: of each block of W_hh; empty of a cell that has none.
        bound: what they say and what they do not.
        spectrum: the Lyapunov exponents.
        condition: of the product of Jacobians, by lag.
        check: the slope of `gradient_flow` beside λ_max; `None` where none was given, or no line fits it.
        above: the recurrences after it in the model, which it may feed, and their λ_max.
    """

    name: str
    kind: str
    size: int
    sequences: tuple[int, ...]
    warm_up: int
    steps: int
    jacobians: JacobianSpectra
    weights: tuple[RecurrentBlock, ...]
    bound: str
    spectrum: Spectrum
    condition: Condition
    check: SlopeCheck | None = None
    above: tuple[tuple[str, float], ...] = ()

    @property
    def exponent(self) -> float:
        """λ_max, nats a step."""
        return float(self.spectrum.values[0])

    @property
    def error(self) -> float:
        """The standard error of λ_max."""
        return float(self.spectrum.errors[0])

    @property
    def word(self) -> str:
        """ "contracting", "expanding", or "marginal" where λ_max is within two standard errors of 0."""
        if abs(self.exponent) <= max(2 * (self.error if math.isfinite(self.error) else 0.0), 1e-9):
            return "marginal"
        return "expanding" if self.exponent > 0 else "contracting"

    @property
    def sentence(self) -> str:
        """λ_max and what it means."""
        error = f" ± {self.error:.2g}" if math.isfinite(self.error) else ""
        exponent = f"λ_max of {self.name} is {self.exponent:.3g}{error} nats a step"
        if self.word == "marginal":
            return f"marginal: {exponent}, not to be told from 0: gradients neither fade nor grow for long"
        if math.isinf(self.exponent):
            return f"{self.word}: of small changes of {self.name}, and of gradients on their way back, nothing is left"
        time = math.log(2) / abs(self.exponent)
        what = "halve" if self.exponent < 0 else "double"
        return f"{self.word}: {exponent}: small changes, and gradients on their way back, {what} in {time:.3g} steps"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words; what is not finite becomes `None`."""
        jacobians, condition = self.jacobians, self.condition
        told = ("name", "kind", "size", "warm_up", "steps", "bound", "word", "sentence")
        return {
            **{name: getattr(self, name) for name in told},
            "sequences": list(self.sequences),
            "jacobians": {
                "sequence": jacobians.sequence,
                "steps": list(jacobians.steps),
                "eigenvalues": [[[float(z.real), float(z.imag)] for z in row] for row in jacobians.eigenvalues],
                **{name: plain(getattr(jacobians, name)) for name in ("radius", "largest", "smallest")},
            },
            "weights": [vars(block) for block in self.weights],
            "exponents": plain(self.spectrum.values),
            "errors": plain(self.spectrum.errors),
            "condition": {name: plain(getattr(condition, name)) for name in ("log10", "low", "high")}
            | {"lags": condition.lags.tolist()},
            "check": None if self.check is None else self.check.to_dict(),
        }


@dataclass(frozen=True)
class Dynamics:
    """What `dynamics` found: a record for each recurrence of the model, in its order."""

    layers: tuple[LayerDynamics, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        return {"layers": [layer.to_dict() for layer in self.layers]}

    def table(self) -> Table:
        """A row a recurrence, and below what they mean."""
        caption = []
        for layer in self.layers:
            caption += [layer.sentence, layer.bound] + ([layer.check.sentence] if layer.check else [])
        table = Table(title="dynamics", caption="\n".join(dict.fromkeys(caption)), caption_justify="left")
        table.add_column("layer", overflow="fold")
        for heading in ("n", "λ_max", "ρ(J)", "σ_max", "log₁₀ κ", "lag", "slope", "apart"):
            table.add_column(heading, justify="right", no_wrap=True)
        for layer in self.layers:
            condition, check = layer.condition, layer.check
            table.add_row(
                layer.name,
                str(layer.size),
                f"{layer.exponent:.3g}",
                f"{layer.jacobians.radius.mean():.3g}",
                f"{layer.jacobians.largest.mean():.3g}",
                f"{condition.log10[-1]:.3g}",
                str(condition.lags[-1]),
                "–" if check is None else f"{check.slope:.3g}",
                "–" if check is None else f"{check.disagreement:.1%}{' !' if check.flagged else ''}",
            )
        return table

    def plot(self) -> Figure:
        """Of each recurrence the eigenvalues of its Jacobians, its exponents, and the condition number by lag."""
        return draw_dynamics(self)


def dynamics(
    model: nn.Module,
    batch: Batch,
    loss: Loss | None = None,
    *,
    flow: GradientFlow | None = None,
    samples: int | Iterable[int] = 4,
    spectra: int = 8,
    exponents: int | None = None,
    warm_up: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Dynamics:
    """Follow small changes of the state along the trajectory that a batch drives a model through.

    Their growth is told in nats a step by the Lyapunov exponents: the largest, λ_max, is the rate at which two nearby
    states part or meet, and, as the same Jacobians carry gradients back, the slope that the profile of `gradient_flow`
    approaches. Everything is computed on a copy in float64, in evaluation mode.

    Args:
        loss: one that the model's output goes with, for models whose output is neither a tensor nor a distribution.
        flow: what `gradient_flow` found of the same model and batch, best in float64, to be compared with λ_max.
        samples: how many sequences are followed, those with the longest stretches without a reset, or which.
        spectra: at how many steps the Jacobian itself is looked at.
        exponents: how many of the largest; by default all of a state of up to 64 numbers, else 12.
        warm_up: the steps that only let the states and the directions settle; by default a quarter.
        progress: is told the share that is done.

    Raises:
        UnsupportedError: for a model without a recurrence, or a state that grows.
        DataError: for sequences too short between resets, or values that are not finite.
        ConfigurationError: for settings out of range, or the flow of another model.

    Example:
        >>> from throughtime.nn import RNN
        >>> layer = RNN(1, 4, nonlinearity="relu")
        >>> for weight in layer.parameters():
        ...     _ = weight.data.fill_(0.1)
        >>> _ = layer.weight_hh_l0.data.copy_(0.5 * torch.eye(4))
        >>> found = dynamics(layer, Batch(torch.ones(40, 2, 1), torch.zeros(40, 2, 4)))
        >>> round(found.layers[0].exponent, 4), round(math.log(0.5), 4), found.layers[0].word
        (-0.6931, -0.6931, 'contracting')

    References:
        Benettin, Galgani, Giorgilli & Strelcyn, "Lyapunov characteristic exponents for smooth dynamical systems",
        Meccanica 15 (1980); Vogt, Puelma Touzel, Shlizerman & Lajoie, "On Lyapunov exponents for RNNs", Frontiers in
        Applied Mathematics and Statistics 8 (2022), https://arxiv.org/abs/2006.14123; Pascanu, Mikolov & Bengio, "On
        the difficulty of training recurrent neural networks", ICML 2013, https://arxiv.org/abs/1211.5063
    """
    for name, value, least in (("spectra", spectra, 1), ("exponents", exponents, 1), ("warm_up", warm_up, 0)):
        if value is not None and value < least:
            raise ConfigurationError(f"{name}={value}: expected {least} at least")
    model, batch = in_float64(model, batch)
    first = bool(getattr(model, "batch_first", False))
    runs = spans(batch, batch_first=first)
    chosen = _chosen(samples, runs)
    check_long_enough(type(model).__name__, max(stop - start for start, stop in runs) - 1, _SHORTEST)
    unrolled = unroll(model, _only(batch, chosen, first), loss or _any_loss)
    if not unrolled.recurrent:
        raise UnsupportedError(
            f"{type(model).__name__} has no recurrence: no state goes from step to step, so there are no Jacobians to "
            "multiply; gradient_flow looks at what reaches its inputs"
        )
    layers: list[LayerDynamics] = []
    count = len(unrolled.trajectories)
    for index, trajectory in enumerate(unrolled.trajectories):
        layers.append(
            _layer(trajectory, [runs[at] for at in chosen], chosen, spectra, exponents, warm_up,
                   lambda share, index=index: progress((index + share) / count))
        )  # fmt: skip
    layers = [
        replace(layer, above=tuple((later.name, later.exponent) for later in layers[at + 1 :]))
        for at, layer in enumerate(layers)
    ]
    return Dynamics(tuple(layers if flow is None else (_compared(layer, flow) for layer in layers)))


def _chosen(samples: int | Iterable[int], runs: list[tuple[int, int]]) -> list[int]:
    """The sequences that are followed: of a number of them those whose runs are within half of the longest."""
    lengths = [stop - start for start, stop in runs]
    if isinstance(samples, int):
        if samples < 1:
            raise ConfigurationError(f"samples={samples}: expected 1 at least")
        longest = sorted(range(len(runs)), key=lambda at: -lengths[at])[:samples]
        return sorted(at for at in longest if 2 * lengths[at] >= max(lengths))
    chosen = sorted(set(samples))
    if not chosen or not 0 <= chosen[0] <= chosen[-1] < len(runs):
        raise ConfigurationError(f"samples={chosen}: expected sequences of the batch, 0 to {len(runs) - 1}")
    short = min(chosen, key=lambda at: lengths[at])
    check_long_enough(f"sequence {short}", lengths[short] - 1, _SHORTEST)
    return chosen


def _only(batch: Batch, chosen: list[int], batch_first: bool) -> Batch:
    def picked(part: Tensor | None, axis: int) -> Any:
        return None if part is None else part.index_select(axis, torch.tensor(chosen, device=part.device))

    axis = 0 if batch_first else 1
    marks = {name: picked(getattr(batch, name), axis) for name in ("inputs", "targets", "resets", "weights")}
    return Batch(**marks, lengths=picked(batch.lengths, 0))


def _any_loss(output: Any, target: Tensor) -> Tensor:
    """One value a step and sequence that reads whatever the model gives."""
    if isinstance(output, Distribution):
        return negative_log_likelihood(output, target)
    if not isinstance(output, Tensor):
        raise ConfigurationError(
            f"the model gives a {type(output).__name__}, expected a tensor or a distribution: pass the loss it goes "
            "with, loss(output, target) → [time, batch]"
        )
    return output.flatten(2).sum(-1)


def _layer(
    trajectory: Trajectory,
    runs: list[tuple[int, int]],
    sequences: list[int],
    spectra: int,
    exponents: int | None,
    warm_up: int | None,
    progress: Callable[[float], None],
) -> LayerDynamics:
    tangents = Tangents(stretch_of(trajectory, runs))
    steps, size = len(tangents.stretch.x), tangents.size
    warm_up = steps // 4 if warm_up is None else warm_up
    if warm_up > steps - 2:
        raise ConfigurationError(f"warm_up={warm_up}: expected {steps - 2} at most, two less than the longest stretch")
    count = min(size, exponents or (size if size <= WHOLE else _LEADING))
    jacobians = jacobian_spectra(tangents, warm_up, spectra, sequences[0], lambda share: progress(0.3 * share))
    spectrum, condition = spectrum_and_condition(tangents, warm_up, count, lambda share: progress(0.3 + 0.6 * share))
    progress(1.0)
    place = trajectory.place
    weights = recurrent_blocks(place)
    return LayerDynamics(
        trajectory.name,
        place.kind,
        size,
        tuple(sequences),
        warm_up,
        steps - warm_up,
        jacobians,
        weights,
        bound_of(place, weights),
        spectrum,
        condition,
    )


def _compared(layer: LayerDynamics, flow: GradientFlow) -> LayerDynamics:
    named = {one.name: one.profile for one in flow.layers}
    if layer.name not in named:
        raise ConfigurationError(f"the flow has no layer {layer.name}, only {', '.join(named)}: it is another model's")
    fit = named[layer.name].fit
    if fit is None or not math.isfinite(layer.exponent):
        return layer
    return replace(layer, check=check_slope(fit, layer.spectrum, layer.above))
