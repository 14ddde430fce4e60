"""The fitted slope of a gradient's profile beside the exponent that it should approach, and why it may not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .._numbers import plain
from ..flow._profile import Slope
from ._lyapunov import Spectrum

TOLERANCE = 0.05
"""The share of λ_max by which the slope may differ without being flagged."""


@dataclass(frozen=True)
class SlopeCheck:
    """The slope of φ beside λ_max.

    Args:
        slope: of `gradient_flow`, nats a step.
        low, high: its 95 % interval.
        exponent: λ_max, nats a step.
        error: its standard error.
        disagreement: |slope − λ_max| / |λ_max|.
        reasons: where that is more than 5 %, what may be behind it.
    """

    slope: float
    low: float
    high: float
    exponent: float
    error: float
    disagreement: float
    reasons: tuple[str, ...]

    @property
    def flagged(self) -> bool:
        """Whether they differ by more than 5 %."""
        return not self.disagreement <= TOLERANCE

    @property
    def sentence(self) -> str:
        """Both numbers, and why they may differ."""
        both = f"the gradient's slope is {self.slope:.3g} nats a step beside λ_max = {self.exponent:.3g}"
        apart = f"{self.disagreement:.1%} apart"
        if not self.flagged:
            return f"{both}: {apart}"
        return f"{both}: {apart}, more than {TOLERANCE:.0%}; " + "; ".join(self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words."""
        numbers = {name: getattr(self, name) for name in ("slope", "low", "high", "exponent", "error", "disagreement")}
        return {
            **{name: plain(value) for name, value in numbers.items()},
            "flagged": self.flagged,
            "reasons": list(self.reasons),
        }


def check_slope(slope: Slope, spectrum: Spectrum, above: Sequence[tuple[str, float]]) -> SlopeCheck:
    """Compare them.

    Args:
        above: the names and largest exponents of the recurrences after this one in the model, which it may feed.
    """
    exponent, error = float(spectrum.values[0]), float(spectrum.errors[0])
    apart = abs(slope.value - exponent) / abs(exponent) if exponent else math.inf
    if slope.value == exponent:
        apart = 0.0
    reasons = tuple(_reasons(slope, spectrum, above)) if not apart <= TOLERANCE else ()
    return SlopeCheck(slope.value, slope.low, slope.high, exponent, error, apart, reasons)


def _reasons(slope: Slope, spectrum: Spectrum, above: Sequence[tuple[str, float]]) -> list[str]:
    exponent, error = float(spectrum.values[0]), float(spectrum.errors[0])
    found = []
    name, highest = max(above, key=lambda one: one[1], default=("", -math.inf))
    if highest > exponent:
        found.append(f"a gradient may also travel through {name}, whose λ_max is {highest:.3g}")
    spread = 2 * error if math.isfinite(error) else 0.0
    if slope.low - spread <= exponent <= slope.high + spread:
        found.append(
            f"within what is certain: the slope's 95 % interval is {slope.low:.3g} to {slope.high:.3g}, λ_max's "
            f"standard error {error:.2g}; longer sequences, or more of them, tell"
        )
    if len(spectrum.values) > 1:
        gap = float(spectrum.values[0] - spectrum.values[1])
        if gap * slope.lags < 3:
            found.append(
                f"{slope.lags} lags are too short a horizon: the second exponent is only {gap:.2g} below, and a "
                "gradient has not yet turned into the leading direction"
            )
    if slope.r_squared < 0.98:
        found.append(f"φ is no straight line (R² {slope.r_squared:.2f}): it begins with a transient")
    found.append(
        "the loss may not read the leading direction, the states may still be settling where the gradient was "
        "followed, or it was followed on other sequences or in lower precision"
    )
    return found
