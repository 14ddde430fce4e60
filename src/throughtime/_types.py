"""What travels through the house: a batch, a state, a segment of a backward pass, and those who watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ._errors import ShapeError

State: TypeAlias = Any
"""A tensor, or tuples, lists and dicts of states, nested at will; `None` where a model starts afresh."""

Loss: TypeAlias = Callable[[Any, Tensor], Tensor]
"""`loss(output, target) → [time, batch]`, unreduced."""

Lengths: TypeAlias = Int[Tensor, "batch"]
Resets: TypeAlias = Bool[Tensor, "time batch"]


@dataclass(frozen=True)
class Batch:
    """Sequences side by side, time first.

    Args:
        inputs: [time, batch, …], a tensor or anything sliced by `[a:b]` along time (an array, a memory map).
        targets: [time, batch, …], likewise.
        lengths: how many steps of each sequence are real, [batch]; `None` when all are.
        resets: where a sequence starts afresh in mid-batch, bool [time, batch].
        weights: what each step's loss counts, [time, batch]; `None` counts every valid step once.
        device: where segments are put; `None` leaves them where the inputs are. `to` sets it.

    Example:
        >>> batch = Batch(torch.zeros(5, 2, 3), torch.zeros(5, 2), lengths=torch.tensor([5, 2]))
        >>> batch.segment(3, 5).lengths
        tensor([2, 0])
    """

    inputs: Any
    targets: Any
    lengths: Lengths | None = None
    resets: Resets | None = None
    weights: Float[Tensor, "time batch"] | None = None
    device: torch.device | str | None = None

    def __post_init__(self) -> None:
        for name in ("lengths", "resets", "weights"):
            if not isinstance(getattr(self, name), Tensor | None):
                given = type(getattr(self, name)).__name__
                raise ShapeError(f"{name} are a {given}, expected a tensor: torch.tensor({name})")
        time, batch = self.inputs.shape[:2]
        if tuple(self.targets.shape[:2]) != (time, batch):
            raise ShapeError(
                f"targets are {list(self.targets.shape)} but inputs are {list(self.inputs.shape)}: "
                "both must begin with the same [time, batch]" + _swapped(self.targets.shape, time, batch)
            )
        if self.lengths is not None and tuple(self.lengths.shape) != (batch,):
            raise ShapeError(
                f"lengths are {list(self.lengths.shape)} for a batch of {batch}: one length a sequence is expected; "
                "inputs are [time, batch, …]" + _swapped(self.lengths.shape, batch, time)
            )
        if self.lengths is not None and self.lengths.device.type == "cpu":  # elsewhere looking would mean waiting
            outside = self.lengths[(self.lengths < 0) | (self.lengths > max(time, 0))]
            if len(outside):
                raise ShapeError(f"a length of {int(outside[0])} for {time} steps: expected 0 to {time}")
        for name, value in (("resets", self.resets), ("weights", self.weights)):
            if value is not None and tuple(value.shape) != (time, batch):
                raise ShapeError(
                    f"{name} are {list(value.shape)}, expected [time, batch] = [{time}, {batch}]"
                    + _swapped(value.shape, time, batch)
                )

    def segment(self, start: int, stop: int) -> Batch:
        """The steps from `start` to before `stop`, as tensors; lengths count what is left of each sequence."""
        lengths = None if self.lengths is None else (self.lengths - start).clamp(0, stop - start)
        resets = None if self.resets is None else self.resets[start:stop]
        weights = None if self.weights is None else self.weights[start:stop]
        return Batch(self._cut(self.inputs[start:stop]), self._cut(self.targets[start:stop]), lengths, resets, weights)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tensors on `device`; of an array or a memory map, each segment when it is cut."""

        def moved(part: Any) -> Any:
            return part.to(device) if isinstance(part, Tensor) else part

        lengths, resets, weights = moved(self.lengths), moved(self.resets), moved(self.weights)
        return Batch(moved(self.inputs), moved(self.targets), lengths, resets, weights, device)

    def _cut(self, piece: Any) -> Tensor:
        """Of an array a copy, as a memory map may be read-only."""
        return piece.to(self.device) if isinstance(piece, Tensor) else torch.tensor(piece, device=self.device)


def _swapped(shape: torch.Size, time: int, batch: int) -> str:
    reversed_ = tuple(shape[:2]) == (batch, time) or (len(shape) == 1 and tuple(shape) == (batch,))
    return "; it looks as if time and batch were swapped: transpose(0, 1)" if reversed_ and time != batch else ""


@dataclass(frozen=True)
class Segment:
    """What a gradient strategy has just done: the gradient of `loss_sum` has been added to `.grad`.

    Args:
        start, stop: the steps whose losses were counted.
        loss_sum: the weighted sum of these losses, detached.
        count: the sum of their weights: divide the gradient by it for a mean.
        carry: what the next batch of the same streams continues from, detached.

    Example:
        >>> segment = Segment(0, 5, loss_sum=torch.tensor(7.5), count=torch.tensor(5.0), carry=None)
        >>> segment.loss_sum / segment.count
        tensor(1.5000)
    """

    start: int
    stop: int
    loss_sum: Tensor
    count: Tensor
    carry: State


@runtime_checkable
class Observer(Protocol):
    """Someone who watches training. `record` is plain numbers and strings; observers never change the model."""

    def __call__(self, event: str, record: Mapping[str, Any]) -> None: ...
