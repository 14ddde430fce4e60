"""What one gate does over the steps that count: how open it is, and for how long it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .._gating import DIRECT, Gate
from .._numbers import plain

SHUT, OPEN = 0.1, 0.9
"""Below the one and above the other a sigmoid, and beyond ± the other a tanh, is called saturated."""
_MOSTLY = 0.9
_BY_UNIT = ("mean", "below", "above", "saturated", "zero", "dead", "time_scale")
_LEAKING = ("mingru", "minlstm")
"""Of these 1 − update multiplies the old state."""


@dataclass(frozen=True)
class GateActivity:
    """What one gate does, for each of its units; padding does not count.

    Args:
        name: "forget"; of a user's cell the function and its number in the step, as "sigmoid 1".
        function: "sigmoid", "tanh" or "relu".
        mean: of its values [hidden].
        below: the fraction of steps at which it is below 0.1 [hidden]; `None` of what is no sigmoid.
        above: the fraction at which it is above 0.9, likewise.
        saturated: the fraction at which it hardly lets a gradient pass: of a sigmoid the two together, of a tanh
            |value| > 0.9; `None` of a relu.
        zero: the fraction of steps at which it is 0 [hidden]; `None` of what is no relu.
        time_scale: for how many steps its unit keeps what it has [hidden]; `None` of a gate that does not multiply the
            old state. See `gates`.
    """

    name: str
    function: str
    mean: np.ndarray
    below: np.ndarray | None
    above: np.ndarray | None
    saturated: np.ndarray | None
    zero: np.ndarray | None
    time_scale: np.ndarray | None

    @property
    def saturated_units(self) -> float | None:
        """The share of units that are saturated at more than nine steps in ten."""
        return None if self.saturated is None else float((self.saturated > _MOSTLY).mean())

    @property
    def dead(self) -> np.ndarray | None:
        """Whether it is 0 at every step, bool [hidden]; `None` of what is no relu."""
        return None if self.zero is None else self.zero == 1

    @property
    def dead_units(self) -> int | None:
        """How many are 0 at every step."""
        return None if self.dead is None else int(self.dead.sum())

    @property
    def time_scales(self) -> tuple[float, float, float] | None:
        """The 10 %, 50 % and 90 % points of the time scales of its units, in steps."""
        if self.time_scale is None:
            return None
        low, middle, high = np.quantile(self.time_scale, (0.1, 0.5, 0.9), method="nearest")
        return float(low), float(middle), float(high)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, by unit and over them; a time scale that has no end is `None`."""
        units = {name: getattr(self, name) for name in _BY_UNIT}
        scales = self.time_scales
        return {
            "name": self.name,
            "function": self.function,
            "units": {name: None if values is None else plain(values) for name, values in units.items()},
            "saturated_units": self.saturated_units,
            "dead_units": self.dead_units,
            "time_scales": None if scales is None else plain(np.array(scales)),
        }


def activity(gate: Gate, kind: str, counted: np.ndarray) -> GateActivity:
    """What a gate of a cell of some kind does at the steps counted, bool [time × batch]."""
    values = rows_of(gate.value)[counted].astype(float)
    below = above = saturated = zero = scale = None
    if gate.function == "sigmoid":
        below, above = (values < SHUT).mean(0), (values > OPEN).mean(0)
        saturated = below + above
    elif gate.function == "tanh":
        saturated = (np.abs(values) > OPEN).mean(0)
    else:
        zero = (values == 0).mean(0)
    if gate.name == DIRECT.get(kind):
        scale = _time_scale(gate, kind, counted)
    return GateActivity(gate.name, gate.function, values.mean(0), below, above, saturated, zero, scale)


def rows_of(values: torch.Tensor) -> np.ndarray:
    """[rows, units]."""
    values = values.detach().flatten(1).cpu()
    return (values if values.dtype in (torch.float32, torch.float64) else values.float()).numpy()


def _time_scale(gate: Gate, kind: str, counted: np.ndarray) -> np.ndarray:
    """One over the mean leak; of a forget gate the leak 1 − σ(a) is σ(−a), whose digits do not cancel."""
    total = torch.from_numpy(rows_of(gate.total)[counted]).double()
    leak = torch.sigmoid(total if kind in _LEAKING else -total).mean(0)
    return (1 / leak).numpy()
