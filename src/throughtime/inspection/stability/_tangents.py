"""Small changes of a state, carried through single steps of a recurrence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from ..._errors import DataError, UnsupportedError
from ..._state import leaves, map_state, numbers
from ..._types import Batch, State
from ...nn.visiting import Place
from .._trajectory import Trajectory, evaluated

_AGREEMENT = 1e-6
_ROWS = 4096
"""How many copies of a state are stepped at once."""


@dataclass(frozen=True)
class Stretch:
    """Steps of a recurrence without a reset, of some sequences side by side, in the order in which they are taken.

    Args:
        place: which recurrence.
        times: the step of the batch that each of them is [step, sequence].
        x: what they read [step, sequence, …].
        before: the state that they read, its tensors [step, sequence, …].
    """

    place: Place
    times: np.ndarray
    x: Tensor
    before: State

    @property
    def size(self) -> int:
        """n: how many numbers the state of one sequence is."""
        return sum(part[0, 0].numel() for part in numbers(self.before))

    def only(self, sequence: int) -> Stretch:
        """One sequence alone."""
        rows = slice(sequence, sequence + 1)
        return Stretch(
            self.place, self.times[:, rows], self.x[:, rows], map_state(lambda part: part[:, rows], self.before)
        )


def spans(batch: Batch, *, batch_first: bool = False) -> list[tuple[int, int]]:
    """Of each sequence its longest run of steps without a reset, as `range` takes it."""
    steps, sequences = batch.inputs.shape[:2][:: -1 if batch_first else 1]
    found = []
    for sequence in range(sequences):
        stop = steps if batch.lengths is None else int(batch.lengths[sequence])
        resets = [] if batch.resets is None else batch.resets[:stop, sequence].nonzero()[:, 0].tolist()
        edges = sorted({0, *resets, stop})
        found.append(max(pairwise(edges), key=lambda span: span[1] - span[0], default=(0, 0)))
    return found


def stretch_of(trajectory: Trajectory, chosen: Sequence[tuple[int, int]]) -> Stretch:
    """Those steps of a trajectory; of each run the first has no step before it, and is left out.

    Raises:
        UnsupportedError: for a state that grows, or whose tensors do not begin with the sequences.
    """
    length = min(stop - start for start, stop in chosen) - 1
    if trajectory.place.reverse:
        columns = [np.arange(stop - 2, stop - 2 - length, -1) for _, stop in chosen]
    else:
        columns = [np.arange(start + 1, start + 1 + length) for start, _ in chosen]
    times = np.stack(columns, 1)
    for _, part in leaves(trajectory.before[-1]):
        if part.dim() == 0 or len(part) != len(chosen):
            raise UnsupportedError(
                f"the state of {trajectory.name} holds a tensor {list(part.shape)} for {len(chosen)} sequences: "
                "expected the sequences as its first axis"
            )
    shapes = [[part.shape for _, part in leaves(state)] for state in (*trajectory.before, *trajectory.after)]
    if any(shape != shapes[0] for shape in shapes):
        raise UnsupportedError(f"the state of {trajectory.name} changes its shape from step to step: it is a cache")
    rows, beside = torch.from_numpy(times), torch.arange(len(chosen))

    def picked(*steps: Tensor) -> Tensor:
        return torch.stack([step.detach() for step in steps])[rows, beside]

    return Stretch(trajectory.place, times, picked(*trajectory.inputs), map_state(picked, *trajectory.before))


class Tangents:
    """∂z_t/∂z_{t−1} along a stretch, applied to directions or as a matrix.

    Directions stand beside each other as further sequences of the batch. They are pushed forward where the step has a
    forward derivative that agrees with its backward one; else the matrix is built of gradients.
    """

    def __init__(self, stretch: Stretch) -> None:
        if stretch.place.step is None:
            raise UnsupportedError(f"{stretch.place.name} has no step that can be taken again")
        self.stretch, self.size, self.step = stretch, stretch.size, stretch.place.step
        self.forward = self._is_forward_right()

    def push(self, time: int, directions: Tensor) -> Tensor:
        """J_t Q, of Q [sequence, n, k]."""
        if not self.forward:
            return self.jacobian(time) @ directions
        return self._pushed(self._beside(time, time + 1, directions.shape[2]), directions)

    def pull(self, time: int, directions: Tensor) -> Tensor:
        """J_tᵀ Q, of Q [sequence, n, k]: a gradient's way back."""
        return self._pulled(self._beside(time, time + 1, directions.shape[2]), directions)

    def jacobian(self, time: int) -> Tensor:
        """J_t [sequence, n, n]: row i holds the derivatives of the i-th number of z_t."""
        return next(self.jacobians(time, time + 1))

    def jacobians(self, start: int, stop: int) -> Iterator[Tensor]:
        """J_t of each of these steps, many of them computed side by side."""
        sequences = self.stretch.x.shape[1]
        together = max(1, _ROWS // (sequences * self.size))
        for first in range(start, stop, together):
            last = min(stop, first + together)
            unit = torch.eye(self.size, dtype=torch.float64, device=self.stretch.x.device)
            unit = unit.expand((last - first) * sequences, -1, -1)
            beside = self._beside(first, last, self.size)
            found = self._pushed(beside, unit) if self.forward else self._pulled(beside, unit).mT
            yield from found.unflatten(0, (last - first, sequences))

    def _pulled(self, beside: tuple[Tensor, State], directions: Tensor) -> Tensor:
        x, before = beside
        before = map_state(lambda part: part.requires_grad_(part.is_floating_point()), before)
        given = numbers(before)
        with torch.enable_grad(), self._evaluated():
            pairs = zip(numbers(self.step(x, before)), _parts(directions, given), strict=True)
            owed = [pair for pair in pairs if pair[0].requires_grad]
            if not owed:
                return torch.zeros_like(directions)
            after, cotangents = zip(*owed, strict=True)
            found = torch.autograd.grad(after, given, cotangents, allow_unused=True)
        full = [torch.zeros_like(part) if one is None else one for part, one in zip(given, found, strict=True)]
        return _directions(full, directions)

    def _pushed(self, beside: tuple[Tensor, State], directions: Tensor) -> Tensor:
        x, before = beside
        tangents = iter(_parts(directions, numbers(before)))
        with torch.no_grad(), forward_ad.dual_level(), self._evaluated():
            dual = map_state(
                lambda part: forward_ad.make_dual(part, next(tangents)) if part.is_floating_point() else part, before
            )
            moved = [forward_ad.unpack_dual(part) for part in numbers(self.step(x, dual))]
            full = [torch.zeros_like(one.primal) if one.tangent is None else one.tangent for one in moved]
        return _directions(full, directions)

    def _beside(self, first: int, last: int, copies: int) -> tuple[Tensor, State]:
        """x and the state of some steps as one batch, each sequence as often as there are directions."""

        def rows(part: Tensor) -> Tensor:
            return part[first:last].flatten(0, 1).repeat_interleave(copies, 0)

        return rows(self.stretch.x), map_state(rows, self.stretch.before)

    def _evaluated(self) -> Any:
        return evaluated(self.stretch.place.cell) if self.stretch.place.cell is not None else torch.enable_grad()

    def _is_forward_right(self) -> bool:
        """Whether ⟨u, J v⟩ is ⟨Jᵀ u, v⟩: an operation may lack a forward derivative, or silently give zeros."""
        time = len(self.stretch.x) // 2
        shape = (self.stretch.x.shape[1], self.size, 1)
        u, v = (random_directions(shape, seed).to(self.stretch.x.device) for seed in (1, 2))
        pulled = self.pull(time, u)
        try:
            pushed = self._pushed(self._beside(time, time + 1, 1), v)
        except (NotImplementedError, RuntimeError):
            return False
        scale = pulled.norm() * v.norm() + u.norm() * pushed.norm()
        return bool(((u * pushed).sum() - (pulled * v).sum()).abs() <= _AGREEMENT * scale)


def random_directions(shape: Sequence[int], seed: int) -> Tensor:
    """Orthonormal columns [sequence, n, k], the same at each call."""
    drawn = torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(drawn).Q


def _parts(directions: Tensor, like: Sequence[Tensor]) -> Iterator[Tensor]:
    """Directions [sequence, n, k] as tensors shaped like the parts of a state [sequence × k, …]."""
    rows = directions.mT.reshape(-1, directions.shape[1])
    widths = [part[0].numel() for part in like]
    for piece, part in zip(rows.split(widths, 1), like, strict=True):
        yield piece.reshape(part.shape).to(part.dtype)


def _directions(parts: Sequence[Tensor], like: Tensor) -> Tensor:
    """The way back from `_parts`."""
    rows = torch.cat([part.detach().flatten(1) for part in parts], 1).to(like.dtype)
    return rows.reshape(len(like), like.shape[2], -1).mT


def check_long_enough(name: str, steps: int, needed: int) -> None:
    """Refuse what is too short to say anything."""
    if steps < needed:
        raise DataError(
            f"the longest stretch of {name} without a reset has {steps} steps, expected {needed} at least: give longer "
            "sequences"
        )
