"""Analytic and numeric derivatives side by side, along entries and through whole blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._blocks import Block
from ._differences import Difference
from ._problem import Problem, direction


@dataclass(frozen=True)
class Probed:
    """One block, looked at along some of its entries, and, where these are not all, once through all of them.

    Args:
        block: which.
        entries: the positions in the block that were moved.
        analytic: along each entry; then, where not all were moved, along a random direction.
        numeric: likewise.
        tolerance: relative to the largest numeric derivative.
    """

    block: Block
    entries: Tensor
    analytic: Tensor
    numeric: tuple[Difference, ...]
    tolerance: float

    @property
    def values(self) -> Tensor:
        """The numeric derivatives."""
        return torch.tensor([found.value for found in self.numeric], dtype=torch.float64)

    @property
    def errors(self) -> Tensor:
        """How far off they may be."""
        return torch.tensor([found.error for found in self.numeric], dtype=torch.float64)

    @property
    def scale(self) -> float:
        """The largest numeric derivative."""
        return self.values.abs().max().item()

    @property
    def apart(self) -> Tensor:
        """|analytic − numeric|; 0 at a kink, where several numbers are right."""
        kinks = torch.tensor([found.kink for found in self.numeric])
        return (self.analytic - self.values).abs().masked_fill(kinks, 0.0)

    @property
    def allowed(self) -> Tensor:
        """How far apart both may be."""
        return self.tolerance * self.scale + self.errors

    @property
    def agrees(self) -> bool:
        """Whether none is further apart than allowed."""
        return bool((self.apart <= self.allowed).all())

    @property
    def relative(self) -> float:
        """The largest distance, in units of the largest numeric derivative, or of its error where that is larger."""
        return _ratio(self.apart.max().item(), max(self.scale, self.errors.max().item()))

    @property
    def resolution(self) -> float:
        """The smallest relative mistake that would have shown everywhere but at kinks."""
        smooth = [found.error for found in self.numeric if not found.kink]
        return self.tolerance + _ratio(max(smooth, default=math.inf), self.scale)

    def worst(self) -> int:
        """Of the derivatives, that which is furthest beyond what is allowed; an entry rather than a direction."""
        beyond = torch.nan_to_num(self.apart / self.allowed, nan=0.0, posinf=torch.inf)
        entries = beyond[: len(self.entries)]
        return int((entries if bool((entries > 1).any()) or not bool((beyond > 1).any()) else beyond).argmax())


def probe(
    problem: Problem,
    blocks: Sequence[Block],
    centre: Tensor,
    entries: int,
    tolerance: float,
    generator: torch.Generator,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Probed]:
    """Every block of a problem."""
    gradients = problem.gradients(blocks)
    chosen = [_chosen(block, entries, generator) for block in blocks]
    total, done, found = sum(map(len, chosen)), 0, []
    for block, gradient, directions in zip(blocks, gradients, chosen, strict=True):
        goal = tolerance / 10 * gradient.abs().max().item() or 1e-9 * centre.norm().item()
        numeric = []
        for along in directions:
            numeric.append(problem.derivative(block, along, centre, goal))
            done += 1
            progress(done / total)
        moved = torch.tensor([int(along.argmax()) for along in directions if (along != 0).sum() == 1])
        analytic = torch.stack([along @ gradient for along in directions])
        found.append(Probed(block, moved, analytic, tuple(numeric), tolerance))
    return found


def _chosen(block: Block, entries: int, generator: torch.Generator) -> list[Tensor]:
    size = len(block.positions)
    moved = range(size) if size <= entries else torch.randperm(size, generator=generator)[:entries].sort().values
    units = [torch.zeros(size, dtype=torch.float64).index_fill_(0, torch.tensor([int(at)]), 1.0) for at in moved]
    return units if size <= entries else [*units, direction(block, generator)]


def _ratio(part: float, whole: float) -> float:
    if whole == 0:
        return 0.0 if part == 0 else float("inf")
    return part / whole
