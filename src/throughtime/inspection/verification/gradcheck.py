"""Whether a backward pass is right: the analytic gradient against central differences, block by block."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import nn

from ..._errors import ConfigurationError
from ..._types import Batch, Loss
from .._numbers import plain
from ._faults import Fault, faults
from ._picture import draw_gradients
from ._probes import Probed, probe
from ._problem import Problem, checked_losses

_THOUSANDTH = 1e-3


@dataclass(frozen=True)
class CheckedBlock:
    """One parameter, or one gate of it, or the inputs.

    Args:
        parameter: its name in the model; "inputs" for the inputs; within a step, "the state h" for one entering it.
        gate: the gate, `None` where the parameter is not split.
        size: entries there are.
        checked: entries that were moved; where these are not all, one random direction through all was too.
        kinks: how many of these derivatives stand at a kink, where several numbers are right: they are left out.
        apart: the largest |analytic − numeric|.
        relative: that, divided by the largest numeric derivative of the block, or by its error where that is larger.
        index: in the parameter, of the worst entry; `None` where only the direction through all entries shows it.
        analytic, numeric: the derivatives there.
        resolution: the smallest relative mistake that would have shown: the tolerance and the differences' own error.
        agrees: whether all are as near as tolerance and the differences' own error allow.
        diagnosis: what is wrong, as far as it was recognised.
        cause: whether the mistake most likely begins here.
    """

    parameter: str
    gate: str | None
    size: int
    checked: int
    kinks: int
    apart: float
    relative: float
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    resolution: float
    agrees: bool
    diagnosis: str = ""
    cause: bool = False

    @property
    def resolved(self) -> bool:
        """Whether a mistake of a thousandth would have shown: not where all derivatives are nearly zero."""
        return self.resolution <= _THOUSANDTH

    @property
    def name(self) -> str:
        """As "weight_hh_l0, forget gate"."""
        return self.parameter if self.gate is None else f"{self.parameter}, {self.gate} gate"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        record = {key: plain(value) for key, value in vars(self).items()}
        return record | {"index": None if self.index is None else list(self.index)}


@dataclass(frozen=True)
class GradientCheck:
    """What `gradcheck` found.

    Args:
        blocks: in the order of the model; the inputs last.
        within_step: where something is wrong and the model can be fed step by step, the same for its last step alone,
            with the state entering it: what is wrong here is wrong by itself, and nothing it was sent.
        tolerance: as given.
        entries: as given.
        verdict: a sentence.
        worst: the block that it is about: the likeliest cause, or else that which is nearest to what is allowed.
    """

    blocks: tuple[CheckedBlock, ...]
    within_step: tuple[CheckedBlock, ...]
    tolerance: float
    entries: int
    verdict: str
    worst: CheckedBlock

    @property
    def agrees(self) -> bool:
        """Whether every block does."""
        return all(block.agrees for block in self.blocks)

    @property
    def wrong(self) -> tuple[CheckedBlock, ...]:
        """The blocks that do not agree."""
        return tuple(block for block in self.blocks if not block.agrees)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        return {
            "agrees": self.agrees,
            "verdict": self.verdict,
            "tolerance": self.tolerance,
            "entries": self.entries,
            "worst": self.worst.to_dict(),
            "blocks": [block.to_dict() for block in self.blocks],
            "within_step": [block.to_dict() for block in self.within_step],
        }

    def table(self) -> Table:
        """A row a block."""
        table = Table(title="analytic gradient beside central differences", caption=self.verdict)
        table.add_column("block", overflow="fold")
        table.add_column("gate", no_wrap=True)
        for heading in ("checked", "|a − n|", "relative", "at", ""):
            table.add_column(heading, justify="right", no_wrap=True)
        for block in self.blocks:
            table.add_row(
                block.parameter,
                block.gate or "",
                str(block.size) if block.checked == block.size else f"{block.checked}/{block.size}",
                f"{block.apart:.1e}",
                f"{block.relative:.1e}",
                "all" if block.index is None else ",".join(map(str, block.index)),
                _word(block),
            )
        return table

    def plot(self) -> Figure:
        """How far apart both are in each block, beside what would have shown."""
        return draw_gradients(self)


def gradcheck(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    *,
    entries: int = 24,
    tolerance: float = 1e-6,
    seed: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> GradientCheck:
    """Compare the gradient that a model's own backward gives with central differences of its loss.

    A copy of the model runs in float64 and evaluation mode, so that dropout is off; what else it draws from torch's
    generators is drawn alike each time. Model and batch stay as they are. Each parameter is a block, split into its
    gates where it stacks them: in the LSTM and GRU of torch and of this library, and in a cell or layer of your own
    that names them in order, as `gate_names = ("input", "forget", "cell", "output")`. Inputs are a block too.

    The numeric derivative is extrapolated from central differences (L(θ + h) − L(θ − h)) / 2h of two steps h, which
    also tell its error; where that is not small enough, other h are tried, the best counts, and its error is allowed
    for. At a kink, as of relu at 0, several numbers are right, and the entry is left out. A wrong gradient is looked at
    once more within its last step alone, and beside the terms ∂ℓ_s that each use in step t adds: so the gate where a
    mistake begins is told from those that inherit it, and a forgotten sum over time or a detached state by its numbers.

    A hand-written backward must do float64; the kernels, which do not, leave it to torch here: see `parity` for them.

    Args:
        model: keeps `output, state = model(x, state)`; a layer, a cell in `Recurrent`, a whole model.
        batch: small: each entry takes at least four forwards over it.
        loss: `loss(output, target) → [time, batch]`; the sum over all steps is what is derived.
        entries: how many of a block are moved one by one; of larger ones a random sample, and all at once.
        tolerance: relative to the largest derivative of a block.
        seed: of the sample.
        progress: is told the share that is done.

    Raises:
        ConfigurationError: where no parameter requires a gradient, the loss depends on none or changes from call to
            call, `gate_names` are no names, or a setting is out of range.
        DataError: for a loss that is not finite.
        ShapeError: for a loss that is not one value a step and sequence.

    Example:
        >>> from throughtime.nn import GRU
        >>> from throughtime.models.losses import mean_squared_error
        >>> batch = Batch(torch.randn(5, 2, 3), torch.randn(5, 2, 4))
        >>> found = gradcheck(GRU(3, 4), batch, mean_squared_error, entries=4)
        >>> found.agrees, found.blocks[1].name, found.blocks[1].relative < 1e-6
        (True, 'weight_ih_l0, update gate', True)

    References:
        Ridders, "Accurate computation of F′(x) and F′(x)F″(x)", Advances in Engineering Software 4 (1982);
        Werbos, "Backpropagation through time: what it does and how to do it", Proceedings of the IEEE 78 (1990).
    """
    if entries < 1 or not 0 < tolerance < 1:
        raise ConfigurationError(
            f"entries={entries}, tolerance={tolerance}: expected at least 1 entry, and a tolerance between 0 and 1"
        )
    problem = Problem.of(model, batch, loss)
    generator = torch.Generator().manual_seed(seed)
    losses = checked_losses(problem, type(model).__name__)
    probes = probe(problem, problem.blocks(), losses, entries, tolerance, generator, progress)
    told, within = faults(problem, losses, probes, entries, generator)
    known = {id(fault.found): fault for fault in told}
    blocks, inside = (tuple(_block(one, known.get(id(one)), told) for one in some) for some in (probes, within))
    worst = _block(told[0].found, told[0], told) if told else max(blocks, key=_nearness)
    return GradientCheck(blocks, inside, tolerance, entries, _verdict(blocks, worst, told, bool(within)), worst)


def _nearness(block: CheckedBlock) -> float:
    return block.relative / block.resolution if math.isfinite(block.resolution) else 0.0


def _word(block: CheckedBlock) -> str:
    if block.agrees:
        return "agrees" if block.resolved else "too small"
    return "[bold red]cause[/]" if block.cause else "[red]wrong[/]"


def _alike(fault: Fault, first: Fault) -> bool:
    return (fault.rank, fault.words) == (first.rank, first.words)


def _block(found: Probed, fault: Fault | None, told: Sequence[Fault]) -> CheckedBlock:
    at = found.worst()
    entry = at < len(found.entries)
    return CheckedBlock(
        parameter=found.block.name,
        gate=found.block.gate,
        size=len(found.block.positions),
        checked=len(found.entries),
        kinks=sum(one.kink for one in found.numeric),
        apart=found.apart.max().item(),
        relative=found.relative,
        index=found.block.index(int(found.block.positions[found.entries[at]])) if entry else None,
        analytic=found.analytic[at].item(),
        numeric=found.values[at].item(),
        resolution=found.resolution,
        agrees=found.agrees,
        diagnosis="" if fault is None else fault.words,
        cause=fault is not None and _alike(fault, told[0]),
    )


def _verdict(blocks: Sequence[CheckedBlock], worst: CheckedBlock, told: Sequence[Fault], stepped: bool) -> str:
    if not told:
        kinks = sum(block.kinks for block in blocks)
        small = sum(not block.resolved for block in blocks)
        beside = f"; {kinks} derivatives stand at a kink" if kinks else ""
        beside += f"; in {small} it is too near to zero for a mistake of a thousandth to show" if small else ""
        return (
            f"the gradient agrees with central differences in all {len(blocks)} blocks; nearest to the limit is "
            f"{worst.name}, {worst.relative:.1e} apart{beside}"
        )
    where = "along a direction through all entries" if worst.index is None else f"at {list(worst.index)}"
    first = f"{worst.name}: analytic {worst.analytic:.6g} and numeric {worst.numeric:.6g} {where}"
    others = [fault for fault in told[1:] if _alike(fault, told[0])]
    shown = ", and ".join(_block(fault.found, fault, told).name for fault in others[:2])
    more = f", and {len(others) - 2} more" if len(others) > 2 else ""
    also = f"; likewise {shown}{more}" if others else ""
    rest = len(told) - 1 - len(others)
    inherited = " and may inherit it" if stepped and told[0].rank < 2 else ""
    beside = f"; {rest} other{'s differ' if rest > 1 else ' differs'}{inherited}" if rest else ""
    return f"wrong: {first}{'; ' + worst.diagnosis if worst.diagnosis else ''}{also}{beside}"
