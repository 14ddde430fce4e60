"""What a model declares: that it streams, that it has a density, or both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from .._types import Lengths, Resets, State


class Streaming(ABC):
    """A model that may be fed in pieces: `distribution, state = model(inputs, state)`, time first."""

    @abstractmethod
    def forward(
        self, inputs: Tensor, state: State = None, *, lengths: Lengths | None = None, resets: Resets | None = None
    ) -> tuple[Distribution, State]:
        """The distribution of each step given the past, and the state after the last one."""

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step."""


class Density(ABC):
    """A model that says how probable its data is, and draws such data; some given something else."""

    @abstractmethod
    def log_prob(self, x: Tensor, /, *given: Any, **settings: Any) -> Tensor:
        """In nats: of vectors [batch], of sequences [time, batch], to be summed over time."""

    @abstractmethod
    def sample(self, *given: Any, **settings: Any) -> Tensor | tuple[Tensor, Tensor]:
        """Draw from the model; sequences that end by themselves come with their lengths."""


def device_of(model: nn.Module) -> torch.device:
    """Where a model's numbers are."""
    return next((part.device for parts in (model.parameters(), model.buffers()) for part in parts), torch.device("cpu"))


def count_parameters(model: nn.Module) -> int:
    """How many numbers were learnt: parameters, or what was counted, as the model itself tells."""
    told = getattr(model, "parameter_count", None)
    return told if isinstance(told, int) else sum(parameter.numel() for parameter in model.parameters())
