"""What the page draws: one document of plain numbers and words, of a few sequences of the batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._errors import UnsupportedError
from .._gating import opened
from .._trajectory import Trajectory
from .._unrolling import Unrolled
from ..explanation._choice import derivation_of
from ..flow._paths import ELSEWHERE, Paths
from ..flow.gradient_flow import GradientFlow, LayerFlow, flowing, norms_of
from ..flow.weight_gradient import WeightGradient

MOST_SAMPLES, MOST_UNITS, MOST_FEATURES = 4, 16, 4
_NUMBERS = 1200
"""Steps of all sequences together that a page holds with ease."""
_ROUNDING = 1e-3
"""A path that never carries more is left out."""
_ALL_LOSSES = 64
"""Up to so many steps every loss is followed, so that any of them can be asked for."""


class Watcher:
    """Keeps of each loss, while it is followed, what the page needs of the sequences it shows."""

    def __init__(self, unrolled: Unrolled) -> None:
        count = max(1, min(MOST_SAMPLES, round(_NUMBERS / unrolled.steps), unrolled.losses.shape[1]))
        self.unrolled, self.samples = unrolled, list(range(count))
        self.shown = {one.name: one.only(self.samples) for one in unrolled.trajectories}
        self._paths: dict[str, Paths | None] = {}
        self.flows: dict[str, dict[int, np.ndarray]] = {name: {} for name in self.shown}
        self.shares: dict[str, dict[int, dict[str, np.ndarray]]] = {name: {} for name in self.shown}
        self.splits: dict[str, dict[int, dict[str, np.ndarray]]] = {name: {} for name in self.shown}

    def __call__(self, trajectory: Trajectory, anchor: int, found: list[list[Tensor]]) -> None:
        name = trajectory.name
        deltas = [[part[self.samples] for part in parts] for parts in found]
        self.flows[name][anchor] = np.stack([norms_of(parts) for parts in deltas])
        if name not in self._paths:
            self._paths[name] = Paths(self.shown[name]) if trajectory.recurrent else None
        paths = self._paths[name]
        if paths is not None:
            self.shares[name][anchor] = paths.shares(deltas)
            self.splits[name][anchor] = paths.split(deltas) or {}

    def follow_the_rest(self, chosen: Sequence[int]) -> None:
        """The losses of a short sequence that were not chosen."""
        if self.unrolled.steps > _ALL_LOSSES:
            return
        counting = (self.unrolled.weights[:, self.samples] != 0).any(1).nonzero()[:, 0].tolist()
        rest = [step for step in counting if step not in chosen]
        for trajectory in self.unrolled.trajectories:
            for anchor, found in zip(rest, self.unrolled.gradients(rest, trajectory), strict=True):
                self(trajectory, anchor, found)


def traced(watcher: Watcher, flow: GradientFlow, gradient: WeightGradient | None, symbols: Any) -> dict[str, Any]:
    """Everything of the document that belongs to the batch and the layers."""
    unrolled, samples = watcher.unrolled, watcher.samples
    batch, weights = unrolled.batch, unrolled.weights
    losses = torch.where(weights != 0, unrolled.losses.detach(), math.nan)
    numbers = batch.inputs.is_floating_point()
    features = range(min(MOST_FEATURES, batch.inputs[0, 0].numel())) if numbers else ()
    flat = batch.inputs.reshape(*batch.inputs.shape[:2], -1)
    return {
        "precision": torch.finfo(unrolled.losses.dtype).eps,
        "steps": unrolled.steps,
        "samples": samples,
        "symbols": None if numbers else _symbols(batch.inputs[:, samples], symbols),
        "inputs": [
            {"name": f"x{'₁₂₃₄'[at] if len(features) > 1 else ''}", "values": encoded(flat[:, samples, at].T)}
            for at in features
        ],
        "targets": _targets(batch.targets[:, samples], symbols),
        "losses": encoded(losses[:, samples].T, missing=True),
        "begun": unrolled.begun[:, samples].T.tolist(),
        "layers": [
            _layer(watcher, trajectory, layer, verdict.word, gradient)
            for trajectory, layer, verdict in zip(unrolled.trajectories, flow.layers, flow.verdicts, strict=True)
        ],
    }


def _layer(
    watcher: Watcher, trajectory: Trajectory, layer: LayerFlow, word: str, gradient: WeightGradient | None
) -> dict[str, Any]:
    name, samples, profile = trajectory.name, watcher.samples, layer.profile
    shown = watcher.shown[name]
    anchors = sorted(watcher.flows[name])
    shares, splits = watcher.shares[name], watcher.splits[name]
    named = next(iter(shares.values()), {})
    paths = [path for path in named if any(_felt(shares[anchor][path]) for anchor in anchors)]
    hidden = shown.parts(0)[0][0].numel()
    units = [int(at) for at in np.unique(np.linspace(0, hidden - 1, min(hidden, MOST_UNITS)).round())]
    return {
        "name": name,
        "kind": trajectory.place.kind,
        "hidden": hidden,
        "parts": list(trajectory.part_names()),
        "reverse": trajectory.place.reverse,
        "recurrent": trajectory.recurrent,
        "verdict": word,
        "units": units,
        "timelines": _timelines(shown, units),
        "anchors": anchors,
        "flow": [list(own) for own in zip(*(_flow(watcher, trajectory, anchor) for anchor in anchors), strict=True)],
        "accumulated": encoded(_log10(layer.accumulated[:, samples].T), missing=True),
        "paths": paths,
        "shares": [
            [[encoded(shares[anchor][path][:, at], 2, missing=True) for path in paths] for anchor in anchors]
            for at in range(len(samples))
        ],
        "split": _split(splits, anchors, len(samples)),
        "profile": {
            "mean": encoded(profile.mean, missing=True),
            "low": encoded(profile.low, missing=True),
            "high": encoded(profile.high, missing=True),
            "slope": None if profile.fit is None else profile.fit.value,
            "r_squared": None if profile.fit is None else profile.fit.r_squared,
            "half_life": profile.half_life,
            "horizon": profile.horizon,
            "reach": profile.reach,
        },
        "formulas": _formulas(trajectory),
        "weights": [] if gradient is None else gradient.series(name),
    }


def _split(splits: dict[int, dict[str, np.ndarray]], anchors: list[int], samples: int) -> dict[str, Any] | None:
    """By what a jump is made of: [sample][anchor][step], in nats."""
    named = next(iter(splits.values()), {})
    parts = [part for part in named if part != ELSEWHERE or any(_felt(splits[anchor][part]) for anchor in anchors)]
    found = {
        part: [[encoded(splits[anchor][part][:, at], 4, missing=True) for anchor in anchors] for at in range(samples)]
        for part in parts
    }
    return found or None


def _felt(nats: np.ndarray) -> bool:
    return bool((np.abs(nats[np.isfinite(nats)]) > _ROUNDING).any())


def _flow(watcher: Watcher, trajectory: Trajectory, anchor: int) -> list[Any]:
    """Of each sequence log₁₀ of the norms of one loss; NaN where nothing can flow."""
    where = flowing(watcher.unrolled, [anchor], trajectory.place.reverse)[0][:, watcher.samples]
    return encoded(np.where(where, _log10(watcher.flows[trajectory.name][anchor]), np.nan).T, missing=True)


def _timelines(shown: Trajectory, units: list[int]) -> list[dict[str, Any]]:
    """The state and, where they are seen, the gates: [sample][unit][step]."""
    found = [
        (name, "state", torch.stack([shown.parts(time)[at].detach() for time in range(len(shown.after))]))
        for at, name in enumerate(shown.part_names())
    ]
    if shown.recurrent and not shown.place.kind.startswith("rnn"):  # there the state is all that is squashed
        size = len(shown.inputs[0])
        for gate in opened(shown).gates:
            found.append((gate.name, gate.function, gate.value.detach().unflatten(0, (-1, size))))
    return [
        {"name": name, "kind": kind, "values": encoded(values.flatten(2)[..., _within(units, values)].permute(1, 2, 0))}
        for name, kind, values in found
    ]


def _within(units: list[int], values: Tensor) -> list[int]:
    """Units that there are: a projected h has fewer than C."""
    width = values.flatten(2).shape[-1]
    return [unit for unit in units if unit < width]


def _formulas(trajectory: Trajectory) -> dict[str, Any]:
    """The step and its backward, as `explain` derives them."""
    try:
        derived = derivation_of(trajectory.place)
    except UnsupportedError:
        return {"step": [], "jump": []}
    jump = [equation.formula for equation in derived.backward if equation.formula.startswith("δ")]
    return {
        "step": [equation.formula for equation in derived.forward],
        "jump": [line for line in jump if not line.startswith(("δx", "δh_0", "δC_0"))],
    }


def _symbols(indices: Tensor, symbols: Any) -> list[list[str]]:
    named = str if symbols is None else symbols
    return [[named(int(one)) for one in row] for row in indices.T]


def _targets(targets: Tensor, symbols: Any) -> list[list[Any]] | None:
    if targets.is_floating_point():
        return encoded(targets.reshape(*targets.shape[:2], -1)[..., 0].T)
    return _symbols(targets, symbols) if targets.dim() == 2 else None


def _log10(norms: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log10(norms)


def encoded(values: Any, digits: int = 3, *, missing: bool = False) -> Any:
    """Nested lists of rounded numbers; NaN is `None` where it means that there is none, else its name.

    Example:
        >>> encoded(np.array([0.12345, np.nan, -np.inf]), missing=True)
        [0.123, None, '-Infinity']
    """
    array = values.detach().double().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values, float)

    def one(value: float) -> float | str | None:
        if math.isfinite(value):
            return round(value, digits) + 0.0
        if math.isnan(value):
            return None if missing else "NaN"
        return "Infinity" if value > 0 else "-Infinity"

    def walk(part: Any) -> Any:
        return [walk(item) for item in part] if isinstance(part, list) else one(part)

    return walk(array.tolist())
