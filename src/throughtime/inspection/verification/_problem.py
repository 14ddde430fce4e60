"""A loss as a function of parameters, inputs and state, all in float64 and free to be moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..._errors import ConfigurationError
from ..._state import detach, leaves, tracked
from ..._types import Batch, Loss, State
from ...gradients._random import Replay
from ...gradients.strategy import add_gradient, step_losses
from ...nn._stack import Stack
from .._unrolling import check_finite, in_float64, taking_state
from ._blocks import Block, blocks_of, whole
from ._differences import Difference, difference


@dataclass(frozen=True)
class Problem:
    """One forward of a model over a batch, from a state.

    Args:
        model, batch, state: copies in float64, whose tensors may be moved.
        loss: as for `gradcheck`.
        replay: draws the same random numbers at each forward.
    """

    model: nn.Module
    batch: Batch
    loss: Loss
    state: State
    replay: Replay

    @classmethod
    def of(cls, model: nn.Module, batch: Batch, loss: Loss) -> Problem:
        """In evaluation mode, of a copy.

        Raises:
            ConfigurationError: where no parameter requires a gradient.
        """
        copy, whole_batch = in_float64(model, batch)
        if not any(parameter.requires_grad and parameter.numel() for parameter in copy.parameters()):
            raise ConfigurationError(
                f"no parameter of {type(model).__name__} requires a gradient: there is nothing to check; "
                "call requires_grad_() on those that are to be learned"
            )
        for part in copy.eval().modules():
            if isinstance(part, Stack) and part.backend == "native":
                part.backend = "auto"  # the kernels have no float64
        for parameter in copy.parameters():
            parameter.data = parameter.data.contiguous()
        return cls(copy, _with_leaf(whole_batch), loss, None, Replay(copy))

    @property
    def steps(self) -> int:
        """T."""
        return len(self.batch.inputs)

    def blocks(self) -> list[Block]:
        """What the loss is a function of: the parameters by gate, inputs and state where they are numbers."""
        inputs = self.batch.inputs
        beside = [whole("inputs", inputs)] if inputs.is_floating_point() and inputs.numel() else []
        parts = [(name, part) for name, part in leaves(self.state) if part.requires_grad and part.numel()]
        pair = [name for name, _ in parts] == ["0", "1"]
        for name, part in parts:
            shown = ("h", "C")[int(name)] if pair else name
            beside.append(whole(f"the state {shown}".rstrip(), part))
        return [*blocks_of(self.model), *beside]

    def losses(self) -> Tensor:
        """What each step's loss counts [time, batch]."""
        with self._calm():
            return self._weighted(self.batch, self.state)[0]

    def gradients(self, blocks: Sequence[Block]) -> list[Tensor]:
        """The analytic gradient of each block, flat, by the model's own backward.

        Raises:
            ConfigurationError: where the loss depends on no parameter.
        """
        for block in blocks:
            block.tensor.grad = None
        with self._calm(), torch.enable_grad():
            add_gradient(self._weighted(self.batch, self.state)[0].sum())
        grads = [block.tensor.grad for block in blocks]
        return [
            torch.zeros(len(block.positions), dtype=torch.float64) if grad is None else _flat(grad)[block.positions]
            for block, grad in zip(blocks, grads, strict=True)
        ]

    def derivative(self, block: Block, along: Tensor, centre: Tensor, goal: float) -> Difference:
        """Of the sum of all losses, when `block` moves along a direction [entry]."""
        values = block.flat[block.positions]
        used = values[along != 0].square().mean().sqrt().item()
        everywhere = values.square().mean().sqrt().item()
        scale = max(used, everywhere) or 1.0

        def moved(h: float) -> Tensor:
            with _moved(block, h * along):
                return self.losses()

        return difference(moved, centre, scale, goal)

    def last_step(self, losses: Tensor) -> Problem | None:
        """The last step whose loss counts, from the state there; `None` where it is the only one."""
        counting = (losses != 0).any(1).nonzero()
        step = int(counting[-1]) if len(counting) else 0
        if step == 0:
            return None
        state = tracked(self.states(step + 1)[step])
        return replace(
            self, batch=_with_leaf(self.batch.segment(step, step + 1)), state=state, replay=Replay(self.model)
        )

    def states(self, steps: int) -> list[State]:
        """Before each step."""
        found: list[State] = [None]
        with self._calm():
            for time in range(steps - 1):
                found.append(detach(self._weighted(self.batch.segment(time, time + 1), found[-1])[1]))
        return found

    def losses_from(self, time: int, state: State) -> Tensor:
        """Of one step alone, from the state before it [batch]."""
        with self._calm():
            return self._weighted(self.batch.segment(time, time + 1), state)[0][0]

    def terms(self, block: Block, along: Tensor, states: Sequence[State]) -> Tensor:
        """M[t, s]: what ℓ_s, summed over the batch, owes to moving `block` along a direction in step t alone."""
        terms = torch.zeros(self.steps, self.steps, dtype=torch.float64)
        scale = 1e-5 * (block.flat.square().mean().sqrt().item() or 1.0)
        for time in range(self.steps):
            ends = [self._from(block, h * along, time, states[time]) for h in (scale, -scale)]
            terms[time, time:] = (ends[0] - ends[1]).sum(1).cpu() / (2 * scale)
        return terms

    def _from(self, block: Block, shift: Tensor, time: int, state: State) -> Tensor:
        """The losses from a step on, in which alone `block` is moved."""
        with self._calm():
            with _moved(block, shift):
                first, after = self._weighted(self.batch.segment(time, time + 1), state)
            if time + 1 == self.steps:
                return first
            return torch.cat([first, self._weighted(self.batch.segment(time + 1, self.steps), after)[0]])

    @contextmanager
    def _calm(self) -> Iterator[None]:
        """No gradient; the same random numbers each time; not by cuDNN, which has no backward in evaluation mode."""
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=False), self.replay.undone(), self.replay(self.steps):
            yield

    def _weighted(self, batch: Batch, state: State) -> tuple[Tensor, State]:
        values, weights, after = step_losses(taking_state(self.model), batch, self.loss, state)
        return values if weights is None else values * weights, after


def checked_losses(problem: Problem, name: str) -> Tensor:
    """The losses where everything is as it was given.

    Raises:
        DataError: for a loss that is not finite.
        ConfigurationError: for one that is another at each call.
    """
    losses = problem.losses()
    shown = losses.T if getattr(problem.model, "batch_first", False) else losses
    for time, row in enumerate(shown):
        check_finite(row, "the loss", time)
    if not torch.equal(losses, problem.losses()):
        raise ConfigurationError(
            f"the loss of {name} is another at each call: it draws random numbers that torch.manual_seed does not fix, "
            "or keeps something from call to call; neither leaves a derivative to check"
        )
    return losses


def direction(block: Block, generator: torch.Generator) -> Tensor:
    """Of length 1, ±1 of the same size in each entry."""
    signs = torch.randint(0, 2, (len(block.positions),), generator=generator).double() * 2 - 1
    return signs / len(block.positions) ** 0.5


@contextmanager
def _moved(block: Block, shift: Tensor) -> Iterator[None]:
    flat = block.flat
    before = flat[block.positions]
    flat[block.positions] = before + shift.to(flat)
    try:
        yield
    finally:
        flat[block.positions] = before


def _with_leaf(batch: Batch) -> Batch:
    if not batch.inputs.is_floating_point():
        return batch
    return replace(batch, inputs=batch.inputs.detach().clone(memory_format=torch.contiguous_format).requires_grad_())


def _flat(grad: Any) -> Tensor:
    return grad.detach().to("cpu", torch.float64).reshape(-1)
