"""What surprise is usual: kept with a run, as rows that its weights were not fitted on surprised it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._errors import ConfigurationError
from .detector import Detector, smoothed
from .tails import Tail

_WINDOW, _FEWEST_WINDOWS = 8, 200
_FEWEST_OF_A_SERIES = 30


@dataclass(frozen=True, eq=False)
class Calibration:
    """The surprise of steps that the weights were not fitted on: the validation part of the training data.

    All series are pooled, after each one's own median is taken away: their noise differs, but what remains of −log p
    has much the same tail in all of them, and few have enough steps of their own to tell of one in a thousand. A
    series with few steps, and one that was not met in training, is taken to be as noisy as the others are, in units of
    its own standard deviation.

    Args:
        surprise: by name of the series, −log p of the observed steps, of values in units of the series' standard
            deviation, [step].
        part: where they are from: "validation", or "training" where there was no validation part; the weights
            were fitted to those, which surprise them less than others will.
        columns: those of the training file, in order; empty where it was a text or a frame.
    """

    surprise: Mapping[str, np.ndarray]
    part: str = "validation"
    columns: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """How many steps it knows."""
        return sum(map(len, self.surprise.values()))

    def detector(self, window: int | None = None, false_alarms: float = 0.001) -> Detector:
        """What tells the unusual from the usual.

        Args:
            window: how many steps are judged together; by default 8, or 1 where fewer than 200 such windows are known.
            false_alarms: the share of usual steps that may be called unusual.

        Raises:
            ConfigurationError: where no series has as many steps, or the share is not between 0 and 1.

        Example:
            >>> usual = np.random.default_rng(0).exponential(size=1000)
            >>> detector = Calibration({"": usual}).detector(window=4)
            >>> verdict = detector.judge("", np.array([1.0, 0.3, 0.7, 1.2, 9.0, 8.0]))
            >>> verdict.alarm.tolist()
            [False, False, False, False, False, True]
        """
        if window is None:
            windows = sum(max(0, len(own) - _WINDOW + 1) for own in self.surprise.values())
            window = _WINDOW if windows >= _FEWEST_WINDOWS else 1
        if not 0 < false_alarms < 1:
            raise ConfigurationError(f"false alarms {false_alarms:g}: expected a share of the steps between 0 and 1")
        longest = max(map(len, self.surprise.values()))
        if not 1 <= window <= longest:
            raise ConfigurationError(
                f"--window {window}: the {self.part} part that it is calibrated on has at most {longest} steps in a "
                "row: choose from 1 to as many"
            )
        level = float(np.median(np.concatenate(list(self.surprise.values()))))
        levels = {name: float(np.median(own)) if len(own) >= _FEWEST_OF_A_SERIES else level
                  for name, own in self.surprise.items()}  # fmt: skip
        sample = np.concatenate([smoothed(own - levels[name], window) for name, own in self.surprise.items()])
        sample = sample[np.isfinite(sample)]
        low = Tail.of(-sample, bounded=True) if window > 1 else None
        return Detector(window, false_alarms, levels, level, Tail.of(sample), low)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, exact."""
        kept = {name: own.tolist() for name, own in self.surprise.items()}
        return {"part": self.part, "columns": list(self.columns), "surprise": kept}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_dict`."""
        surprise = {str(name): np.array(own, np.float64) for name, own in record["surprise"].items()}
        if any(own.ndim != 1 or not np.isfinite(own).all() for own in surprise.values()):
            raise ValueError("surprise is no list of numbers")
        if not any(map(len, surprise.values())):
            raise ValueError("surprise has no step")
        return cls(surprise, str(record["part"]), tuple(map(str, record["columns"])))
