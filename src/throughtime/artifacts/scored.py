"""One sequence with the verdicts on its steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .detector import Verdict


@dataclass(frozen=True, eq=False)
class Scored:
    """One sequence and the verdicts on it.

    Args:
        name: its own.
        labels: what its steps are called: times, or symbols, [time].
        surprise: −log p in nats, NaN where a step was filled in, [time].
        verdict: on each step.
        thresholds: the smoothed surprise below and above which there is an alarm; the first `None` if none is too low.
        values: the targets, of a series, [time, target].
    """

    name: str
    labels: np.ndarray
    surprise: np.ndarray
    verdict: Verdict
    thresholds: tuple[float | None, float]
    values: np.ndarray | None = None

    def intervals(self, apart: int) -> list[tuple[int, int, int]]:
        """(first, last, peak) of its alarms, those not more than `apart` steps apart being one; the rarest is the peak.

        Example:
            >>> verdict = Verdict(np.zeros(9), *(np.array([1, 1, 0, 1, 1, 0, 0, 1, 1.0]) < 1 for _ in range(3)))
            >>> Scored("", np.arange(9), np.zeros(9), verdict, (None, 0.0)).intervals(apart=2)
            [(2, 2, 2), (5, 6, 5)]
        """
        steps = np.flatnonzero(self.verdict.alarm)
        if not len(steps):
            return []
        together = np.split(steps, np.flatnonzero(np.diff(steps) > apart) + 1)
        return [(int(part[0]), int(part[-1]), self._peak(part)) for part in together]

    def _peak(self, steps: np.ndarray) -> int:
        rarity, surprise = self.verdict.probability[steps], np.abs(self.verdict.smoothed[steps])
        return int(steps[np.lexsort((-surprise, rarity))[0]])
