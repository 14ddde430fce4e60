"""One step of a built-in recurrence with its weights and its noise, as cells and layers take it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict, TypeGuard

import torch
from torch import Tensor

from .._errors import ShapeError
from .._state import leaves, map_state
from .._types import State
from .options import Noise, Recurrence


class Masked(TypedDict):
    """A state in training under variational dropout: torch's own, and the masks of the sequence it belongs to.

    A cell's masks are tensors [batch, size]; a layer's are tuples of them, one for each layer and direction.
    It is a plain dict, as a state is kept in checkpoints.
    """

    state: State
    input_mask: Any
    recurrent_mask: Any


def is_masked(state: State) -> TypeGuard[Masked]:
    """Whether a state carries masks."""
    return isinstance(state, dict) and state.keys() == Masked.__annotations__.keys()


def without_masks(state: State) -> State:
    """torch's own state, whether there are masks beside it or not."""
    return state["state"] if is_masked(state) else state


def map_plain(
    function: Callable[[Tensor], Tensor], state: State, mask_function: Callable[[Tensor], Tensor] | None = None
) -> State:
    """Apply `function` to the tensors of a state, and `mask_function`, if any, to those of its masks."""
    if not is_masked(state):
        return map_state(function, state)
    masks = (state["input_mask"], state["recurrent_mask"])
    input_mask, recurrent_mask = masks if mask_function is None else map_state(mask_function, masks)
    plain = map_state(function, state["state"])
    return Masked(state=plain, input_mask=input_mask, recurrent_mask=recurrent_mask)


Visit: TypeAlias = Callable[[Tensor, State, State], State]
"""`after = visit(x, before, after)`: sees a step when it has been taken, and may replace the state that goes on."""


@dataclass(frozen=True)
class Step:
    """`output, state = step(x, state)`, x [batch, feature]."""

    recurrence: Recurrence
    parameters: Mapping[str, Tensor]
    noise: Noise
    training: bool
    visit: Visit | None = None

    def __call__(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        state = self.ready(state)
        masks = state if is_masked(state) else None
        before = without_masks(state)
        recurrent_mask = None if masks is None else masks["recurrent_mask"]
        if masks is not None and masks["input_mask"] is not None:
            x = x * masks["input_mask"]
        after = self.recurrence.equation(x, before, recurrent_mask=recurrent_mask, **self.parameters)
        after = self._zoned_out(after, before)
        if self.visit is not None:
            after = self.visit(x, before, after)
        output = after[0] if isinstance(after, tuple) else after
        return output, after if masks is None else {**masks, "state": after}

    def ready(self, state: State) -> State:
        """A state with the masks that this step needs, drawn if there are none, and without where it needs none."""
        if is_masked(state) and self._masking:
            self._check_masks(state)
            return state
        return self.begin(without_masks(state))

    def begin(self, state: State) -> State:
        """A plain state as the beginning of a sequence: with masks of its own."""
        if not self._masking:
            return state
        _, h = next(leaves(state))
        input_mask, recurrent_mask = (draw_mask(rate, (len(h), size), h) for rate, size in self._mask_sizes())
        return Masked(state=state, input_mask=input_mask, recurrent_mask=recurrent_mask)

    def _mask_sizes(self) -> list[tuple[float, int]]:
        """The rates of the masks of the input and of h, and how many features each has."""
        noise, parameters = self.noise, self.parameters
        return [
            (noise.input_dropout, parameters["weight_ih"].shape[1]),
            (noise.recurrent_dropout, parameters["weight_hh"].shape[1]),
        ]

    def _check_masks(self, state: Masked) -> None:
        masks = (state["input_mask"], state["recurrent_mask"])
        for mask, (rate, size) in zip(masks, self._mask_sizes(), strict=True):
            given = None if mask is None else mask.shape[-1]
            wanted = size if rate else None
            if given != wanted:
                raise ShapeError(
                    f"the state has a dropout mask of {given or 'no'} features, expected {wanted or 'none'}: "
                    "it is another layer's state; its ['state'] may be passed alone"
                )

    @property
    def _masking(self) -> bool:
        return self.training and self.noise.masks

    def _zoned_out(self, after: State, before: State) -> State:
        if not any(self.noise.zoneout):
            return after
        if isinstance(after, tuple):
            return tuple(self._zone(*parts) for parts in zip(after, before, self.noise.zoneout, strict=True))
        return self._zone(after, before, self.noise.zoneout[0])

    def _zone(self, after: Tensor, before: Tensor, rate: float) -> Tensor:
        if not self.training:
            return rate * before + (1 - rate) * after
        return torch.where(_draw(after.shape, rate, after), before, after)


def draw_mask(rate: float, shape: tuple[int, ...], like: Tensor) -> Tensor | None:
    """An inverted dropout mask, 0 with probability `rate` and 1 / (1 − rate) elsewhere; none for a rate of 0."""
    if rate == 0:
        return None
    return (~_draw(shape, rate, like)).to(like.dtype) / (1 - rate)


def drop_weight(parameters: dict[str, Tensor], rate: float, training: bool) -> dict[str, Tensor]:
    """The parameters of one call, elements of `weight_hh` dropped in training (Merity et al. 2018)."""
    weight = parameters["weight_hh"]
    mask = draw_mask(rate if training else 0.0, tuple(weight.shape), weight)
    return parameters if mask is None else {**parameters, "weight_hh": weight * mask}


def _draw(shape: tuple[int, ...] | torch.Size, rate: float, like: Tensor) -> Tensor:
    """True with probability `rate`: from the CPU's generator, one number after the other whatever the threads."""
    return (torch.rand(shape, device="cpu", dtype=torch.float32) < rate).to(like.device)
