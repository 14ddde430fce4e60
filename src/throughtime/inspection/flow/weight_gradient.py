"""The gradient of a weight, step by step: one matrix, used T times, its gradient a sum of T terms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor, nn

from ..._errors import ConfigurationError, UnsupportedError
from ..._state import numbers
from ..._types import Batch, Loss
from .._numbers import plain
from .._trajectory import Trajectory
from .._unrolling import Unrolled, unroll
from ..verification._blocks import blocks_of
from ._weight_picture import draw_terms
from .gradient_flow import norms_of

_ROWS = 4096
"""Steps of sequences that are taken at once."""


@dataclass(frozen=True)
class Terms:
    """The terms of the gradient ΔW = Σ_t ΔW_t of one parameter, or of one gate in it.

    Args:
        parameter: its name in a cell, as "weight_hh".
        gate: whose entries these are; `None` where they are all.
        c: c_t = ⟨ΔW_t, ΔW⟩/‖ΔW‖² of each step; they sum to one, and negative ones cancel others. NaN where ΔW is zero.
        norms: ‖ΔW_t‖ of each step.
        norm: ‖ΔW‖.
    """

    parameter: str
    gate: str | None
    c: np.ndarray
    norms: np.ndarray
    norm: float

    @property
    def name(self) -> str:
        """As "weight_hh, forget gate"."""
        return self.parameter if self.gate is None else f"{self.parameter}, {self.gate} gate"

    @property
    def summed(self) -> float:
        """Σ_t ‖ΔW_t‖: what ‖ΔW‖ would be, were all terms of one direction."""
        return float(self.norms.sum())

    @property
    def kept(self) -> float:
        """‖ΔW‖ / Σ_t ‖ΔW_t‖: one where nothing cancels."""
        return self.norm / self.summed if self.summed > 0 else math.nan

    @property
    def negative(self) -> float:
        """The share of Σ_t |c_t| that belongs to negative terms."""
        total = float(np.abs(self.c).sum())
        return float(np.abs(self.c[self.c < 0]).sum()) / total if total > 0 else math.nan

    @property
    def half(self) -> tuple[int, ...]:
        """The fewest steps whose terms add up to half of ΔW, in the order of time."""
        if not np.isfinite(self.c).all():
            return ()
        order = np.argsort(-self.c, kind="stable")
        enough = np.flatnonzero(np.cumsum(self.c[order]) >= 0.5 - 1e-9)
        return tuple(sorted(order[: enough[0] + 1].tolist())) if len(enough) else ()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words; `None` for what is not finite."""
        return {
            "parameter": self.parameter,
            "gate": self.gate,
            "c": plain(self.c),
            "norms": plain(self.norms),
            "norm": plain(self.norm),
            "summed": plain(self.summed),
            "kept": plain(self.kept),
            "negative": plain(self.negative),
            "half": list(self.half),
        }


@dataclass(frozen=True)
class LayerTerms:
    """The parameters of one recurrence.

    Args:
        name: of the recurrence in the model.
        terms: of each parameter that requires a gradient; where it stacks gates, of each gate after the whole.
    """

    name: str
    terms: tuple[Terms, ...]


@dataclass(frozen=True)
class WeightGradient:
    """What `weight_gradient_by_step` found.

    Args:
        layers: of each recurrence of the model, in its order.
        steps: T.
        difference: the largest |Σ_t ΔW_t − ΔW|, ΔW as autograd has it for the whole model, beside the largest entry of
            that ΔW; `None` where there is nothing to compare. Far above rounding, the weight `worst` is used in another
            place too, outside of the recurrence or for outputs that are not part of its state.
        worst: the parameter where it is.
    """

    layers: tuple[LayerTerms, ...]
    steps: int
    difference: float | None
    worst: str | None

    @property
    def sentence(self) -> str:
        """What a weight's gradient is, and whether its terms add up to it."""
        told = f"each weight is one, used {self.steps} times; its gradient ΔW is a sum of {self.steps} terms"
        if self.difference is None:
            return told
        apart = f", at most {self.difference:.1g} from autograd's (relative)"
        if self.difference > 1e-3:
            apart += f": {self.worst} is used elsewhere too, or outside of its state"
        return told + apart

    def series(self, layer: str) -> list[dict[str, Any]]:
        """Of a layer, c_t of each parameter and gate, to four digits; `None` for what is not finite."""
        return [
            {"name": terms.parameter, "block": terms.gate, "c": plain(terms.c, 4)}
            for found in self.layers
            if found.name == layer
            for terms in found.terms
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        return {
            "steps": self.steps,
            "difference": self.difference,
            "worst": self.worst,
            "layers": [
                {"name": layer.name, "terms": [terms.to_dict() for terms in layer.terms]} for layer in self.layers
            ],
        }

    def table(self) -> Table:
        """A row a parameter and gate."""
        table = Table(title="the gradient of a weight as a sum over steps", caption=self.sentence)
        table.add_column("", overflow="fold", min_width=16)
        for heading in ("‖ΔW‖", "Σ‖ΔW_t‖", "kept", "negative", "half of ΔW in"):
            table.add_column(heading, justify="right", no_wrap=True)
        for layer in self.layers:
            table.add_row(f"[bold]{layer.name}[/bold]" if "[" not in layer.name else layer.name)
            for terms in layer.terms:
                table.add_row(
                    f"  {terms.parameter}" if terms.gate is None else f"    {terms.gate}",
                    f"{terms.norm:.3g}",
                    f"{terms.summed:.3g}",
                    _percent(terms.kept),
                    _percent(terms.negative),
                    _steps(terms.half),
                )
            table.add_section()
        return table

    def plot(self) -> Figure:
        """c_t by step, a row of bars a parameter and gate; what cancels points down, in another colour."""
        return draw_terms(self)


def weight_gradient_by_step(model: nn.Module, batch: Batch, loss: Loss) -> WeightGradient:
    """Take the gradient of each weight of a recurrence apart into what each step gives.

    A weight of a recurrence is used at every step, and its gradient is the sum ΔW = Σ_t ΔW_t, ΔW_t = δ_tᵀ ∂z_t/∂W with
    δ_t = ∂L/∂z_t and z_{t−1} held fixed, L the sum of all losses that count, over all sequences. c_t says how much of
    ΔW, as it ends up, step t gives; negative terms work against it.

    The model runs in evaluation mode, in its own precision; parameters and their `.grad` stay as they are. One ΔW_t is
    held at a time.

    Raises:
        ConfigurationError: where no parameter of a recurrence requires a gradient, for a detached loss.
        DataError: for a single step, or values that are not finite.
        UnsupportedError: for a model without a recurrence.

    Example:
        >>> from throughtime.nn import GRU
        >>> from throughtime.models.losses import mean_squared_error
        >>> batch = Batch(torch.randn(20, 4, 2), torch.randn(20, 4, 8))
        >>> found = weight_gradient_by_step(GRU(2, 8), batch, mean_squared_error)
        >>> [terms.name for terms in found.layers[0].terms][:3], round(float(found.layers[0].terms[0].c.sum()), 4)
        (['weight_ih', 'weight_ih, reset gate', 'weight_ih, update gate'], 1.0)

    References:
        Werbos, "Backpropagation through time: what it does and how to do it", Proceedings of the IEEE 78 (1990).
    """
    found = weight_gradient_of(unroll(model, batch, loss))
    if not any(layer.terms for layer in found.layers):
        raise ConfigurationError(
            "no parameter of a recurrence requires a gradient: the model is frozen, parameters().requires_grad_(True) "
            "thaws it"
        )
    return found


def weight_gradient_of(unrolled: Unrolled) -> WeightGradient:
    """The same, of a forward that has been made; without a row for a recurrence whose parameters are all frozen."""
    if not unrolled.recurrent:
        raise UnsupportedError(
            "the model has no recurrence: each of its weights is used for all steps at once, and torch.autograd.grad "
            "says what their gradient is"
        )
    layers, sums = [], {}
    for trajectory in unrolled.trajectories:
        taken = _Taken(trajectory, unrolled.accumulated(trajectory))
        summed = taken.summed()
        for (name, parameter), gradient in zip(taken.parameters.items(), summed, strict=True):
            _, _, earlier = sums.get(id(parameter), (None, None, 0))
            sums[id(parameter)] = f"{name} of {trajectory.name}", parameter, earlier + gradient
        layers.append(LayerTerms(trajectory.name, tuple(_terms(taken, summed))))
    return WeightGradient(tuple(layers), unrolled.steps, *_compared(unrolled, list(sums.values())))


class _Taken:
    """The steps of a recurrence, taken again, with the gradient that arrives after each."""

    def __init__(self, trajectory: Trajectory, deltas: Sequence[Sequence[Tensor]]) -> None:
        self.trajectory, self.deltas = trajectory, deltas
        self.parameters = {
            name: parameter for name, parameter in trajectory.place.parameters.items() if parameter.requires_grad
        }

    def summed(self) -> list[Tensor]:
        """Σ_t ΔW_t of each parameter, many steps at once."""
        steps, size = len(self.deltas), len(self.trajectory.inputs[0])
        many = max(1, _ROWS // size)
        total = [torch.zeros_like(parameter) for parameter in self.parameters.values()]
        for start in range(0, steps, many):
            for one, more in zip(total, self._back(range(start, min(steps, start + many))), strict=True):
                one += more
        return total

    def terms(self) -> Iterator[tuple[float, list[Tensor]]]:
        """For each step ΔW_t of each parameter, divided by a number that is given first."""
        for time, delta in enumerate(self.deltas):
            norm = float(np.linalg.norm(norms_of(delta)))
            scale = norm if norm > 0 and math.isfinite(norm) else 1.0
            yield scale, self._back([time], scale)

    def _back(self, times: Sequence[int], scale: float = 1.0) -> list[Tensor]:
        """What the gradient after these steps sends to the parameters."""
        place, parameters = self.trajectory.place, [*self.parameters.values()]
        if place.step is None or place.cell is None or not parameters:
            return [torch.zeros_like(parameter) for parameter in parameters]
        after = numbers(self.trajectory.again(times)[2])
        owed = [torch.cat(parts) / scale for parts in zip(*(self.deltas[time] for time in times), strict=True)]
        pairs = [(part, delta) for part, delta in zip(after, owed, strict=True) if part.requires_grad]
        if not pairs:
            return [torch.zeros_like(parameter) for parameter in parameters]
        given, cotangents = zip(*pairs, strict=True)
        return list(torch.autograd.grad(given, parameters, cotangents, allow_unused=True, materialize_grads=True))


class _Meter:
    """Measures the terms of one parameter, gate by gate, against their sum."""

    def __init__(self, gates: tuple[str, ...], order: Tensor | None, summed: Tensor) -> None:
        self.gates, self._order = gates, order
        rows = self._rows(summed).double()
        self.norms = np.array([norms_of([row[None]])[0] for row in rows])
        self.norm = float(np.linalg.norm(self.norms))
        self._direction = (rows / (self.norm or 1.0)).to(self._rows(summed))
        self._along: list[Tensor] = []
        self._long: list[Tensor] = []

    def measure(self, term: Tensor) -> None:
        """One more step's."""
        rows = self._rows(term)
        self._along.append((rows * self._direction).sum(1))
        self._long.append(torch.linalg.vector_norm(rows, dim=1))

    def told(self, name: str, scales: np.ndarray) -> Iterator[Terms]:
        """The whole first, then the gates; `scales` is what each step's was divided by."""
        along, norms = (
            torch.stack(found).double().cpu().numpy() * scales[:, None] for found in (self._along, self._long)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            yield Terms(name, None, along.sum(1) / self.norm, np.linalg.norm(norms, axis=1), self.norm)
            for at, gate in enumerate(self.gates):
                own = float(self.norms[at])
                yield Terms(
                    name, gate, along[:, at] / np.float64(own) * (self.norm / np.float64(own)), norms[:, at], own
                )

    def _rows(self, values: Tensor) -> Tensor:
        """[gate, entry], in a precision that can add."""
        flat = values.flatten() if self._order is None else values.flatten()[self._order]
        return flat.to(torch.promote_types(flat.dtype, torch.float32)).view(max(1, len(self.gates)), -1)


def _terms(taken: _Taken, summed: Sequence[Tensor]) -> Iterator[Terms]:
    if not taken.parameters:
        return
    gates = _gates(taken)
    meters = [_Meter(*gates[name], total) for name, total in zip(taken.parameters, summed, strict=True)]
    scales = []
    for scale, terms in taken.terms():
        scales.append(scale)
        for meter, term in zip(meters, terms, strict=True):
            meter.measure(term)
    for name, meter in zip(taken.parameters, meters, strict=True):
        yield from meter.told(name, np.array(scales))


def _gates(taken: _Taken) -> dict[str, tuple[tuple[str, ...], Tensor | None]]:
    """For each parameter the gates that it stacks, and where their entries are, if not one after the other."""
    cell = taken.trajectory.place.cell
    blocks = [block for block in blocks_of(cell) if block.gate is not None] if cell is not None else []
    found = {}
    for name, parameter in taken.parameters.items():
        own = [block for block in blocks if block.tensor is parameter]
        order = torch.cat([block.positions for block in own]) if own else None
        straight = order is None or bool((order[1:] > order[:-1]).all())
        found[name] = tuple(str(block.gate) for block in own), None if straight else order
    return found


def _compared(unrolled: Unrolled, sums: Sequence[tuple[str, Tensor, Tensor]]) -> tuple[float | None, str | None]:
    """The largest difference between the sums over steps and autograd's gradient, and of which parameter."""
    if not sums:
        return None, None
    found = torch.autograd.grad(unrolled.total, [one for _, one, _ in sums], retain_graph=True, allow_unused=True)
    differences = {}
    for (name, _, total), whole in zip(sums, found, strict=True):
        if whole is not None:
            largest = float(whole.abs().max())
            differences[name] = float((total - whole).abs().max()) / (largest if largest > 0 else 1.0)
    if not differences:
        return None, None
    worst = max(differences, key=lambda name: math.inf if math.isnan(differences[name]) else differences[name])
    return differences[worst], worst


def _percent(share: float) -> str:
    return f"{share:.0%}" if math.isfinite(share) else "–"


def _steps(half: Sequence[int]) -> str:
    if not half:
        return "–"
    count = len(half)
    return f"step {half[0]}" if count == 1 else f"{count} steps, {half[0]}–{half[-1]}"
