"""What each path of a step sends back, as shares of what arrives: for all steps at once, and for any loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..._state import numbers
from .._gating import opened
from .._trajectory import Trajectory
from .gradient_flow import norms_of

ABOVE = "from above"
"""All that reads a state beside the next step of its own recurrence: the layer above, the head, attention."""
ELSEWHERE = "elsewhere"
"""What all ways but that through the squashed sum add to a jump: the layer above, and what zoneout keeps."""


class Paths:
    """The ways of a gradient from a step of a recurrence to the one before; made once, asked about many losses.

    Of a direction that runs backward "before" means later, as it does for that direction.

    Args:
        trajectory: of a recurrence; `Trajectory.only` leaves the sequences that are asked about.

    Raises:
        UnsupportedError: where the recurrence has no step that can be taken again.
    """

    def __init__(self, trajectory: Trajectory) -> None:
        self._opened = opened(trajectory, cut=True)
        self._shape = len(trajectory.after), len(trajectory.inputs[0])
        self._back = 1 if trajectory.place.reverse else -1
        self._linked = self._follows(trajectory)
        probed = self._opened.paths([torch.ones_like(part) for part in self._opened.after])
        carrying = [name for name, path in probed.items() if any(bool(part.any()) for part in path.before)] or [*probed]
        gates = [f"{gate.name} gate" for gate in self._opened.gates]
        self.names = tuple(name for name in (self._opened.direct, *gates) if name in carrying)
        squashed = [name for name in self.names if name in gates]
        alone = trajectory.place.kind.startswith("rnn_") or self._opened.direct not in self.names
        self._squashed = squashed[0] if len(squashed) == 1 and alone else None

    def shares(self, deltas: Sequence[Sequence[Tensor]]) -> dict[str, np.ndarray]:
        """⟨δ_path, δ⟩/‖δ‖² [time, batch]: of the gradient δ at z_t, what came on each path from the step after it.

        They sum to one. Paths that carry nothing at any step are left out; `ABOVE` comes last, and is zero, to
        rounding, where nothing but the next step reads z_t. NaN where nothing came from a step after it, or δ is zero.

        Args:
            deltas: the gradient at each step, the parts of the state [batch, …], as `Unrolled.gradients` gives it.
        """
        scaled, scale = self._scaled(deltas)
        target = [part.unflatten(0, self._shape).roll(-self._back, 0).flatten(0, 1) for part in scaled]
        found = self._opened.paths(scaled)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = scale / np.roll(scale, -self._back, 0) / self._inner(target, target)
            by_path = {name: self._received(self._inner(found[name].before, target) * factor) for name in self.names}
        return {**by_path, ABOVE: 1 - sum(by_path.values(), np.zeros(self._shape))}

    def split(self, deltas: Sequence[Sequence[Tensor]]) -> dict[str, np.ndarray] | None:
        """The jump r = ln ‖δ at z_t‖ − ln ‖δ at the step after it‖ [time, batch], in nats: the sum of these three.

        "squashing" is ln(‖σ′ ⊙ δ‖/‖δ‖), "weights" ln(‖Wᵀ(σ′ ⊙ δ)‖/‖σ′ ⊙ δ‖), and `ELSEWHERE` what comes on other ways
        makes of that: zero, to rounding, where there are none. `None` for a recurrence that does not squash one sum, as
        an RNN does. NaN as for `shares`.

        Args:
            deltas: as for `shares`.
        """
        if self._squashed is None:
            return None
        scaled, scale = self._scaled(deltas)
        path = self._opened.paths(scaled)[self._squashed]
        assert path.total is not None
        with np.errstate(divide="ignore", invalid="ignore"):
            at_state, at_sum, before = (
                np.log(norms_of(parts).reshape(self._shape)) for parts in (scaled, [path.total], path.before)
            )
            whole = at_state + np.log(scale)
            jump = np.roll(whole, -self._back, 0) - whole
            squashing, weights = at_sum - at_state, before - at_sum
            found = {"squashing": squashing, "weights": weights, ELSEWHERE: jump - squashing - weights}
        return {name: self._received(np.where(np.isnan(jump), np.nan, part)) for name, part in found.items()}

    def _scaled(self, deltas: Sequence[Sequence[Tensor]]) -> tuple[list[Tensor], np.ndarray]:
        """Each gradient brought to a norm of 1, and the norm it had; NaN where that is zero or not finite."""
        parts = [torch.cat(list(step)) for step in zip(*deltas, strict=True)]
        norms = norms_of(parts)
        norms = np.where((norms > 0) & np.isfinite(norms), norms, np.nan)
        scale = torch.from_numpy(norms).to(parts[0])
        scaled = [
            torch.where(_beside(scale > 0, part), part / _beside(scale, part), torch.zeros_like(part)) for part in parts
        ]
        return scaled, norms.reshape(self._shape)

    def _inner(self, one: Sequence[Tensor], other: Sequence[Tensor]) -> np.ndarray:
        products = [(a.double() * b.double()).flatten(1).sum(1) for a, b in zip(one, other, strict=True)]
        return torch.stack(products).sum(0).reshape(self._shape).cpu().numpy()

    def _received(self, sent: np.ndarray) -> np.ndarray:
        """From the step that sent it to the one that it reached."""
        return np.roll(np.where(self._linked, sent, np.nan), self._back, 0)

    def _follows(self, trajectory: Trajectory) -> np.ndarray:
        """Where a step has read the state that the step before it made, and not a fresh one [time, batch]."""
        steps, size = self._shape
        linked = torch.zeros(steps, size, dtype=torch.bool)
        for time in range(steps):
            earlier = time + self._back
            if 0 <= earlier < steps:
                read = numbers(trajectory.before[time])
                same = [(a == b).flatten(1).all(1) for a, b in zip(read, trajectory.parts(earlier), strict=True)]
                linked[time] = torch.stack(same).all(0).cpu()
        return linked.numpy()


def _beside(rows: Tensor, part: Tensor) -> Tensor:
    return rows.reshape(-1, *(1,) * (part.dim() - 1))
