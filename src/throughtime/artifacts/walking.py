"""Through a sequence too long to be read at once, the state carried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from .._types import State

Output = TypeVar("Output")


def walk(
    call: Callable[[slice, State], tuple[Output, State]], steps: int, at_once: int
) -> Iterator[tuple[slice, Output]]:
    """Each part of the steps, and what `output, state = call(part, state)` gives for it.

    Example:
        >>> [(part.stop, total) for part, total in walk(lambda part, state: (part.stop, None), 5, at_once=2)]
        [(2, 2), (4, 4), (5, 5)]
    """
    state = None
    for start in range(0, steps, at_once):
        part = slice(start, min(start + at_once, steps))
        with torch.inference_mode():
            output, state = call(part, state)
        yield part, output
