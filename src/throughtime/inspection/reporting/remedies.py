"""What might help, each with the evidence for it: tried on a copy of the model, on the same batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..._errors import UnsupportedError
from ..._types import Batch, Loss
from ...nn import LSTM, RNN
from ...nn._initialise import initialise_memories
from ...nn.options import KEEPING
from ...nn.visiting import Place, visited
from ...ops import GATES
from .._trajectory import Trajectory
from .._unrolling import unroll
from ..flow._verdict import Verdict
from ..flow.gradient_flow import GradientFlow, gradient_flow

_ANCHORS = 6
"""Losses that are followed in a copy: enough to see a change of the verdict."""
_SATURATED = 0.9
CLIP_QUANTILE = 0.9
_USELESS = 3
"""The rank of what was tried and did not help: it is not told."""


@dataclass(frozen=True)
class Remedy:
    """Something to try.

    Args:
        title: what it is.
        evidence: the numbers that speak for it.
        option: what to say to `throughtime train`; empty where it has no such option.
        verdict: the verdict on a copy of the model with this change; `None` where it was not tried.
    """

    title: str
    evidence: str
    option: str
    verdict: Verdict | None = None

    def to_dict(self) -> dict[str, Any]:
        """Words."""
        tried = None if self.verdict is None else self.verdict.word
        return {"title": self.title, "evidence": self.evidence, "option": self.option, "verdict": tried}


@dataclass(frozen=True)
class _Case:
    model: nn.Module
    batch: Batch
    loss: Loss
    flow: GradientFlow
    trajectories: tuple[Trajectory, ...]

    @property
    def places(self) -> list[Place]:
        """Of the recurrences."""
        return [one.place for one in self.trajectories if one.recurrent]

    @property
    def kinds(self) -> set[str]:
        return {place.kind for place in self.places}

    @property
    def span(self) -> int:
        """How long a memory the task asks for."""
        return max(3, self.flow.verdict.lag)

    def tried(self, change: Callable[[nn.Module], nn.Module]) -> GradientFlow | None:
        """The flow of a copy with that change; `None` where the model does not take it."""
        steps, lag = len(self.batch.inputs), self.flow.verdict.lag
        reaching = [anchor for anchor in self.flow.anchors if lag <= anchor < steps] or list(self.flow.anchors)
        few = [reaching[at] for at in np.unique(np.linspace(0, len(reaching) - 1, _ANCHORS).round().astype(int))]
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(0)
            try:
                changed = change(deepcopy(self.model)).to(next(self.model.parameters()))
                return gradient_flow(changed, self.batch, self.loss, lag, few)
            except Exception:
                return None


def remedies(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    flow: GradientFlow,
    *,
    truncation: int | None = None,
    norms: Sequence[float] = (),
) -> tuple[Remedy, ...]:
    """What might help the gradient to arrive, the most promising first; none where it arrives and is not cut.

    Changes of the model are tried on a copy of it: initialisation and gating before any training, so that what is told
    is what the change does to the flow at once, not what training makes of it. The model is left as it is.

    Args:
        flow: what `gradient_flow` found in this model on this batch.
        truncation: the number of steps after which training cuts the gradient, if it does.
        norms: the norms of the gradient that training has logged, before any clipping.

    Example:
        >>> from throughtime.models.losses import mean_squared_error
        >>> layer = RNN(1, 8)
        >>> batch = Batch(torch.randn(60, 2, 1), torch.zeros(60, 2, 8))
        >>> flow = gradient_flow(layer, batch, mean_squared_error)
        >>> found = remedies(layer, batch, mean_squared_error, flow)
        >>> flow.verdict.word, found[0].option, found[0].verdict.word
        ('vanishing', '--model lstm --chrono-init 45', 'healthy')

    References:
        Saxe, McClelland & Ganguli, ICLR 2014, https://arxiv.org/abs/1312.6120 (orthogonal); Tallec & Ollivier, ICLR
        2018, https://arxiv.org/abs/1804.11188 (chrono: the forget bias of a task's lag); Hochreiter & Schmidhuber,
        Neural Computation 9 (1997) (gating); Pascanu, Mikolov & Bengio, ICML 2013, https://arxiv.org/abs/1211.5063
        (clipping); Ba, Kiros & Hinton (2016), https://arxiv.org/abs/1607.06450 (layer normalisation).
    """
    case = _Case(model, batch, loss, flow, unroll(model, batch, loss).trajectories)
    found = [_longer(flow, truncation)]
    if flow.verdict.word in ("vanishing", "exploding"):
        found += [_orthogonal(case), _memory(case), _gating(case), _layer_norm(case)]
    if flow.verdict.word == "exploding":
        found += [_clipping(norms)]
    ranked = sorted((_rank(remedy, flow), place) for place, remedy in enumerate(found) if remedy is not None)
    return tuple(remedy for (rank, _), place in ranked if rank < _USELESS and (remedy := found[place]) is not None)


def _rank(remedy: Remedy, flow: GradientFlow) -> tuple[int, float]:
    """Lower is better: what was seen to help comes first, then what could not be tried, then what helps a little."""
    if remedy.verdict is None:
        return 1, 0.0
    away, before = (_decades(found) for found in (remedy.verdict, flow.verdict))
    return (0 if remedy.verdict.word == "healthy" else 2 if away < before else _USELESS), away


def _decades(verdict: Verdict) -> float:
    """How far what is left is from all, in either direction."""
    return abs(math.log10(verdict.ratio)) if verdict.ratio else math.inf


def _told(flow: GradientFlow, after: GradientFlow) -> str:
    """The change of what is left."""
    before, now, lag = flow.verdict.ratio or 0.0, after.verdict.ratio or 0.0, flow.verdict.lag
    return f"{now:.2g} of the gradient is left {lag} steps back, beside {before:.2g} now: {after.verdict.word}"


def _orthogonal(case: _Case) -> Remedy | None:
    square = {place.name: w for place in case.places if (w := _recurrent_weight(place)) is not None}
    if not square:
        return None

    def change(model: nn.Module) -> nn.Module:
        with visited(model, lambda place, x, before, after: after) as places, torch.no_grad():
            for place in places:
                weight = _recurrent_weight(place)
                for block in () if weight is None else weight.split(weight.shape[1]):
                    nn.init.orthogonal_(block)
        return model

    after = case.tried(change)
    if after is None:
        return None
    name, weight = next(iter(square.items()))
    radius = float(torch.linalg.eigvals(weight[: weight.shape[1]].detach().double().cpu()).abs().max())
    what = f"ρ(W_hh) of {name} is {radius:.2g}" if len(weight) == weight.shape[1] else "each gate's W_hh orthogonal"
    evidence = f"{what}; in a copy with orthogonal W_hh, {_told(case.flow, after)}"
    return Remedy("orthogonal initialisation", evidence, "--recurrent-init orthogonal", after.verdict)


def _recurrent_weight(place: Place) -> Tensor | None:
    weight = place.parameters.get("weight_hh")
    return weight if weight is not None and len(weight) % weight.shape[1] == 0 else None


def _memory(case: _Case) -> Remedy | None:
    """Gates that begin by keeping, as long as the task looks back."""
    keeping = [place for place in case.places if place.kind in KEEPING and "bias_ih" in place.parameters]
    if not keeping or case.flow.verdict.word != "vanishing":
        return None

    def change(model: nn.Module) -> nn.Module:
        with visited(model, lambda place, x, before, after: after) as places:
            for place in places:
                if place.kind in KEEPING and "bias_ih" in place.parameters:
                    initialise_memories(place.kind, place.parameters, case.span)
        return model

    after = case.tried(change)
    if after is None:
        return None
    first = keeping[0]
    both = (first.parameters["bias_ih"] + first.parameters["bias_hh"]).detach()
    now = float(both.chunk(GATES[first.kind])[KEEPING[first.kind][0]].mean())
    gate = "forget" if first.kind == "lstm" else "update"
    evidence = (
        f"the {gate} gate's bias is {now:.2g} on average; in a copy that begins with memories of up to {case.span} "
        f"steps, {_told(case.flow, after)}"
    )
    return Remedy("chrono initialisation", evidence, f"--chrono-init {case.span}", after.verdict)


def _gating(case: _Case) -> Remedy | None:
    if not case.kinds <= {"rnn_tanh", "rnn_relu"} or not case.kinds:
        return None

    def lstm(layer: Any) -> nn.Module:
        return LSTM(layer.input_size, layer.hidden_size, layer.num_layers, chrono_init=case.span, **_shape(layer))

    after = case.tried(lambda model: _replaced(model, lstm))
    title = f"gating: an LSTM that begins with memories of up to {case.span} steps"
    option = f"--model lstm --chrono-init {case.span}"
    if after is None:
        kept = case.flow.slope
        each = "" if kept is None else f"each step keeps {np.exp(kept.value):.2g} of the gradient; "
        return Remedy(title, f"{each}a memory that is added to keeps what its forget gate lets it", option)
    return Remedy(title, f"in a fresh LSTM in its place, {_told(case.flow, after)}", option, after.verdict)


def _layer_norm(case: _Case) -> Remedy | None:
    if not case.kinds or not case.kinds <= {"rnn_tanh"} or any("gain" in place.parameters for place in case.places):
        return None
    share = _saturation(case)
    if share < 0.1:
        return None

    def normalised(layer: Any) -> nn.Module:
        made = RNN(layer.input_size, layer.hidden_size, layer.num_layers, layer_norm=True, **_shape(layer))
        made.load_state_dict(layer.state_dict(), strict=False)
        return made

    after = case.tried(lambda model: _replaced(model, normalised))
    evidence = f"{share:.0%} of all |h| are above {_SATURATED}, where tanh passes less than a fifth of a gradient"
    if after is None:
        return Remedy("layer normalisation", evidence, "--layer-norm")
    told = f"{evidence}; in a copy with it, {_told(case.flow, after)}"
    return Remedy("layer normalisation", told, "--layer-norm", after.verdict)


def _saturation(case: _Case) -> float:
    """The share of units and steps whose tanh is flat."""
    states = [part for one in case.trajectories for time in range(len(one.after)) for part in one.parts(time)]
    return float(torch.stack([(part.abs() > _SATURATED).double().mean() for part in states]).mean())


def _shape(layer: Any) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in ("bias", "batch_first", "dropout", "bidirectional")}


def _replaced(model: nn.Module, make: Callable[[Any], nn.Module]) -> nn.Module:
    """The model with each plain RNN layer, ours or torch.nn's, replaced."""
    if isinstance(model, nn.RNN) or type(model) is RNN:
        return make(model)
    replaced = 0
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.RNN) or type(child) is RNN:
                setattr(parent, name, make(child))
                replaced += 1
    if not replaced:
        raise UnsupportedError("there is no RNN layer to replace")
    return model


def _clipping(norms: Sequence[float]) -> Remedy:
    known = np.array([norm for norm in norms if np.isfinite(norm)])
    if not len(known):
        evidence = "one such gradient undoes many steps; log the norms of training, and clip at their 90th percentile"
        return Remedy("clipping", evidence, "--clip 1")
    clip = float(np.quantile(known, CLIP_QUANTILE))
    evidence = (
        f"of {len(known)} logged gradient norms the 90th percentile is {clip:.3g} and the largest {known.max():.3g}"
    )
    return Remedy("clipping at the 90th percentile of the norms", evidence, f"--clip {clip:.3g}")


def _longer(flow: GradientFlow, truncation: int | None) -> Remedy | None:
    """Where the cut of training takes away what would arrive."""
    if truncation is None or flow.verdict.word == "exploding":
        return None
    sums = np.exp(flow.lag_profile.mean)
    sums = np.where(np.isfinite(sums), sums, 0)
    beyond = float(sums[truncation:].sum() / sums.sum()) if sums.sum() else 0.0
    if beyond < 0.05:
        return None
    evidence = (
        f"{beyond:.0%} of the gradient comes from {truncation} steps back and more, where training cuts it; 95 % of it "
        f"come from {flow.reach + 1} steps"
    )
    return Remedy("a longer k2", evidence, f"--strategy truncated:{truncation},{max(flow.reach, truncation) + 1}")
