"""Random numbers that belong to a training alone: the caller's own are left as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Whatever is seeded or drawn inside leaves torch's generators, the CPU's and `device`'s, as they were.

    Example:
        >>> before = torch.get_rng_state()
        >>> with own_randomness(torch.device("cpu")):
        ...     _ = torch.manual_seed(7), torch.rand(3)
        >>> torch.equal(torch.get_rng_state(), before)
        True
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draws inside follow from `seed`; the caller's generators are left as they were."""
    with own_randomness(torch.device("cpu")):
        torch.manual_seed(seed)
        yield


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The state of the generators that a training on `device` draws from."""
    states = {"cpu": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def set_random_state(states: dict[str, Tensor], device: torch.device) -> None:
    """Bring back what `random_state` gave."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
