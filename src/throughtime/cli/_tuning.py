"""A tuning as it is seen in a terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..evaluation import TunedTrial, Tuning
from ._two_bars import TwoBars


class TuningProgress(TwoBars):
    """A bar for all trials, or their time, and one for the training at the moment."""

    def __init__(self, begun: Callable[[], None]) -> None:
        super().__init__(begun)
        self._most: int | None = None
        self._seconds, self._started = math.inf, time.monotonic()

    def __call__(self, event: str, record: Mapping[str, Any]) -> None:
        match event:
            case "begin":
                self._most, self._seconds, self._started = record["trials"], record["seconds"], time.monotonic()
                self._begin()
            case "trial":
                self._bar.update(self._one, description=f"trial {record['number']}", completed=0)
                self._advance(record["number"])
            case "progress":
                self._bar.update(self._one, completed=record["share"])
                self._advance(record["number"])
            case "done":
                self._over(record["trial"], record["tuning"])

    def _advance(self, number: int) -> None:
        by_trials = number / self._most if self._most else 0.0
        by_time = (time.monotonic() - self._started) / self._seconds if math.isfinite(self._seconds) else 0.0
        self._bar.update(self._all, completed=min(1.0, max(by_trials, by_time)))

    def _over(self, one: TunedTrial, found: Tuning) -> None:
        style = {"failed": "red", "pruned": "dim"}.get(one.state, "")
        if one.reason is not None:
            words = f"failed: {one.reason}"
        elif one.loss is None:
            words = one.state
        else:
            words = f"{one.loss:.4f}" + (" so far, ended early" if one.state == "pruned" else "")
        if one.state == "finished" and found.ranked and found.best.number == one.number:
            words, style = f"{words}, the best so far", "bold"
        self._line(f"trial {one.number}: {words} ({one.words})", style)
