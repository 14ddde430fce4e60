"""Causal attention to the last steps, of whole sequences at once or of pieces that follow one another."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from .._state import select
from .._types import State
from ..ops import attention_weights
from .attention import MultiHeadAttention
from .positions import Rotation


class Window:
    """What of the past each step of one call sees; the same in all layers.

    Steps are taken in blocks of up to `context`, a block with what it sees before it, so that work and memory grow
    with time × context. Before the first step stand the `context` − 1 steps that the state still holds.

    Args:
        context: how many steps a step sees, itself included.
        time: the steps of this call, at least one.
        position: how many steps each sequence has had, [batch].
        fresh: whether that is known to be none.
        lengths: integers [batch].
        resets: bool [time, batch].
        found: where given, each layer's attention weights among the steps of this call are appended to it.
    """

    def __init__(
        self,
        context: int,
        time: int,
        position: Tensor,
        fresh: bool,
        lengths: Tensor | None,
        resets: Tensor | None,
        found: list[Tensor] | None = None,
    ) -> None:
        self.found = found
        self.context, self.time, self.lengths, self.resets = context, time, lengths, resets
        steps = torch.arange(time, device=position.device)[:, None]
        positions = steps if fresh else steps + position
        if resets is not None:
            begun = torch.where(resets, steps, -1).cummax(0).values
            positions = torch.where(begun < 0, positions, steps - begun)
        self.positions = positions
        """Where each step stands in its sequence, [time, batch], or [time, 1] where it is the same in all."""
        self.after = self._position_after(position)
        """How many steps each sequence has had after this call, [batch]."""
        self.block = min(time, context)
        self.blocks = -(-time // self.block)
        plain = fresh and resets is None and time <= context
        self.mask = None if plain else self._mask()

    def attend(
        self, cache: dict[str, Tensor], turn: Rotation | None, attention: MultiHeadAttention, x: Tensor
    ) -> tuple[Tensor, State]:
        """x [time, batch, hidden] mixed with its past; the keys and values of the last `context` steps."""
        query, (key, value) = attention.queries(x, turn), attention.keys_values(x, turn)
        if self.found is not None:
            self.found.append(attention_weights(query, key, self._dense_mask()))
        keys, values = (
            torch.cat([old[:, :, 1:], new.to(old.dtype)], 2)
            for old, new in ((cache["keys"], key), (cache["values"], value))
        )
        if self.mask is None:
            seen = attention.attend(query, key, value, causal=True)
        elif self.blocks == 1:
            seen = attention.attend(query, keys, values, mask=self.mask)
        else:
            seen = self._attend_blocks(attention, query, keys, values, self.mask)
        after = {"keys": self._last(keys, cache["keys"]), "values": self._last(values, cache["values"])}
        return attention.combine(seen), after

    def _dense_mask(self) -> Tensor:
        """Which steps of this call each of its steps sees, bool [batch or 1, 1, time, time]."""
        steps = torch.arange(self.time, device=self.positions.device)
        return self._seen(steps[:, None] - steps, self.positions.T)[:, None]

    def _position_after(self, position: Tensor) -> Tensor:
        if self.lengths is None:
            return (self.positions[-1] + 1).expand_as(position).contiguous()
        positions = self.positions.expand(-1, len(position))
        last = positions.gather(0, (self.lengths.long() - 1).clamp(min=0)[None])[0]
        return torch.where(self.lengths > 0, last + 1, position)

    def _mask(self) -> Tensor:
        """Which keys of its block each step sees, bool [batch or 1, blocks, block, context − 1 + block]."""
        positions = pad(self.positions, (0, 0, 0, self.blocks * self.block - self.time))
        device = positions.device
        rows = torch.arange(self.context - 1, self.context - 1 + self.block, device=device)
        ages = rows[:, None] - torch.arange(self.context - 1 + self.block, device=device)
        return self._seen(ages, positions.T.unflatten(1, (self.blocks, self.block)))

    def _seen(self, ages: Tensor, positions: Tensor) -> Tensor:
        return (ages >= 0) & (ages <= positions.clamp(max=self.context - 1)[..., None])

    def _attend_blocks(
        self, attention: MultiHeadAttention, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> Tensor:
        batch, heads = query.shape[:2]
        missing = self.blocks * self.block - self.time
        if missing:
            query, keys, values = (pad(part, (0, 0, 0, missing)) for part in (query, keys, values))
        query = query.unflatten(2, (self.blocks, self.block))  # [batch, head, blocks, block, size]
        keys, values = (part.unfold(2, mask.shape[-1], self.block).mT for part in (keys, values))
        if len(mask) == 1:  # batch and heads share one mask, and keys are views
            parts = [part.flatten(0, 1) for part in (query, keys, values)]
            seen = attention.attend(*parts, mask=mask).unflatten(0, (batch, heads))
        else:
            parts = [part.transpose(1, 2).flatten(0, 1) for part in (query, keys, values)]
            seen = attention.attend(*parts, mask=mask.flatten(0, 1)[:, None])
            seen = seen.unflatten(0, (batch, self.blocks)).transpose(1, 2)
        return seen.flatten(2, 3)[:, :, : self.time]

    def _last(self, timeline: Tensor, cache: Tensor) -> Tensor:
        """Each sequence's own last rows; those of before a reset are zeros, those of no step are kept."""
        if self.lengths is None:
            last = timeline[:, :, self.time - 1 :]
            last = last.clone() if self.time > 1 else last
        else:
            lengths = self.lengths.long()
            rows = (lengths - 1).clamp(min=0)[:, None] + torch.arange(self.context, device=timeline.device)
            last = timeline.gather(2, rows[:, None, :, None].expand_as(cache))
            last = select(lengths > 0, last, cache)
        if self.resets is None:
            return last
        ages = torch.arange(self.context - 1, -1, -1, device=timeline.device)
        return last.masked_fill((ages >= self.after[:, None])[:, None, :, None], 0)
