"""Strategies side by side on one model and batch: what each gets wrong, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn

from .._errors import ConfigurationError, ThroughtimeError
from .._types import Batch, Loss
from ._meter import metered
from ._online import Online
from ._random import Replay
from .door import backward
from .full import Full
from .names import strategy_of
from .strategy import Strategy
from .truncated import Truncated


@dataclass(frozen=True)
class Compared:
    """One strategy beside `Full`.

    Args:
        strategy: as it was given.
        bias: ‖g − g_full‖ / ‖g_full‖, g being the gradient of all parameters.
        cosine: of the angle between g and g_full.
        memory: bytes that autograd and the strategy kept at the most, beyond parameters and batch; of a gradient that
            travels forward in time, what it carries along.
        seconds: of the whole pass, the shortest of the repeats.
        refused: why it cannot run on this model and batch; the figures are then `None`.
    """

    strategy: Strategy
    bias: float | None
    cosine: float | None
    memory: int | None
    seconds: float | None
    refused: str | None = None


@dataclass(frozen=True)
class GradientComparison:
    """What `compare_gradients` found, in the order that was asked for."""

    rows: tuple[Compared, ...]

    def to_dict(self) -> dict[str, Any]:
        """Numbers and words alone, as for JSON."""
        return {"rows": [asdict(row) | {"strategy": repr(row.strategy)} for row in self.rows]}

    def table(self) -> Table:
        """A row a strategy."""
        refusals = [f"{row.strategy!r}: {row.refused}" for row in self.rows if row.refused]
        caption = "\n".join(["bias: ‖g − g_full‖ / ‖g_full‖, of one draw where a strategy draws", *refusals])
        table = Table(title="gradients beside that of the whole sequence", caption=caption)
        table.add_column("strategy", overflow="fold")
        for heading in ("bias", "cosine", "memory", "time"):
            table.add_column(heading, justify="right")
        for row in self.rows:
            name = repr(row.strategy)
            if row.memory is None or row.seconds is None:
                table.add_row(name, "refused")
                continue
            table.add_row(
                name,
                f"{row.bias:.2g}",
                f"{row.cosine:.4f}",
                f"{row.memory / 2**20:.3g} MiB",
                f"{row.seconds * 1e3:.3g} ms" if row.seconds < 1 else f"{row.seconds:.3g} s",
            )
        return table


def compare_gradients(
    model: nn.Module, batch: Batch, loss: Loss, strategies: Iterable[Strategy | str], *, repeats: int = 1
) -> GradientComparison:
    """Run each strategy on the same model and batch, and compare its gradient with that of `Full`.

    Parameters, their `.grad` and torch's random numbers are left as they were. A random strategy shows one draw. What
    refuses this model or batch says why in its row.

    Args:
        model, batch, loss: as for `backward`.
        strategies: which; by name too.
        repeats: how often each is timed.

    Example:
        >>> model = torch.nn.GRU(2, 3)
        >>> batch = Batch(torch.randn(20, 4, 2), torch.randn(20, 4, 3))
        >>> squared_error = lambda output, target: (output - target).square().sum(-1)
        >>> found = compare_gradients(model, batch, squared_error, [Full(), Truncated(5)])
        >>> found.rows[0].bias, found.rows[1].bias > 0
        (0.0, True)
    """
    if isinstance(strategies, str | Strategy):
        raise ConfigurationError(f"the strategies are {strategies!r}: expected a list of them")
    chosen = [strategy_of(one) for one in strategies]
    whole, _ = _gradient(model, batch, loss, Full())
    return GradientComparison(tuple(_compared(model, batch, loss, one, whole, repeats) for one in chosen))


def smallest_truncation(model: nn.Module, batch: Batch, loss: Loss, tolerance: float = 0.1) -> int | None:
    """The smallest k whose `Truncated(k)` has at most this relative bias on the batch; `None` if only all steps do.

    Bias falls with k, but not at every step: k is halved until it is not enough, then sought in between. Large ones are
    tried first, as they take the least time.

    References:
        Aicher, Foti & Fox, "Adaptively truncating backpropagation through time to control gradient bias", UAI 2019,
        https://arxiv.org/abs/1905.07473.
    """
    whole, _ = _gradient(model, batch, loss, Full())
    steps = batch.inputs.shape[0]

    def enough(k: int) -> bool:
        return _bias(_gradient(model, batch, loss, Truncated(k))[0], whole) <= tolerance

    high = steps - 1
    if high < 1 or not enough(high):
        return None
    low = high // 2
    while low and enough(low):
        low, high = low // 2, low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _compared(model: nn.Module, batch: Batch, loss: Loss, strategy: Strategy, whole: Tensor, repeats: int) -> Compared:
    try:
        found, memory = _metered_gradient(model, batch, loss, strategy)
        seconds = min(_gradient(model, batch, loss, strategy)[1] for _ in range(repeats))
    except ThroughtimeError as refusal:
        return Compared(strategy, None, None, None, None, str(refusal))
    cosine = torch.nn.functional.cosine_similarity(found, whole, dim=0).item()
    return Compared(strategy, _bias(found, whole), cosine, memory, seconds)


def gradient_memory(model: nn.Module, batch: Batch, loss: Loss, strategy: Strategy | str) -> int:
    """The bytes that autograd and the strategy keep at the most, beyond parameters and batch, for one gradient.

    Example:
        >>> model = torch.nn.GRU(2, 3)
        >>> batch = Batch(torch.randn(20, 4, 2), torch.randn(20, 4, 3))
        >>> squared_error = lambda output, target: (output - target).square().sum(-1)
        >>> whole, cut = (gradient_memory(model, batch, squared_error, one) for one in ("full", "truncated:5"))
        >>> whole > 3 * cut
        True
    """
    return _metered_gradient(model, batch, loss, strategy_of(strategy))[1]


def _metered_gradient(model: nn.Module, batch: Batch, loss: Loss, strategy: Strategy) -> tuple[Tensor, int]:
    beside = [*model.parameters(), *model.buffers()]
    beside += [part for part in (batch.inputs, batch.targets, batch.weights) if isinstance(part, Tensor)]
    with metered(beside, saved=not isinstance(strategy, Online)) as meter:
        found, _ = _gradient(model, batch, loss, strategy)
    return found, meter.peak


def _bias(found: Tensor, whole: Tensor) -> float:
    return ((found - whole).norm() / whole.norm()).item()


def _gradient(model: nn.Module, batch: Batch, loss: Loss, strategy: Strategy) -> tuple[Tensor, float]:
    """All gradients as one vector of float64, and the seconds it took; nothing is left behind."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    before = [parameter.grad for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.grad = None
        with Replay(model).undone():
            _synchronize(model)
            started = time.perf_counter()
            backward(model, batch, loss, strategy)
            _synchronize(model)
            seconds = time.perf_counter() - started
        gradients = [torch.zeros_like(own) if own.grad is None else own.grad for own in parameters]
        return torch.cat([gradient.flatten().double() for gradient in gradients]), seconds
    finally:
        for parameter, gradient in zip(parameters, before, strict=True):
            parameter.grad = gradient


def _synchronize(model: nn.Module) -> None:
    """Wait for what runs beside Python."""
    for device in {parameter.device for parameter in model.parameters() if parameter.is_cuda}:
        torch.cuda.synchronize(device)
