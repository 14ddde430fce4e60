"""What a model is made of and what it costs: shapes, parameters by gate, multiply-adds, memory, state."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor, nn

from ..._errors import ShapeError
from ..._types import Batch
from ...nn import CausalConv
from ...nn.contract import has_state
from ._footprint import Seen, extent, footprint, state_of
from ._formulas import Block, Shape, blocks, by_name, whole
from ._picture import draw_summary
from ._words import bytes_in_short, in_short, lines_of, spelled


@dataclass(frozen=True)
class LayerSummary:
    """One layer, or what a module does by itself beside its parts.

    Args:
        name: in the model.
        kind: the name of its class.
        calls: how often it was called; 0 where it was not run.
        input, output: shapes of the first call, [time, batch, feature] of a recurrence; `None` where there are none.
        blocks: its parameters, by layer and direction, and in these by gate; of those counted elsewhere none.
        parameters, trainable: how many are counted here; shared ones are counted where they come first.
        one_bias: what they would be with one bias a gate where torch keeps two.
        shared: parameters counted elsewhere, and where.
        multiply_adds: of matrix products, of the whole batch; `None` where they could not be counted.
        saved_bytes: kept for the backward, without parameters and the batch itself.
        state, state_bytes: numbers and bytes that a stream carries from step to step, a sequence; `None` without one.
        receptive_field: how many inputs an output reads along each axis; `None` where it does not apply or is unknown.
        lines: all formulas, worked out.
    """

    name: str
    kind: str
    calls: int
    input: Shape | None
    output: Shape | None
    blocks: tuple[Block, ...]
    parameters: int
    trainable: int
    one_bias: int
    shared: tuple[tuple[str, str], ...]
    multiply_adds: int | None
    saved_bytes: int
    state: int | None
    state_bytes: int | None
    receptive_field: Shape | None
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """What `summary` found.

    Args:
        model: the name of its class.
        layers: in the order in which they begin; those that did not run come last.
        steps: T; `None` where the batch has no time.
        sequences: how many, or images.
        training: whether the model was in training mode, in which dropout, say, saves its masks.
    """

    model: str
    layers: tuple[LayerSummary, ...]
    steps: int | None
    sequences: int
    training: bool

    @property
    def parameters(self) -> int:
        """All of them, shared ones once."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trainable(self) -> int:
        """Those that require a gradient."""
        return sum(layer.trainable for layer in self.layers)

    @property
    def one_bias(self) -> int:
        """All parameters, were there one bias a gate where torch keeps two."""
        return sum(layer.one_bias for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Of the whole batch, but for layers in `uncounted`."""
        return sum(layer.multiply_adds or 0 for layer in self.layers)

    @property
    def per_sequence(self) -> int:
        """Multiply-adds of one sequence, or image; they grow with T."""
        return self.multiply_adds // self.sequences

    @property
    def per_step(self) -> int | None:
        """Multiply-adds of one step of one sequence, on average over the steps."""
        return None if self.steps is None else self.per_sequence // self.steps

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Layers whose multiply-adds could not be counted."""
        return tuple(layer.name for layer in self.layers if layer.multiply_adds is None)

    @property
    def saved_bytes(self) -> int:
        """Kept between the forward and the backward of this batch, without parameters and the batch itself."""
        return sum(layer.saved_bytes for layer in self.layers)

    @property
    def state(self) -> int | None:
        """Numbers that a stream of one sequence carries from step to step; `None` where nothing does."""
        known = [layer.state for layer in self.layers if layer.state is not None]
        return sum(known) if known else None

    @property
    def state_bytes(self) -> int | None:
        """Their bytes."""
        known = [layer.state_bytes for layer in self.layers if layer.state_bytes is not None]
        return sum(known) if known else None

    @property
    def text(self) -> str:
        """Every layer's formulas, one a line."""
        lines = []
        for layer in self.layers:
            lines.append(f"{layer.name}: {layer.kind}, {spelled(layer.input)} → {spelled(layer.output)}")
            lines += [f"  {line}" for line in layer.lines]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        totals = ("steps", "sequences", "training", "parameters", "trainable", "one_bias", "multiply_adds")
        totals += ("per_sequence", "per_step", "saved_bytes", "state", "state_bytes")
        return {
            "model": self.model,
            **{name: getattr(self, name) for name in totals},
            "uncounted": list(self.uncounted),
            "layers": [_listed(asdict(layer) | {"shared": dict(layer.shared)}) for layer in self.layers],
        }

    def table(self) -> Table:
        """A row a layer, and the totals."""
        table = Table(title=f"{self.model}: {self._batch_words()}", caption=self._caption(), show_footer=True)
        table.add_column("layer", "in all", overflow="fold")
        table.add_column("output", overflow="fold")
        footers = (f"{self.parameters:,}", in_short(self.per_sequence), bytes_in_short(self.saved_bytes))
        for heading, footer in zip(
            ("parameters", "× +", "saved", "state"), (*footers, in_short(self.state)), strict=True
        ):
            table.add_column(heading, footer, justify="right", no_wrap=True)
        for layer in self.layers:
            added = None if layer.multiply_adds is None else layer.multiply_adds // self.sequences
            table.add_row(
                f"{layer.name}\n{layer.kind}" if layer.name != layer.kind else layer.name,
                spelled(layer.output),
                f"{layer.parameters:,}",
                in_short(added),
                bytes_in_short(layer.saved_bytes),
                in_short(layer.state),
            )
        return table

    def plot(self) -> Figure:
        """Parameters of each layer, by gate."""
        return draw_summary(self)

    def _batch_words(self) -> str:
        """40 steps of 8 sequences."""
        several = "" if self.sequences == 1 else "s"
        if self.steps is None:
            return f"{self.sequences:,} sample{several}"
        return f"{self.steps:,} step{'' if self.steps == 1 else 's'} of {self.sequences:,} sequence{several}"

    def _caption(self) -> str:
        each = "sample" if self.steps is None else "sequence"
        step = "" if self.per_step is None else f", {self.per_step:,} a step"
        lines = [f"× +: multiply-adds of products, {self.per_sequence:,} a {each}{step}"]
        mode = "training" if self.training else "evaluation"
        lines.append(f"saved: for the backward of the whole batch, measured in {mode} mode")
        if self.state is not None:
            lines.append(f"state: {self.state:,} numbers a sequence, {bytes_in_short(self.state_bytes)}")
        if self.trainable != self.parameters:
            lines.append(f"trainable: {self.trainable:,} of {self.parameters:,} parameters")
        if self.one_bias != self.parameters:
            lines.append(f"with one bias a gate instead of torch's two: {self.one_bias:,} parameters")
        if self.uncounted:
            lines.append(f"× + not counted of {', '.join(self.uncounted)}")
        return "\n".join(lines)


def summary(model: nn.Module, batch: Batch | Tensor | tuple[Tensor, ...]) -> Summary:
    """Count what a model is made of, and measure what one forward over a batch keeps.

    Of each layer: the shapes it sees; its parameters by gate with the formula worked out; multiply-adds of its matrix
    products (from its sizes where a rule is known, else as torch's own counter finds them; element-wise work is left
    out, padding is not); the bytes that autograd keeps for the backward, each storage once as it was allocated (of
    torch's fused LSTM on a CPU more than it ever touches), credited to who saves it first; output sizes and receptive
    fields of convolutions and pools; the state that a stream carries. Parameters that several layers share are counted
    once.

    The model runs in the mode it is in, its own precision and backend, once or twice; buffers, random numbers,
    parameters and their `.grad` are left as they were.

    Args:
        model: any module; layers inside `Sequential`, a `SequenceModel` or a module of your own are found.
        batch: a `Batch`, or for a plain module of torch's its input, or a tuple of its inputs.

    Raises:
        ShapeError: for a batch without a step or a sequence.
        ConfigurationError: for lazy parameters that have no shape yet.
        UnsupportedError: where the batch has lengths or resets and the model takes none.

    Example:
        >>> import torch
        >>> found = summary(nn.LSTM(32, 64), torch.zeros(40, 8, 32))
        >>> found.parameters, found.one_bias, found.per_step, found.state
        (25088, 24832, 24576, 128)
        >>> for line in found.layers[0].lines[:2]:
        ...     print(line)
        4 gates × 64 × (32 + 64 + 1) = 24,832 with one bias; torch keeps two: 4 × 64 × (32 + 64 + 2) = 25,088
        one matrix, used 40 times: its gradient is a sum of 40 terms
    """
    _check(batch)
    batch = batch.segment(0, len(batch.inputs)) if isinstance(batch, Batch) else batch
    rows = footprint(model, batch)
    steps, sequences = extent(batch, model, rows)
    counted: dict[int, str] = {}
    each = "sample" if steps is None else "sequence"
    layers = [_layer(row, sequences, each, counted, root=row.module is model) for row in rows]
    kept = tuple(layer for layer in layers if layer is not None)
    return Summary(type(model).__name__, kept, steps, sequences, model.training)


def _layer(row: Seen, sequences: int, each: str, counted: dict[int, str], root: bool) -> LayerSummary | None:
    """What there is to say of a module; `None` where its parts say it all."""
    module, entire = row.module, whole(row.module) or not list(row.module.children())
    name, kind = row.name or type(module).__name__, type(module).__name__.removeprefix("Parametrized")
    own = dict(module.named_parameters(recurse=entire))
    fresh = {at: parameter for at, parameter in own.items() if id(parameter) not in counted}
    shared = {at: counted[id(parameter)] for at, parameter in own.items() if at not in fresh}
    counted.update({id(parameter): f"{row.name}.{at}".lstrip(".") for at, parameter in fresh.items()})
    state = state_of(module) if _holds_state(module) else None
    found = blocks(module) if whole(module) and not shared else by_name(fresh.items())
    if not entire and not (own or row.credit or row.products or state):
        return None
    if not row.ran and not own:
        return None
    return LayerSummary(
        name=name if entire or root else f"{name} itself",
        kind=kind,
        calls=max(row.calls, int(row.ran)),
        input=row.input,
        output=row.output,
        blocks=tuple(found),
        parameters=sum(parameter.numel() for parameter in fresh.values()),
        trainable=sum(parameter.numel() for parameter in fresh.values() if parameter.requires_grad),
        one_bias=sum(block.one_bias for block in found),
        shared=tuple(shared.items()),
        multiply_adds=row.products,
        saved_bytes=row.credit,
        state=None if state is None else state[0],
        state_bytes=None if state is None else state[1],
        receptive_field=_receptive_field(row),
        lines=lines_of(row, found, shared, sequences, each),
    )


def _holds_state(module: nn.Module) -> bool:
    """Whether a state is its own, and not put together of those of its parts."""
    if isinstance(module, nn.RNNCellBase) or (whole(module) and has_state(module)):
        return True
    return has_state(module) and not any(has_state(part) for part in module.modules() if part is not module)


def _receptive_field(row: Seen) -> Shape | None:
    if isinstance(row.module, CausalConv):
        return (row.module.receptive_field,)
    return None if row.reads is None else row.reads[1].size


def _listed(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {key: _listed(part) for key, part in value.items()}
    return [_listed(part) for part in value] if isinstance(value, (tuple, list)) else value


def _check(batch: Batch | Tensor | tuple[Tensor, ...]) -> None:
    """Refuse what has nothing in it."""
    given = (batch.inputs,) if isinstance(batch, Batch) else (batch,) if isinstance(batch, Tensor) else batch
    shapes = [list(part.shape) for part in given]
    if not shapes or any(0 in shape for shape in shapes):
        raise ShapeError(
            f"the batch is {', '.join(map(str, shapes)) or 'empty'}: expected at least one step of a sequence"
        )
