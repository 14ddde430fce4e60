"""A tuning as it is seen in a terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..evaluation import TunedTrial, Tuning
from ._console import err


class TuningProgress:
    """A bar for the whole and one for the training at the moment, and a line for each that is over.

    Args:
        begun: called when all that was asked for is known to be possible, before the first training.
    """

    def __init__(self, begun: Callable[[], None]) -> None:
        self.begun = begun
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._all = self._bar.add_task("all", total=1.0)
        self._one = self._bar.add_task("", total=1.0)
        self._most: int | None = None
        self._seconds, self._started, self._best = math.inf, time.monotonic(), math.inf

    def __enter__(self) -> TuningProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, event: str, record: Mapping[str, Any]) -> None:
        match event:
            case "begin":
                self._most, self._seconds, self._started = record["trials"], record["seconds"], time.monotonic()
                self.begun()
                self._bar.start()
            case "trial":
                self._bar.update(self._one, description=f"trial {record['number']}", completed=0)
                self._advance(record["number"])
            case "progress":
                self._bar.update(self._one, completed=record["share"])
                self._advance(record["number"])
            case "done":
                self._line(record["trial"], record["tuning"])

    def _advance(self, number: int) -> None:
        by_trials = number / self._most if self._most else 0.0
        by_time = (time.monotonic() - self._started) / self._seconds if math.isfinite(self._seconds) else 0.0
        self._bar.update(self._all, completed=min(1.0, max(by_trials, by_time)))

    def _line(self, one: TunedTrial, found: Tuning) -> None:
        style = {"failed": "red", "pruned": "dim"}.get(one.state, "")
        if one.reason is not None:
            words = f"failed: {one.reason}"
        elif one.loss is None:
            words = one.state
        else:
            words = f"{one.loss:.4f}" + (" so far, ended early" if one.state == "pruned" else "")
        if one.state == "finished" and found.ranked and found.best.number == one.number:
            words, style = f"{words}, the best so far", "bold"
        err.print(Text(f"trial {one.number}: {words} ({one.words})", style=style), soft_wrap=True, highlight=False)
