"""The kernels, where this installation has them, and recurrences to run on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from throughtime.ops import GATES
from throughtime.ops._library import SETS, Library, library


@dataclass
class Problem:
    """Operands of one layer in one direction, and a cotangent for each result."""

    kind: str
    x: Tensor
    state: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]
    cotangents: tuple[Tensor, ...]

    @property
    def variables(self) -> tuple[Tensor, ...]:
        return (self.x, *self.state, *self.weights)

    def results(self, run: Callable[..., Any], *variables: Tensor, **marks: Any) -> tuple[Tensor, ...]:
        """Output and last state."""
        x, rest = variables[0], variables[1:]
        parts = len(self.state)
        state = rest[:parts] if parts > 1 else rest[0]
        output, after = run(self.kind, x, tuple(state) if parts > 1 else state, *rest[parts:], **marks)
        return (output, *(after if isinstance(after, tuple) else (after,)))

    def everything(self, run: Callable[..., Any], dtype: torch.dtype = torch.float32, **marks: Any) -> list[Tensor]:
        """Output, last state, and the gradient of every variable."""
        variables = [variable.detach().to(dtype).requires_grad_() for variable in self.variables]
        results = self.results(run, *variables, **marks)
        gradients = torch.autograd.grad(results, variables, [c.to(dtype) for c in self.cotangents])
        return [*(result.detach() for result in results), *gradients]


@pytest.fixture
def draw() -> Callable[..., Problem]:
    """A random problem of the given sizes, weights as torch draws them."""

    def make(kind: str, time: int = 7, batch: int = 4, inputs: int = 3, hidden: int = 5, seed: int = 0) -> Problem:
        torch.manual_seed(seed)
        rows, parts = GATES[kind] * hidden, 2 if kind == "lstm" else 1
        shapes = [(rows, inputs), (rows, hidden), (rows,), (rows,)]
        weights = tuple((2 * torch.rand(shape) - 1) * hidden**-0.5 for shape in shapes)
        state = tuple(torch.randn(batch, hidden) for _ in range(parts))
        cotangents = (torch.randn(time, batch, hidden), *(torch.randn(batch, hidden) for _ in range(parts)))
        return Problem(kind, torch.randn(time, batch, inputs), state, weights, cotangents)

    return make


@pytest.fixture
def two_threads() -> Iterator[None]:
    """So many, however few a run is given."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def kernels() -> Library:
    """The library; `test_library.py` demands it where it can be built."""
    found = library()
    if not isinstance(found, Library):
        pytest.skip(found.reason)
    return found


@pytest.fixture(params=list(SETS))
def instructions(request: pytest.FixtureRequest, kernels: Library) -> str:
    if request.param not in kernels.sets:
        pytest.skip(f"this machine has no {request.param}")
    return request.param
