"""What the gates of a recurrence do on real sequences: how open they are, how long they keep, and when they move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor, nn

from ..._errors import ConfigurationError, DataError, UnsupportedError
from ..._state import leaves
from ..._types import Batch, Loss, State
from ...gradients.strategy import forward
from ...nn.contract import has_state, initial_state, streams
from ...nn.visiting import Place, visited
from .._gating import opened
from .._numbers import plain
from .._trajectory import Trajectory, evaluated
from .._unrolling import Stepped, check_finite, in_order, remembers_inputs, unroll
from ..counting._footprint import run_over
from ..counting._formulas import ATTENTION
from ._gate_activity import GateActivity, activity, rows_of
from ._gate_picture import draw_gates
from ._named import named


@dataclass(frozen=True)
class LayerGates:
    """The gates of one recurrence.

    Args:
        name: of the recurrence in the model.
        kind: "lstm", or the name of a cell's class.
        gates: in the order of its equation; empty where none is seen.
        parts: what its state is made of, as ("h", "C").
        timelines: the values of each gate and of each part of the state after the step, [time, batch, hidden]; NaN in
            padding.
    """

    name: str
    kind: str
    gates: tuple[GateActivity, ...]
    parts: tuple[str, ...]
    timelines: dict[str, np.ndarray]

    @property
    def keeping(self) -> GateActivity | None:
        """The gate that multiplies the old state, and so has a time scale."""
        return next((gate for gate in self.gates if gate.time_scale is not None), None)

    @property
    def sentence(self) -> str:
        """What is to be said of it."""
        if not self.gates:
            return (
                f"no gate of {self.name} is seen: its step calls none of torch.sigmoid, torch.tanh and torch.relu on "
                "[batch, hidden]; its state is shown alone"
            )
        if self.keeping is None or self.keeping.time_scales is None:
            return f"no gate of {self.name} is known to multiply its old state: time scales are not told"
        low, middle, high = (f"{value:.3g}" for value in self.keeping.time_scales)
        return f"half the units of {self.name} keep for more than {middle} steps (10–90 %: {low}–{high})"

    def timeline(self, sample: int = 0) -> dict[str, np.ndarray]:
        """Each gate and each part of the state, [time, hidden], of one sequence, up to its end.

        Raises:
            ConfigurationError: for a sequence that the batch does not have.
        """
        count = next(iter(self.timelines.values())).shape[1]
        if not 0 <= sample < count:
            raise ConfigurationError(f"sample={sample}: expected a sequence of the batch, 0 to {count - 1}")
        found = {name: values[:, sample] for name, values in self.timelines.items()}
        real = np.flatnonzero(~np.isnan(next(iter(found.values()))).all(1))
        end = int(real[-1]) + 1 if len(real) else 0
        return {name: values[:end] for name, values in found.items()}


@dataclass(frozen=True)
class Gates:
    """What `gates` found.

    Args:
        layers: a record for each recurrence of the model, in its order.
        inputs: of the batch, [time, batch, …].
    """

    layers: tuple[LayerGates, ...]
    inputs: np.ndarray

    def layer(self, name: str) -> LayerGates:
        """The layer of that name.

        Raises:
            ConfigurationError: where there is none.
        """
        return named(self.layers, name)

    def timeline(self, sample: int = 0) -> dict[str, dict[str, np.ndarray]]:
        """By layer, then by gate or part of the state: [time, hidden] of one sequence, up to its end.

        Raises:
            ConfigurationError: for a sequence that the batch does not have.
        """
        return {layer.name: layer.timeline(sample) for layer in self.layers}

    def to_dict(self, *, timelines: bool = False) -> dict[str, Any]:
        """Plain numbers and words; what is not finite becomes `None`.

        Args:
            timelines: whether the values of every step come too.
        """
        found = []
        for layer in self.layers:
            told = {"name": layer.name, "kind": layer.kind, "parts": list(layer.parts), "sentence": layer.sentence}
            told["gates"] = [gate.to_dict() for gate in layer.gates]
            if timelines:
                told["timelines"] = {name: plain(values) for name, values in layer.timelines.items()}
            found.append(told)
        return {"layers": found}

    def table(self) -> Table:
        """A row a gate: means over its units, how many units are saturated or dead, and the steps that they keep."""
        caption = "\n".join(layer.sentence for layer in self.layers)
        table = Table(title="gates", caption=caption, caption_justify="left")
        table.add_column("layer", overflow="fold")
        for heading in ("gate", "mean", "< 0.1", "> 0.9", "saturated", "keeps", "10–90 %"):
            table.add_column(heading, justify="left" if heading == "gate" else "right", no_wrap=True)
        for layer in self.layers:
            for at, gate in enumerate(layer.gates):
                table.add_row("" if at else layer.name, gate.name, f"{gate.mean.mean():.2f}", *_cells(gate))
            if not layer.gates:
                table.add_row(layer.name, *["–"] * 7)
            table.add_section()
        return table

    def plot(
        self,
        sample: int = 0,
        units: int | Iterable[int] | None = None,
        labels: Sequence[Any] | None = None,
        *,
        layer: str | None = None,
    ) -> Figure:
        """Heat maps over the steps of one sequence: its input, every gate, h and C.

        Args:
            sample: which sequence.
            units: how many are shown at most, evenly spread over their order, by default 40; or which, in this order.
                The order is that of time scales where they are known, the longest on top, else of the first map's mean.
            labels: symbols or values of the steps; by default the input's values, or the indices of its symbols.
            layer: the name of one recurrence; by default all.

        Raises:
            ConfigurationError: for a sequence, layer or unit that there is not, or too few labels.
        """
        shown = self.layers if layer is None else (self.layer(layer),)
        return draw_gates(shown, self.inputs, sample, units, labels)


def gates(model: nn.Module, batch: Batch, loss: Loss | None = None) -> Gates:
    """Watch the gates of every recurrence in a model, on the sequences of a batch.

    A gate is what a step squashes by a sigmoid, a tanh or a relu. Of our layers and torch.nn's each has its name; of
    any other cell it has the function's and its number. The model runs in evaluation mode, in its own precision.

    The time scale of a unit is 1 / (1 − mean f) steps, f being what multiplies its old state: the forget gate of an
    LSTM, the update gate of a GRU, and 1 − update of a minGRU or minLSTM. What is averaged over the steps is the leak
    1 − f, as rates are (it is the harmonic mean of 1 / (1 − f_t)): a mean of time scales is infinite as soon as one f
    rounds to 1, and a mean of ln f falls apart at a single step where the gate clears its unit. For a constant f it is
    1 / (1 − f) itself. It tells what the gate alone keeps; what comes back through the other gates is not in it.

    Left out is what lies past a sequence's length, and, in a recurrence that runs forward, past the last step whose
    loss counts; steps before that count, whatever the weight of their own loss, as the last loss reads what they keep.

    Args:
        loss: where given, the batch is run and refused as `gradient_flow` would; the gates need none.

    Raises:
        UnsupportedError: for a model without a recurrence, one that is not run once over the batch, or one whose state
            has its sequences along a later axis and whose steps are no cell's.
        DataError: for states that are not finite, or a batch of which nothing counts.

    Example:
        >>> layer = nn.LSTM(1, 4)
        >>> for parameter in layer.parameters():
        ...     _ = parameter.data.zero_()
        >>> layer.bias_ih_l0.data[4:8] = torch.tensor([0.0, 1.0, 2.0, 3.0])
        >>> found = gates(layer, Batch(torch.randn(30, 2, 1), torch.zeros(30, 2, 4)))
        >>> found.layers[0].keeping.time_scale.round(2).tolist()
        [2.0, 3.72, 8.39, 21.09]

    References:
        Karpathy, Johnson & Li, "Visualizing and understanding recurrent networks", ICLR 2016 workshop,
        https://arxiv.org/abs/1506.02078 (saturated gates); Tallec & Ollivier, "Can recurrent neural networks warp
        time?", ICLR 2018, https://arxiv.org/abs/1804.11188 (gates as time scales).
    """
    if len(batch.inputs) == 0:
        raise DataError("the batch has no step, and gates are looked at step by step")
    batch = batch.segment(0, len(batch.inputs))
    first = bool(getattr(model, "batch_first", False))
    time = batch.inputs.shape[1 if first else 0]
    trajectories = _trajectories(model, batch, time) if loss is None else _with_loss(model, batch, loss)
    if not trajectories:
        raise UnsupportedError(_why_not(model))
    for trajectory in trajectories:
        for step in range(time):
            for name, part in zip(trajectory.part_names(), trajectory.parts(step), strict=True):
                check_finite(part, f"{name} of {trajectory.name}", step)
    layers = tuple(_layer(trajectory, _counted(batch, first, trajectory.place.reverse)) for trajectory in trajectories)
    inputs = batch.inputs.detach().cpu()
    inputs = inputs.transpose(0, 1) if first else inputs
    return Gates(layers, (inputs.float() if inputs.is_floating_point() else inputs).numpy())


def _with_loss(model: nn.Module, batch: Batch, loss: Loss) -> list[Trajectory]:
    unrolled = unroll(model, batch, loss, steps=1)
    return list(unrolled.trajectories) if unrolled.recurrent else []


def _trajectories(model: nn.Module, batch: Batch, time: int) -> list[Trajectory]:
    """Of each recurrence, in the order of time; none of a model that has none."""
    found: dict[str, Trajectory] = {}

    def visit(place: Place, x: Tensor, before: State, after: State) -> State:
        return found.setdefault(place.name, Trajectory(place)).add(x, before, after)

    with evaluated(model), torch.no_grad(), visited(model, visit) as places:
        if places:
            run_over(model, batch)
            return [in_order(found[place.name], time) for place in places if place.name in found]
        if not has_state(model) or not streams(model) or remembers_inputs(model):
            return []
        stepped, state = Stepped(model), initial_state(model, batch.inputs.shape[1])
        for step in range(time):
            _, state = forward(stepped, batch.segment(step, step + 1), state)
        return [stepped.trajectory]


def _why_not(model: nn.Module) -> str:
    reason = f"{type(model).__name__} has no recurrence, and so no gates"
    if any(isinstance(part, ATTENTION) for part in model.modules()):
        return f"{reason}: what it looks at is shown by attention_maps"
    return f"{reason}: expected a recurrent layer, a cell in Recurrent, or a module with a state and a step"


def _counted(batch: Batch, batch_first: bool, reverse: bool) -> np.ndarray:
    """The steps that are looked at, bool [time, batch]."""
    time, size = batch.inputs.shape[:2][:: -1 if batch_first else 1]
    steps = np.arange(time)[:, None]
    counted = np.ones((time, size), bool)
    if batch.lengths is not None:
        counted &= steps < batch.lengths.cpu().numpy()
    if batch.weights is not None and not reverse:
        weights = batch.weights.T if batch_first else batch.weights
        felt = np.where((weights != 0).cpu().numpy() & counted, steps, -1).max(0)
        counted &= steps <= felt
    if not counted.any():
        raise DataError("no step of the batch counts: all lengths or all weights are zero")
    return counted


def _layer(trajectory: Trajectory, counted: np.ndarray) -> LayerGates:
    place, count = trajectory.place, counted.size
    if not all(len(part) == counted.shape[1] for _, part in leaves(trajectory.after[0])):
        raise UnsupportedError(
            f"{place.name} has a state whose sequences do not stand along its first axis, so that its steps cannot be "
            "taken side by side: write the step as a cell with a state [batch, …], in Recurrent"
        )
    seen = [gate for gate in opened(trajectory).gates if _fits(gate.value, count)]
    timelines = {gate.name: _timeline(rows_of(gate.value), counted) for gate in seen}
    for index, name in enumerate(trajectory.part_names()):
        after = torch.cat([trajectory.parts(step)[index] for step in range(len(counted))])
        timelines[name] = _timeline(rows_of(after), counted)
    found = tuple(activity(gate, place.kind, counted.ravel()) for gate in seen)
    return LayerGates(place.name, place.kind, found, trajectory.part_names(), timelines)


def _fits(value: Tensor, count: int) -> bool:
    """Whether it has a row a step and sequence: what a cell squashes of its weights is no gate."""
    return value.dim() > 1 and len(value) == count


def _timeline(rows: np.ndarray, counted: np.ndarray) -> np.ndarray:
    values = rows.reshape(*counted.shape, -1)
    return np.where(counted[..., None], values, np.asarray(np.nan, values.dtype))


def _cells(gate: GateActivity) -> list[str]:
    scales = gate.time_scales
    return [
        *("–" if part is None else f"{part.mean():.0%}" for part in (gate.below, gate.above)),
        f"{gate.dead_units} dead" if gate.saturated_units is None else f"{gate.saturated_units:.0%}",
        *(("–", "–") if scales is None else (f"{scales[1]:.3g}", f"{scales[0]:.2g}–{scales[2]:.3g}")),
    ]
