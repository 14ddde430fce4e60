"""Beam search: of all beginnings of a sequence, the likeliest few are kept."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Categorical

from ..._state import map_state
from ..._types import State


def beam_search(
    step: Callable[[Tensor, State], tuple[Categorical, State]],
    first: Tensor,
    state: State,
    axes: State,
    steps: int,
    end: int | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The likeliest sequence that is found for each of a batch.

    Args:
        step: `distribution, state = step(previous [1, batch × beams], state)`.
        first: what stands before the first symbol, [batch, beams].
        state: the state before it, of batch × beams sequences, the beams of one beside each other.
        axes: the batch axis of each tensor of the state.
        steps: how many symbols at most.
        end: the symbol at which a sequence ends, if there is one.

    Returns:
        The sequences [time, batch], filled up with the end symbol, their lengths [batch], the end symbol counted, and
        their log-probabilities [batch].

    Example:
        >>> rigged = lambda previous, state: (Categorical(torch.tensor([[[0.4, 0.6]]])), state)
        >>> sequences, lengths, log_probs = beam_search(rigged, torch.tensor([[0]]), None, None, 3, end=1)
        >>> sequences.tolist(), lengths.tolist(), log_probs.exp()
        ([[1]], [1], tensor([0.6000]))
    """
    batch, beams = first.shape
    origins = torch.arange(batch, device=first.device)[:, None] * beams
    scores = torch.zeros(batch, beams, device=first.device)
    scores[:, 1:] = -torch.inf  # all beams are the same at first: one of them may go on
    symbols, paths = first, first[None][:0]
    lengths, done = torch.zeros_like(first), torch.zeros_like(first, dtype=torch.bool)
    for _ in range(steps):
        distribution, state = step(symbols.view(1, -1), state)
        gains = distribution.logits[0].view(batch, beams, -1)
        if end is not None:
            staying = torch.full_like(gains[0, 0], -torch.inf).index_fill(0, torch.tensor(end, device=gains.device), 0)
            gains = torch.where(done[..., None], staying, gains)
        scores, chosen = (scores[..., None] + gains).flatten(1).topk(beams)
        parents, symbols = chosen // gains.shape[-1], chosen % gains.shape[-1]
        kept = (origins + parents).flatten()
        state = map_state(lambda part, axis, kept=kept: part.index_select(axis, kept), state, axes)
        paths = torch.cat([paths.gather(2, parents.expand_as(paths)), symbols[None]])
        done = done.gather(1, parents)
        lengths = lengths.gather(1, parents) + ~done
        done = done if end is None else symbols == end
        if done.all():
            break
    return paths[..., 0], lengths[:, 0], scores[:, 0]
