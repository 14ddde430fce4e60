"""Vectors, element by element, the past summarised by a running sum: what NADE and RNADE share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import init
from torch.utils.checkpoint import checkpoint

from .._errors import ConfigurationError, ShapeError
from .._state import select
from .._types import State
from ..nn._checks import check_lengths, check_resets
from .contract import Density, Streaming


class RunningSum(nn.Module, Streaming, Density):
    """p(x) = ∏ p(x_d | x_<d) with hidden units that read a_d + c, where a_{d+1} = a_d + W_d(x_d) and a_1 = 0.

    Its parameters are `weight` W, `bias` c, `output_weight` V and `output_bias` b. Elements are counted in the model's
    order: d stands for `order[d]`.
    """

    streams = True
    piece_numbers: ClassVar[int] = 2**24
    """How many numbers `log_prob` keeps for its gradient; where there are more, it computes them again instead."""

    order: Tensor

    def __init__(
        self, size: int, hidden_size: int, order: Sequence[int] | Tensor | None, values: tuple[int, ...], outputs: int
    ) -> None:
        super().__init__()
        if size < 1 or hidden_size < 1:
            name = type(self).__name__
            raise ConfigurationError(f"{name}(size={size}, hidden_size={hidden_size}): expected at least 1 of each")
        self.size = size
        self.hidden_size = hidden_size
        self.weight = nn.Parameter(torch.empty(size, *values, hidden_size))
        self.bias = nn.Parameter(torch.empty(hidden_size))
        self.output_weight = nn.Parameter(torch.empty(size, outputs, hidden_size))
        self.output_bias = nn.Parameter(torch.empty(size, outputs))
        self.register_buffer("order", _permutation(order, size))

    def reset_parameters(self) -> None:
        """Draw new weights, uniform within one over the root of what each sums; biases are zero."""
        init.uniform_(self.weight, -(self.size**-0.5), self.size**-0.5)
        init.uniform_(self.output_weight, -(self.hidden_size**-0.5), self.hidden_size**-0.5)
        init.zeros_(self.bias)
        init.zeros_(self.output_bias)

    @abstractmethod
    def _read(self, x: Tensor) -> Tensor:
        """The elements, any shape, as they are computed with; others than the model's are refused."""

    @abstractmethod
    def _contribution(self, index: Tensor, x: Tensor) -> Tensor:
        """W_d(x_d) [time, batch, hidden] of the elements x [time, batch] at `index` [time, batch or 1]."""

    @abstractmethod
    def _hidden(self, summed: Tensor, positions: Tensor) -> Tensor:
        """The hidden units [time, batch, hidden] that read a + c, at `positions` [time, batch or 1]."""

    @abstractmethod
    def _distribution(self, outputs: Tensor) -> Distribution:
        """The distribution whose unconstrained parameters are `outputs` [time, batch, outputs]."""

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
        """`{"preactivation": zeros [batch, hidden_size], "position": zeros [batch]}`: nothing has been seen.

        The bias is added when the pre-activation is read, so that no state holds a copy of a parameter.
        """
        device, dtype = device or self.weight.device, dtype or self.weight.dtype
        return {
            "preactivation": torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype),
            "position": torch.zeros(batch_size, dtype=torch.long, device=device),
        }

    def forward(
        self, inputs: Tensor, state: State = None, *, lengths: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Distribution, State]:
        """The distribution of each element given those before it, and the state after the last step.

        Args:
            inputs: [time, batch], in the model's order; step t holds the element before the one that is predicted. At
                a vector's first element nothing is before it, and what stands there is not read.
            state: the state before the first step.
            lengths: integers [batch]: how many steps of each sequence are real.
            resets: bool [time, batch]: a new vector begins at these steps.

        Binary distributions take the elements themselves as floats, as torch's Bernoulli does.

        Raises:
            ShapeError: where state, lengths or resets contradict the inputs, or a vector goes on past its size.
            DataError: for elements that are not of the model's kind.
        """
        state = self._checked(inputs, state, lengths, resets)
        time = len(inputs)
        steps = torch.arange(time, device=inputs.device)[:, None]
        past = None if lengths is None else steps >= lengths
        begun = torch.full_like(inputs, -1, dtype=torch.long)
        if resets is not None and time:
            begun = torch.where(resets, steps, -1).cummax(0).values
        positions = torch.where(begun < 0, state["position"] + steps, steps - begun)
        self._check_positions(positions, past)
        positions = positions.clamp(max=self.size - 1)
        before = self._read(inputs.masked_fill(positions == 0 if past is None else past | (positions == 0), 0))
        alike = positions[:, :1] if resets is None and _all_equal(state["position"]) else positions
        summed = self._summed(alike, before)
        preactivation = state["preactivation"] + summed
        if resets is not None:
            at_reset = summed.gather(0, begun.clamp(min=0)[..., None].expand_as(summed))
            preactivation = torch.where((begun < 0)[..., None], preactivation, summed - at_reset)
        outputs = self._outputs(preactivation, alike)
        outputs = outputs if past is None else outputs.masked_fill(past[..., None], 0)
        return self._distribution(outputs), _last(state, preactivation, positions, lengths)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats of whole vectors x [batch, size], in their own order, [batch]; O(size · hidden_size) each.

        All elements are computed at once. Where that takes more than `piece_numbers` numbers, pieces follow each other,
        and the backward pass computes each again instead of keeping it.

        Raises:
            ShapeError: for another shape.
            DataError: for elements that are not of the model's kind.
        """
        if x.dim() != 2 or x.shape[1] != self.size:
            raise ShapeError(f"{type(self).__name__} got x {list(x.shape)}, expected [batch, {self.size}]")
        elements = self._read(x)[:, self.order].T
        before = torch.cat([torch.zeros_like(elements[:1]), elements[:-1]])
        width = max(1, x.shape[0] * (self.hidden_size + self.output_bias.shape[1]))
        steps = max(1, self.piece_numbers // width)
        run: Callable[..., Any] = self._piece
        if steps < self.size:
            run = partial(checkpoint, self._piece, use_reentrant=False, preserve_rng_state=False)
        preactivation = self.initial_state(x.shape[0])["preactivation"]
        total = torch.zeros_like(preactivation[:, 0])
        for start in range(0, self.size, steps):
            piece = slice(start, start + steps)
            positions = torch.arange(self.size, device=x.device)[piece, None]
            values, preactivation = run(positions, before[piece], elements[piece], preactivation)
            total = total + values
        return total

    @torch.no_grad()
    def sample(self, batch_size: int = 1) -> Tensor:
        """Draw vectors [batch_size, size], one element after the other, each fed back for the next."""
        state, drawn = self.initial_state(batch_size), []
        element = self.weight.new_zeros(1, batch_size)
        for _ in range(self.size):
            distribution, state = self(element, state)
            element = distribution.sample()
            drawn.append(element)
        return torch.cat(drawn)[self.order.argsort()].T

    def _piece(
        self, positions: Tensor, before: Tensor, elements: Tensor, preactivation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """log p of some elements [time, batch], summed over them, and the pre-activation after them."""
        after = preactivation + self._summed(positions, before)
        return self._distribution(self._outputs(after, positions)).log_prob(elements).sum(0), after[-1]

    def _summed(self, positions: Tensor, before: Tensor) -> Tensor:
        """What the elements up to each step add to the pre-activation, [time, batch, hidden]."""
        added = self._contribution(self.order[positions - 1], before)
        return added.masked_fill((positions == 0)[..., None], 0).cumsum(0)

    def _outputs(self, preactivation: Tensor, positions: Tensor) -> Tensor:
        hidden = self._hidden(preactivation + self.bias, positions)
        index = self.order[positions]
        outputs = torch.einsum("tbh,tboh->tbo", hidden, self.output_weight[index]) + self.output_bias[index]
        return outputs.to(torch.promote_types(outputs.dtype, torch.float32))

    def _checked(self, inputs: Tensor, state: State, lengths: Tensor | None, resets: Tensor | None) -> State:
        name = type(self).__name__
        if inputs.dim() != 2:
            raise ShapeError(f"{name} got inputs {list(inputs.shape)}, expected [time, batch], an element a step")
        time, batch = inputs.shape
        if lengths is not None:
            check_lengths(name, lengths, time, batch, inputs.device)
        if resets is not None:
            check_resets(name, resets, time, batch, inputs.device)
        if state is None:
            return self.initial_state(batch)
        if not isinstance(state, dict) or set(state) != {"preactivation", "position"}:
            raise ShapeError(f"{name} got a state that is a {type(state).__name__} of another model; pass on its own")
        given, wanted = list(state["preactivation"].shape), [batch, self.hidden_size]
        if given != wanted:
            raise ShapeError(f"{name} got a pre-activation {given}, expected {wanted} for this input")
        return state

    def _check_positions(self, positions: Tensor, past: Tensor | None) -> None:
        if torch.compiler.is_compiling() or not positions.numel():
            return
        furthest = int((positions if past is None else positions.masked_fill(past, 0)).max())
        if furthest >= self.size:
            raise ShapeError(
                f"{type(self).__name__} is asked for element {furthest + 1} of vectors of {self.size}: "
                "begin a new vector with state=None, or with resets"
            )


def _last(state: State, preactivation: Tensor, positions: Tensor, lengths: Tensor | None) -> State:
    """Each sequence's own last state; those without a step keep theirs."""
    if len(positions) == 0:
        return state
    if lengths is None:
        return {"preactivation": preactivation[-1], "position": positions[-1] + 1}
    row = (lengths - 1).clamp(min=0).long()[None]
    after = {
        "preactivation": preactivation.gather(0, row[..., None].expand(1, *preactivation.shape[1:]))[0],
        "position": positions.gather(0, row)[0] + 1,
    }
    return select(lengths > 0, after, state)


def _all_equal(position: Tensor) -> bool:
    return not torch.compiler.is_compiling() and bool((position == position[:1]).all())


def _permutation(order: Sequence[int] | Tensor | None, size: int) -> Tensor:
    if order is None:
        return torch.arange(size)
    given = order.tolist() if isinstance(order, Tensor) else list(order)
    if sorted(given) != list(range(size)):
        shown = given if size <= 20 else f"{given[:5]} …, {len(given)} of them"
        raise ConfigurationError(f"order={shown}: expected each of 0 … {size - 1} once, as torch.randperm({size})")
    return torch.tensor(given)
