"""Drawing the same random numbers again."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_Draws = tuple[Tensor, ...]


class Replay:
    """Pieces of a computation that draw, whenever they are run again, what they have drawn at first.

    The generators of the CPU and of the model's device are meant. A piece that draws nothing costs no memory.
    """

    def __init__(self, model: nn.Module) -> None:
        devices = {parameter.device for parameter in model.parameters()}
        self._devices = [device for device in devices if device.type == "cuda"]
        self._before: dict[Hashable, _Draws | None] = {}

    @contextmanager
    def __call__(self, piece: Hashable = None) -> Iterator[None]:
        """Inside, `piece` is run: as at first, if it has been before."""
        if piece not in self._before:
            before = self._state()
            yield
            same = all(map(torch.equal, before, self._state()))
            self._before[piece] = None if same else before
            return
        before = self._before[piece]
        if before is None:
            yield
            return
        with self.undone():
            torch.set_rng_state(before[0])
            for device, own in zip(self._devices, before[1:], strict=True):
                torch.cuda.set_rng_state(own, device)
            yield

    def drew(self) -> bool:
        """Whether any piece has drawn something."""
        return any(before is not None for before in self._before.values())

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What is drawn inside is drawn again after it."""
        with torch.random.fork_rng(devices=self._devices):
            yield

    def _state(self) -> _Draws:
        return torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in self._devices)
