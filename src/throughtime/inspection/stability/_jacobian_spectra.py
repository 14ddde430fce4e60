"""What bounds a Jacobian, and what it is: spectra of W_hh, and of ∂z_t/∂z_{t−1} along a stretch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ...nn.visiting import Place
from ...ops import GATE_NAMES
from ._tangents import Tangents


@dataclass(frozen=True)
class JacobianSpectra:
    """J_t = ∂z_t/∂z_{t−1} at some steps of one sequence.

    Args:
        sequence: which.
        steps: t, evenly spread over those after the warm-up.
        eigenvalues: [step, n], complex.
        radius: the largest modulus of these [step].
        largest, smallest: singular values, σ_max and σ_min [step].
    """

    sequence: int
    steps: tuple[int, ...]
    eigenvalues: np.ndarray
    radius: np.ndarray
    largest: np.ndarray
    smallest: np.ndarray


@dataclass(frozen=True)
class RecurrentBlock:
    """The part of W_hh that one gate reads h with.

    Args:
        name: "W_hh" of a plain RNN, else the gate.
        radius: ρ, the largest modulus of its eigenvalues; `None` of a block that is not square.
        largest: σ_max.
    """

    name: str
    radius: float | None
    largest: float


def jacobian_spectra(
    tangents: Tangents, warm_up: int, count: int, sequence: int, progress: Callable[[float], None]
) -> JacobianSpectra:
    """Of the first sequence of a stretch, whose number in the batch is given."""
    alone = Tangents(tangents.stretch.only(0))
    rows = np.unique(np.linspace(warm_up, len(alone.stretch.x) - 1, count).round().astype(int)).tolist()
    eigenvalues, singular = [], []
    for done, row in enumerate(rows, 1):
        matrix = alone.jacobian(row)[0]
        eigenvalues.append(torch.linalg.eigvals(matrix).cpu().numpy())
        singular.append(torch.linalg.svdvals(matrix).cpu().numpy())
        progress(done / len(rows))
    found, values = np.stack(eigenvalues), np.stack(singular)
    times = tuple(int(alone.stretch.times[row, 0]) for row in rows)
    return JacobianSpectra(sequence, times, found, np.abs(found).max(1), values[:, 0], values[:, -1])


def recurrent_blocks(place: Place) -> tuple[RecurrentBlock, ...]:
    """Of the cells of ours and of torch.nn; none of others."""
    names, weight = GATE_NAMES.get(place.kind, ()), place.parameters.get("weight_hh")
    if weight is None or not names:
        return ()
    names = names if len(names) > 1 else ("W_hh",)
    found = []
    for name, block in zip(names, weight.detach().chunk(len(names)), strict=True):
        square = block.shape[0] == block.shape[1]
        radius = float(torch.linalg.eigvals(block).abs().max()) if square else None
        found.append(RecurrentBlock(name, radius, float(torch.linalg.matrix_norm(block, 2))))
    return tuple(found)


def bound_of(place: Place, weights: tuple[RecurrentBlock, ...]) -> str:
    """What ρ and σ_max of W_hh allow to say."""
    if not weights:
        return f"{place.name} has no W_hh of which ρ and σ_max could be told"
    told = ", ".join(
        f"{block.name}: " + ("" if block.radius is None else f"ρ {block.radius:.3g}, ") + f"σ_max {block.largest:.3g}"
        for block in weights
    )
    if len(weights) > 1 or place.options:
        why = "gates" if len(weights) > 1 else ", ".join(place.options)
        return f"{told}: with {why} they bound no Jacobian; a hint, not a verdict"
    return (
        f"{told}: ‖∂h_t/∂h_{{t−1}}‖ ≤ σ_max, so that below 1 gradients vanish, and above 1 they may explode but need "
        "not; ρ decides in a linear network alone (Pascanu et al. 2013): a bound, not a verdict"
    )
