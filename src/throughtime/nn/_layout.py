"""The ways in which torch's layers take a batch of sequences, brought to one and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from .._errors import ShapeError, UnsupportedError
from .._types import State
from ._marks import mark_output, mark_state, refuse_last_state
from ._step import map_plain


@dataclass(frozen=True)
class Layout:
    """How a call's sequences were laid out.

    Args:
        name: the layer's, for messages.
        batch_first: whether the input is [batch, time, feature].
        unbatched: whether it was [time, feature], one sequence.
        packed: the PackedSequence that it was, if it was one.
    """

    name: str
    batch_first: bool
    unbatched: bool
    packed: PackedSequence | None

    @classmethod
    def of(cls, name: str, input: Any, batch_first: bool) -> Layout:
        """The layout of `input`.

        Raises:
            ShapeError: if it is no sequence, or the last state of another layer.
        """
        if isinstance(input, PackedSequence):
            return cls(name, batch_first=False, unbatched=False, packed=input)
        order = "[batch, time, feature]" if batch_first else "[time, batch, feature]"
        if not isinstance(input, Tensor) or input.dim() not in (2, 3):
            given = list(input.shape) if isinstance(input, Tensor) else f"a {type(input).__name__}"
            raise ShapeError(f"{name} got an input {given}, expected {order}, or [time, feature] for one sequence")
        if input.dim() == 2:
            refuse_last_state(input)
        return cls(name, batch_first, unbatched=input.dim() == 2, packed=None)

    def unify(self, input: Any, lengths: Any, resets: Any) -> tuple[Tensor, Any, Any]:
        """Input [time, batch, feature], lengths and resets [time, batch]."""
        if self.packed is not None:
            if lengths is not None or resets is not None:
                raise UnsupportedError(
                    f"{self.name} got lengths or resets beside a PackedSequence: "
                    "pad_packed_sequence(input), and give both with the padded batch"
                )
            x, lengths = pad_packed_sequence(self.packed)
            return x, lengths.to(x.device), None
        if self.unbatched:
            if lengths is not None:
                raise ShapeError(f"{self.name} got lengths for an input {list(input.shape)} of one sequence: slice it")
            ready = isinstance(resets, Tensor) and resets.dim() == 1
            return input.unsqueeze(1), None, resets.unsqueeze(1) if ready else resets
        if self.batch_first:
            ready = isinstance(resets, Tensor) and resets.dim() == 2
            return input.transpose(0, 1), lengths, resets.transpose(0, 1) if ready else resets
        return input, lengths, resets

    def unify_state(self, state: State) -> State:
        """A state [layers × directions, batch, hidden] in the order of the unified batch."""
        if self.unbatched:
            return map_plain(lambda part: part.unsqueeze(1), state)
        return state

    def restore(self, output: Tensor, state: State) -> tuple[Any, State]:
        """Output and state as the caller laid out the input."""
        if self.packed is not None:
            lengths = pad_packed_sequence(PackedSequence(self.packed.data, self.packed.batch_sizes))[1]
            order = self.packed.sorted_indices
            data = pack_padded_sequence(output if order is None else output[:, order], lengths).data
            return PackedSequence(data, *self.packed[1:]), map_plain(lambda part: mark_state(part, 1), state)
        if self.unbatched:
            return output.squeeze(1), map_plain(lambda part: part.squeeze(1), state)
        if self.batch_first:
            output = output.transpose(0, 1)
        return mark_output(output, 0 if self.batch_first else 1), map_plain(lambda part: mark_state(part, 1), state)
