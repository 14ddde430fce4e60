"""A sequence as one vector, after each of its steps: the mean of those so far, or a learnt weighting of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._errors import ConfigurationError, ShapeError
from .._types import State
from ..ops import linear_recurrence
from ._checks import check_features, check_lengths, check_resets
from .linear import Linear


class RunningMean(nn.Module):
    """The mean of all steps so far; at the last step, mean pooling.

    Its state is `{"sum": [batch, input_size], "count": [batch, 1]}`.

    Args:
        input_size: features of x and of the output.

    Raises:
        ConfigurationError: for a size below 1.

    Example:
        >>> layer = RunningMean(1)
        >>> output, state = layer(torch.tensor([1.0, 3.0, 8.0]).reshape(3, 1, 1))
        >>> output[:, 0, 0], state["count"].item()
        (tensor([1., 2., 4.]), 3.0)
    """

    streams = True

    def __init__(self, input_size: int) -> None:
        super().__init__()
        _check_size("RunningMean", input_size)
        self.input_size = input_size

    @property
    def output_size(self) -> int:
        """The number of features of the output."""
        return self.input_size

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
        """No step yet."""
        return {
            "sum": torch.zeros(batch_size, self.input_size, device=device, dtype=dtype),
            "count": torch.zeros(batch_size, 1, device=device, dtype=dtype),
        }

    def forward(
        self, x: Tensor, state: State = None, *, lengths: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The means of x [time, batch, input_size] and of what came before, [time, batch, input_size].

        Args:
            state: the state before the first step; `None` has seen nothing.
            lengths: integers [batch]; outputs past them are zero, the state is each sequence's own last.
            resets: bool [time, batch]; what came before these steps is forgotten.

        Raises:
            ShapeError: where x does not fit the layer, or state, lengths or resets contradict it.
        """
        state = _checked(self, x, state, lengths, resets)
        padding = _padding(x, lengths)
        x = _shown(x, padding)
        sums, counts = _accumulated(x, torch.ones_like(x[..., :1]), state["sum"], state["count"], None, padding, resets)
        after = {"sum": _last(sums, state["sum"]), "count": _last(counts, state["count"])}
        return _shown(sums / counts.clamp(min=1), padding), after

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return str(self.input_size)


class RunningAttention(nn.Module):
    """The mean of all steps so far, each weighted by what is learnt to matter; at the last step, attention pooling.

    Step i has the score s_i = v · tanh(W x_i + b); output t is Σ softmax(s_1 … s_t)_i x_i, computed in one pass: the
    greatest score so far, and the sums of exp(s_i − greatest) x_i and of exp(s_i − greatest), are all that is kept. No
    query is needed, as there is one question: which label. v begins at zero, so that the first output is the mean.

    Its state is `{"greatest": [batch, 1], "weighted": [batch, input_size], "weight": [batch, 1]}`.

    Args:
        input_size: features of x and of the output.
        hidden_size: of the scores' hidden layer; `input_size` by default.

    Raises:
        ConfigurationError: for a size below 1.

    Example:
        >>> layer = RunningAttention(1)
        >>> output, _ = layer(torch.tensor([1.0, 3.0, 8.0]).reshape(3, 1, 1))
        >>> output[:, 0, 0].tolist()
        [1.0, 2.0, 4.0]

    References:
        Bahdanau, Cho & Bengio, "Neural machine translation by jointly learning to align and translate" (2015),
        https://arxiv.org/abs/1409.0473; Milakov & Gimelshein, "Online normalizer calculation for softmax" (2018),
        https://arxiv.org/abs/1805.02867.
    """

    streams = True

    def __init__(self, input_size: int, hidden_size: int | None = None, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        _check_size("RunningAttention", input_size, hidden_size)
        self.input_size = input_size
        self.hidden_size = input_size if hidden_size is None else hidden_size
        self.hidden = Linear(input_size, self.hidden_size, True, device, dtype)
        self.score = Linear(self.hidden_size, 1, False, device, dtype)
        nn.init.zeros_(self.score.weight)

    @property
    def output_size(self) -> int:
        """The number of features of the output."""
        return self.input_size

    def initial_state(self, batch_size: int, *, device: Any = None, dtype: Any = None) -> State:
        """No step yet: the greatest score is the least number there is."""
        like = self.score.weight
        where = {"device": device or like.device, "dtype": dtype or like.dtype}
        return {
            "greatest": torch.full((batch_size, 1), torch.finfo(where["dtype"]).min, **where),
            "weighted": torch.zeros(batch_size, self.input_size, **where),
            "weight": torch.zeros(batch_size, 1, **where),
        }

    def forward(
        self, x: Tensor, state: State = None, *, lengths: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The weighted means of x [time, batch, input_size] and of what came before, [time, batch, input_size].

        Args:
            state: the state before the first step; `None` has seen nothing.
            lengths: integers [batch]; outputs past them are zero, the state is each sequence's own last.
            resets: bool [time, batch]; what came before these steps is forgotten.

        Raises:
            ShapeError: where x does not fit the layer, or state, lengths or resets contradict it.
        """
        check_features("RunningAttention", x, self.input_size, self.score.weight)
        state = _checked(self, x, state, lengths, resets)
        padding = _padding(x, lengths)
        x = _shown(x, padding)
        scores = self.score(torch.tanh(self.hidden(x))).to(x.dtype)
        # The greatest score only keeps numbers small: it divides out, and no gradient passes through it.
        greatest = _greatest(scores.detach(), state["greatest"].detach(), padding, resets)
        keep = (torch.cat([state["greatest"].detach()[None], greatest[:-1]])[: len(x)] - greatest).exp()
        weights = (scores - greatest).exp()
        before = state["weighted"], state["weight"]
        weighted, weight = _accumulated(weights * x, weights, *before, keep, padding, resets)
        after = {
            "greatest": _last(greatest, state["greatest"]),
            "weighted": _last(weighted, state["weighted"]),
            "weight": _last(weight, state["weight"]),
        }
        empty = padding if padding is not None else torch.zeros_like(weight, dtype=torch.bool)
        return _shown(weighted / weight.masked_fill(empty, 1), padding), after

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"{self.input_size}, {self.hidden_size}"


def _accumulated(
    values: Tensor,
    weights: Tensor,
    sum_: Tensor,
    weight: Tensor,
    keep: Tensor | None,
    padding: Tensor | None,
    resets: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The sums of `values` and of `weights` so far, [time, batch, feature or 1], from those before the first step.

    Each step what there was is multiplied by `keep` [time, batch, 1]: afresh at resets, at rest in the padding.
    """
    both, before = torch.cat([values, weights], -1), torch.cat([sum_, weight], -1)
    if padding is not None:
        both = both.masked_fill(padding, 0)
        keep = None if keep is None else keep.masked_fill(padding, 1)
    if not len(both):
        sums = both
    elif keep is None and resets is None:
        sums = before + both.cumsum(0)
    else:
        keep = torch.ones_like(weights) if keep is None else keep
        if resets is not None:
            afresh = resets[..., None] if padding is None else resets[..., None] & ~padding
            keep = keep.masked_fill(afresh, 0)
        sums = linear_recurrence(keep.expand_as(both), both, before)
    return sums[..., :-1], sums[..., -1:]


def _greatest(scores: Tensor, before: Tensor, padding: Tensor | None, resets: Tensor | None) -> Tensor:
    """The greatest score of each sequence so far, [time, batch, 1]; doubling the stretch looked at until it is all."""
    if padding is not None:
        scores = scores.masked_fill(padding, torch.finfo(scores.dtype).min)
    timeline = torch.cat([before[None], scores])
    if resets is None:
        return timeline.cummax(0).values[1:]
    afresh = resets if padding is None else resets & ~padding[..., 0]
    numbers = torch.cat([torch.zeros_like(resets[:1], dtype=torch.long), afresh.cumsum(0)])[..., None]
    reach = 1
    while reach < len(timeline):
        same = numbers[reach:] == numbers[:-reach]
        further = torch.where(same, torch.maximum(timeline[reach:], timeline[:-reach]), timeline[reach:])
        timeline = torch.cat([timeline[:reach], further])
        reach *= 2
    return timeline[1:]


def _last(course: Tensor, before: Tensor) -> Tensor:
    """The last row of what stands still in the padding."""
    return course[-1] if len(course) else before


def _shown(values: Tensor, padding: Tensor | None) -> Tensor:
    return values if padding is None else values.masked_fill(padding, 0)


def _padding(x: Tensor, lengths: Tensor | None) -> Tensor | None:
    """Where a sequence is over, [time, batch, 1]."""
    return None if lengths is None else (torch.arange(len(x), device=x.device)[:, None] >= lengths)[..., None]


def _check_size(name: str, input_size: int, hidden_size: int | None = None) -> None:
    if input_size < 1 or (hidden_size is not None and hidden_size < 1):
        beside = "" if hidden_size is None else f", hidden_size={hidden_size}"
        raise ConfigurationError(f"{name}(input_size={input_size}{beside}): expected sizes of at least 1")


def _checked(layer: RunningMean | RunningAttention, x: Tensor, state: State, lengths: Any, resets: Any) -> State:
    """The state to begin with, after all that was given has been looked at."""
    name = type(layer).__name__
    if x.dim() != 3 or x.shape[2] != layer.input_size:
        raise ShapeError(f"{name} got x {list(x.shape)}, expected [time, batch, {layer.input_size}]")
    time, batch = x.shape[:2]
    if lengths is not None:
        check_lengths(name, lengths, time, batch, x.device)
    if resets is not None:
        check_resets(name, resets, time, batch, x.device)
    fresh = layer.initial_state(batch, device=x.device, dtype=x.dtype)
    if state is None:
        return fresh
    if not isinstance(state, dict) or set(state) != set(fresh):
        raise ShapeError(f"{name} got a state that is a {type(state).__name__} of another layer; pass on its own")
    for part, wanted in fresh.items():
        if state[part].shape != wanted.shape:
            raise ShapeError(f"{name} got a state {part} {list(state[part].shape)}, expected {list(wanted.shape)}")
    return state
