"""Exact backpropagation in less memory: states are kept here and there, and what lies between is run again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .._errors import ConfigurationError, UnsupportedError
from .._state import detach, leaves, size_of, tracked
from .._types import Batch, Loss, Segment, State
from ._meter import kept, metered
from ._random import Replay
from ._schedule import Advance, forwards, schedule
from ._units import bytes_of, in_words, whole_number
from .strategy import Strategy, add_gradient, advance, summed_loss

_MOST_CHUNKS = 512
_PER_ROOT, _FEWEST = 8, 1024
"""Calling a layer costs as much as dozens of steps: shorter chunks than these are worth it only in short sequences."""

_PROBES = 16, 64  # steps over which the bytes of a step are measured


@dataclass(frozen=True)
class Checkpointed(Strategy):
    """The gradient of the whole sequence, exactly, from states kept at the borders of chunks.

    The chunks are run once without their activations. Then, from the last to the first, each is run again from the
    state kept before it, its loss included, and the gradient passes through it into the one before. So the activations
    of one chunk are there at a time, and with them its outputs: logits of a million steps are never held at once.
    Inputs are anything that is sliced by `[a:b]`, so a memory map may be longer than memory.

    With `segment` or neither setting all borders are kept, and no chunk is run more than twice. With `memory`, as many
    as fit, and what is missing is run again in the order that needs the fewest forwards (`schedule`). The budget means
    states and the tensors saved in one chunk, both measured on the model and the batch; gradients, parameters, inputs
    and what an operation needs meanwhile are not in it.

    Dropout and other random draws are the same whenever a chunk is run again: of each chunk that draws, the generator's
    state is kept, 5 KB beyond the budget.

    Args:
        segment: steps in a chunk; `None` for √T of a long sequence, and more of one below a million steps: 8 √T, and
            1024 at most.
        memory: the budget, in bytes or as "256MB"; the chunks, 512 at most, are chosen to meet it in the least time.

    Raises:
        ConfigurationError: for settings out of range, both at once, or a budget that cannot be met: the message says
            what would do.
        UnsupportedError: for a state that grows with time.

    Example:
        >>> from throughtime import GRU
        >>> model = GRU(2, 3)
        >>> batch = Batch(torch.randn(100, 4, 2), torch.randn(100, 4, 3))
        >>> squared_error = lambda output, target: (output - target).square().sum(-1)
        >>> [(segment.start, segment.stop) for segment in Checkpointed().segments(model, batch, squared_error)]
        [(0, 100)]
        >>> Checkpointed(memory="40KB").plan(model, batch, squared_error)
        Plan(steps=100, segment=34, slots=2)

    References:
        Gruslys, Munos, Danihelka, Lanctot & Graves, "Memory-efficient backpropagation through time", NeurIPS 2016,
        https://arxiv.org/abs/1606.03401; Griewank & Walther, "Algorithm 799: revolve", ACM Transactions on
        Mathematical Software 26 (2000); Chen, Xu, Zhang & Guestrin, "Training deep nets with sublinear memory cost"
        (2016), https://arxiv.org/abs/1604.06174.
    """

    segment: int | None = None
    memory: int | str | None = None

    exact = True
    unbiased = True
    memory_order = "O(√T), or the budget"
    time_order = "at most 2; more where the budget is small"
    when = "the sequence does not fit into memory and every step counts"

    def __post_init__(self) -> None:
        if self.segment is not None and self.memory is not None:
            raise ConfigurationError("Checkpointed takes segment= or memory=, not both: the budget chooses the segment")
        if self.segment is not None:
            whole_number(self, "segment")
        if self.memory is not None:
            bytes_of(self.memory, "memory")

    def check(self, model: nn.Module, batch: Batch | None = None, loss: Loss | None = None) -> None:
        """As every strategy's; with a batch, whether the budget can be met."""
        super().check(model)
        if batch is not None and loss is not None:
            self.plan(model, batch, loss)

    def segments(self, model: nn.Module, batch: Batch, loss: Loss, carry: State = None) -> Iterator[Segment]:
        """One segment: all of it."""
        self.check(model)
        if batch.inputs.shape[0] == 0:
            return
        state, _ = self.unpacked(carry)
        yield _Reversal(model, batch, loss, self.plan(model, batch, loss, state)).run(state)

    def plan(self, model: nn.Module, batch: Batch, loss: Loss, state: State = None) -> Plan:
        """How a batch is divided, and how many states are kept; with a budget, from what its first steps take.

        Raises:
            ConfigurationError: where the budget cannot be met.
        """
        steps = batch.inputs.shape[0]
        if self.memory is None:
            root = isqrt(steps)
            segment = self.segment or max(1, root, min(steps, _PER_ROOT * root, _FEWEST))
            return Plan(steps, segment, max(0, -(-steps // segment) - 1))
        return _cheapest(steps, bytes_of(self.memory, "memory"), _measured(model, batch, loss, state))


class Plan(NamedTuple):
    """How a sequence is divided.

    Args:
        steps: of the whole.
        segment: steps in a chunk.
        slots: how many states are kept at a time beside the first.
    """

    steps: int
    segment: int
    slots: int

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.steps // self.segment)


class _Sizes(NamedTuple):
    """Bytes of a state, and of what a chunk saves: `fixed + each × steps`."""

    state: int
    fixed: int
    each: int

    def saved(self, steps: int) -> int:
        return self.fixed + self.each * steps


def _measured(model: nn.Module, batch: Batch, loss: Loss, before: State) -> _Sizes:
    """What the first steps of a batch take; random draws and gradients are left as they were."""
    found: list[tuple[int, int]] = []
    state: State = before
    for steps in _PROBES:
        piece = batch.segment(0, min(steps, batch.inputs.shape[0]))
        given = [part for _, part in leaves(before)]
        beside = [*model.parameters(), *model.buffers(), piece.inputs, piece.targets, *given]
        with Replay(model).undone(), metered(beside) as meter:
            loss_sum, _, state = summed_loss(model, piece, loss, before)
            found.append((piece.inputs.shape[0], meter.now))
            meter.forget()
            del loss_sum
        state = detach(state)
    (few, little), (many, much) = found
    each = -(-(much - little) // (many - few)) if many > few else -(-much // max(1, many))
    return _Sizes(size_of(state), max(0, much - each * many), each)


def _cheapest(steps: int, budget: int, sizes: _Sizes) -> Plan:
    """The plan of fewest steps run that keeps the budget; of equal ones, that of the fewest states."""
    plans: list[tuple[int, Plan]] = []
    least: list[int] = []
    for segment in sorted({-(-steps // chunks) for chunks in range(1, min(_MOST_CHUNKS, steps) + 1)}):
        chunks = -(-steps // segment)
        # Beside the states kept there are the one at work and the gradient that comes back.
        needed = sizes.saved(segment) + (2 * sizes.state if chunks > 1 else 0)
        least.append(needed)
        if needed <= budget:
            slots = min(chunks - 1, (budget - needed) // max(1, sizes.state))
            plans.append((forwards(chunks, slots) * segment, Plan(steps, segment, slots)))
    if not plans:
        raise ConfigurationError(
            f"Checkpointed(memory={in_words(budget)!r}) cannot be met for {steps} steps: a state takes "
            f"{in_words(sizes.state)} and a step saves {in_words(sizes.each)}; memory={in_words(min(least))!r} would do"
        )
    return min(plans)[1]


class _Reversal:
    """One pass through a batch and back."""

    def __init__(self, model: nn.Module, batch: Batch, loss: Loss, plan: Plan) -> None:
        self._model, self._batch, self._loss, self._plan = model, batch, loss, plan
        self._again = Replay(model)
        self._first_size: int | None = None
        self._cotangents: list[Tensor | None] = []
        self._sums: list[Tensor] = []
        self._counts: list[Tensor] = []

    def run(self, state: State) -> Segment:
        """Add the gradient of all losses to `.grad`, the first step being taken from `state`."""
        states, last = {0: state}, None
        for action in schedule(self._plan.chunks, self._plan.slots):
            if isinstance(action, Advance):
                states[action.stop] = kept(self._advanced(states[action.start], action))
            else:
                after = self._reversed(states.pop(action.chunk), action.chunk)
                last = after if last is None else last
        sums, counts = torch.stack(self._sums[::-1]).sum(), torch.stack(self._counts[::-1]).sum()
        return Segment(0, self._plan.steps, sums, counts, last)

    def _advanced(self, state: State, action: Advance) -> State:
        for chunk in range(action.start, action.stop):
            with self._again(chunk):
                state = advance(self._model, self._piece(chunk), state)
            self._check_size(state)
        return state

    def _reversed(self, state: State, chunk: int) -> State:
        """Back through one chunk, with the gradient of the state after it; that of the state before it is left."""
        state = tracked(state) if chunk else state
        with self._again(chunk):
            loss_sum, count, after = summed_loss(self._model, self._piece(chunk), self._loss, state)
        self._check_size(after)
        pulled = [
            (part, cotangent)
            for (_, part), cotangent in zip(leaves(after), self._cotangents, strict=False)
            if cotangent is not None and part.requires_grad
        ]
        if pulled:
            own = [(loss_sum, None)] if loss_sum.requires_grad else []
            roots, gradients = zip(*own, *pulled, strict=True)
            torch.autograd.backward(roots, gradients)
        else:
            add_gradient(loss_sum)
        self._cotangents = [part.grad for _, part in leaves(state)] if chunk else []
        self._sums.append(loss_sum.detach())
        self._counts.append(count)
        return detach(after)

    def _piece(self, chunk: int) -> Batch:
        start = chunk * self._plan.segment
        return self._batch.segment(start, min(start + self._plan.segment, self._plan.steps))

    def _check_size(self, state: State) -> None:
        size = size_of(state)
        if self._first_size is None:
            self._first_size = size
        elif size > self._first_size:
            raise UnsupportedError(
                f"the state of {type(self._model).__name__} grows with time, from {in_words(self._first_size)} to "
                f"{in_words(size)} after another {self._plan.segment} steps, so keeping it saves no memory: use Full() "
                "or Truncated()"
            )
