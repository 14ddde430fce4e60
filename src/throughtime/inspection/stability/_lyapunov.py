"""How fast small changes grow or fade along a trajectory: exponents and condition numbers from one QR a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ._tangents import Tangents, random_directions

_BLOCKS = 10
"""Into how many pieces the steps of a sequence are cut for the standard error."""
WHOLE = 64
"""Up to this many numbers of state all exponents are followed, and the condition number through all lags."""
_WORK = 4e9
"""n³ × lags that the condition number of a larger state may cost."""


@dataclass(frozen=True)
class Spectrum:
    """Lyapunov exponents, the largest first.

    Args:
        values: nats a step [k]; −∞ of a direction that is mapped to zero.
        errors: their standard errors [k], over sequences and blocks of steps; NaN where there is one block.
    """

    values: np.ndarray
    errors: np.ndarray


@dataclass(frozen=True)
class Condition:
    """κ of the product J_{w+k} … J_{w+1} of the first k Jacobians after the warm-up.

    Args:
        lags: k, some of them.
        log10: log₁₀ κ [lag], the mean over sequences; ∞ where the product is singular.
        low, high: the least and the greatest of the sequences [lag].
    """

    lags: np.ndarray
    log10: np.ndarray
    low: np.ndarray
    high: np.ndarray


def spectrum_and_condition(
    tangents: Tangents, warm_up: int, count: int, progress: Callable[[float], None] = lambda share: None
) -> tuple[Spectrum, Condition]:
    """Both, along a stretch of which the first `warm_up` steps only turn the directions.

    Benettin's method: orthonormal directions are pushed through each step and made orthonormal again; the logarithms of
    the stretches, the diagonal of R, average to the exponents. Where all n directions are followed, the very same
    triangles multiply to the condition number; of a larger state a run of its own, of the first sequence and over
    fewer lags, gives it.

    Args:
        count: how many exponents.
        progress: is told the share that is done.
    """
    steps, sequences = tangents.stretch.x.shape[:2]
    condition = _Conditioning() if count == tangents.size and count <= WHOLE else None
    rates, shown = [], _shown(steps - warm_up, 60)
    frame = random_directions((sequences, tangents.size, count), 0).to(tangents.stretch.x.device)
    for time, triangle in enumerate(triangles(tangents, frame, 0, steps)):
        if time >= warm_up:
            rates.append(triangle.diagonal(dim1=1, dim2=2).abs().log().cpu().numpy())
            if condition is not None:
                condition.add(triangle, (time - warm_up + 1) in shown)
        progress((time + 1) / steps)
    if condition is None:
        condition = _conditioned_apart(tangents, warm_up)
    return _spectrum(np.stack(rates)), condition.found()


def triangles(tangents: Tangents, frame: Tensor, start: int, stop: int) -> Iterator[Tensor]:
    """R_t [sequence, k, k] of J_t Q_{t−1} = Q_t R_t for each step."""
    matrices = tangents.jacobians(start, stop) if frame.shape[2] == tangents.size else None
    for time in range(start, stop):
        frame, triangle = torch.linalg.qr(tangents.push(time, frame) if matrices is None else next(matrices) @ frame)
        yield triangle


def _spectrum(rates: np.ndarray) -> Spectrum:
    """From the logarithms of the diagonals [step, sequence, k]."""
    pieces = np.array_split(rates, min(_BLOCKS, max(1, len(rates) // 4)))
    values = rates.mean((0, 1))
    with np.errstate(invalid="ignore"):
        means = np.concatenate([piece.mean(0) for piece in pieces])
        errors = means.std(0, ddof=1) / len(means) ** 0.5 if len(means) > 1 else np.full(len(values), np.nan)
    order = np.argsort(-values, kind="stable")
    return Spectrum(values[order], errors[order])


def _conditioned_apart(tangents: Tangents, warm_up: int) -> _Conditioning:
    alone = Tangents(tangents.stretch.only(0))
    lags = int(min(len(alone.stretch.x) - warm_up, max(2, _WORK // alone.size**3)))
    found, shown = _Conditioning(), _shown(lags, 16)
    frame = random_directions((1, alone.size, alone.size), 0).to(alone.stretch.x.device)
    for lag, triangle in enumerate(triangles(alone, frame, warm_up, warm_up + lags), 1):
        found.add(triangle, lag in shown)
    return found


def _shown(lags: int, count: int) -> frozenset[int]:
    """The lags at which κ is told, denser among the short ones."""
    return frozenset(np.geomspace(1, lags, count).round().astype(int).tolist())


class _Conditioning:
    """σ_max of a growing product of triangles, and of its inverse, each kept in range by a factor taken out.

    A product's smallest singular value is lost beside its largest after some sixteen decades; as the largest of the
    inverse, itself a product of triangles, it never is.
    """

    def __init__(self) -> None:
        self.lag, self.lags = 0, list[int]()
        self.values = list[Tensor]()
        self.product: Tensor | None = None
        self.inverse: Tensor | None = None
        self.scale: Tensor | float = 0.0
        self.singular: Tensor | bool = False

    def add(self, triangle: Tensor, shown: bool) -> None:
        """The next triangle [sequence, n, n]."""
        if self.product is None or self.inverse is None:
            unit = torch.eye(triangle.shape[1], dtype=triangle.dtype, device=triangle.device)
            self.product = self.inverse = unit.expand(len(triangle), -1, -1)
        self.lag += 1
        zero = (triangle.diagonal(dim1=1, dim2=2) == 0).any(1)
        self.singular = zero | self.singular
        triangle = torch.where(self.singular[:, None, None], torch.eye(triangle.shape[1]).to(triangle), triangle)
        self.product = triangle @ self.product
        self.inverse = torch.linalg.solve_triangular(triangle, self.inverse, upper=True, left=False)
        for name in ("product", "inverse"):
            largest = getattr(self, name).abs().amax((1, 2))
            setattr(self, name, getattr(self, name) / largest[:, None, None])
            self.scale = self.scale + largest.log10()
        if shown:
            norms = [torch.linalg.matrix_norm(part, 2).log10() for part in (self.product, self.inverse)]
            self.lags.append(self.lag)
            self.values.append(torch.where(self.singular, torch.inf, self.scale + norms[0] + norms[1]))

    def found(self) -> Condition:
        values = torch.stack(self.values).cpu().numpy()
        return Condition(np.array(self.lags), values.mean(1), values.min(1), values.max(1))
