"""From surprise to a verdict: how rare so much of it is, and whether that is an alarm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .tails import Tail

_NONE = np.empty(0)


@dataclass(frozen=True, eq=False)
class Verdict:
    """On each step of a sequence, [time].

    Args:
        smoothed: the mean surprise of the last steps, in nats; NaN where the step was not observed, or too few were.
        probability: how often a usual step is as far from the middle or farther; NaN where `smoothed` is.
        alarm: whether that is rarer than the false alarms allowed.
        quiet: whether it lies on the low side: nearer to what was expected than is usual.
    """

    smoothed: np.ndarray
    probability: np.ndarray
    alarm: np.ndarray
    quiet: np.ndarray


@dataclass(frozen=True, eq=False)
class Detector:
    """Tells unusual steps by the mean surprise of the last `window` observed steps.

    Of a window of one step only the high side is judged: that one step came as expected says nothing. Of longer ones
    the low side is judged too, as a sensor that is stuck surprises less than one that works; then each side has half of
    the false alarms.

    Args:
        window: how many steps are judged together.
        false_alarms: the share of usual steps that are called unusual.
        levels: the median surprise by name of the series, in units of its standard deviation.
        level: that of a series not among them.
        high: of the smoothed surprise above the level.
        low: of its negative; `None` where only the high side is judged.
    """

    window: int
    false_alarms: float
    levels: Mapping[str, float]
    level: float
    high: Tail
    low: Tail | None

    def judge(
        self, name: str, surprise: np.ndarray, before: np.ndarray = _NONE, *, units: np.ndarray | float = 0.0
    ) -> Verdict:
        """The verdict on each step of a sequence.

        Args:
            name: of the series.
            surprise: in nats, NaN where a step was not observed, [time].
            before: what `carried` gave of the steps before them.
            units: what the data's own units add to it, [time].
        """
        mean = smoothed(surprise - units, self.window, before)
        above = mean - self.levels.get(name, self.level)
        high = self.high.log_probability(above)
        low = np.full(len(high), np.inf) if self.low is None else self.low.log_probability(-above)
        sides = 1 if self.low is None else 2
        probability = np.minimum(sides * np.exp(np.minimum(high, low)), 1.0)
        typical = float(np.median(units)) if np.size(units) else 0.0
        return Verdict(mean + typical, probability, probability < self.false_alarms, low < high)

    def carried(
        self, surprise: np.ndarray, before: np.ndarray = _NONE, *, units: np.ndarray | float = 0.0
    ) -> np.ndarray:
        """What the judgement of later steps needs as `before`: the last surprises without their units."""
        known = np.concatenate([before, (surprise - units)[np.isfinite(surprise)]])
        return known[max(0, len(known) - self.window + 1) :]

    def thresholds(self, name: str, units: float = 0.0) -> tuple[float | None, float]:
        """The smoothed surprise of a series below and above which there is an alarm; `None` where none is too low."""
        usual, share = self.levels.get(name, self.level) + units, self.false_alarms
        if self.low is None:
            return None, usual + self.high.value_at(share)
        return usual - self.low.value_at(share / 2), usual + self.high.value_at(share / 2)


def smoothed(surprise: np.ndarray, window: int, before: np.ndarray = _NONE) -> np.ndarray:
    """The mean of each observed step and the observed ones before it, `window` in all, [time]; NaN where there is none.

    Example:
        >>> smoothed(np.array([1.0, 3.0, np.nan, 5.0]), 2)
        array([nan,  2., nan,  4.])
    """
    observed = np.isfinite(surprise)
    known = np.concatenate([before, surprise[observed]])
    known = known[max(0, len(before) - window + 1) :]
    means = np.full(int(observed.sum()), np.nan)
    if len(known) >= window and len(means):
        found = np.lib.stride_tricks.sliding_window_view(known, window).mean(axis=-1)
        means[len(means) - len(found) :] = found
    every = np.full(len(surprise), np.nan)
    every[observed] = means
    return every
