"""A comparison as it is seen in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from ._console import err


class ComparingProgress:
    """A bar for all trainings and one for what is done at the moment, and a line for each that is over.

    Args:
        begun: called when all that was asked for is known to be possible, before the first training.
    """

    def __init__(self, begun: Callable[[], None]) -> None:
        self.begun = begun
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._all = self._bar.add_task("all", total=None)
        self._one = self._bar.add_task("", total=1.0)
        self._name = self._metric = ""

    def __enter__(self) -> ComparingProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, event: str, record: Mapping[str, Any]) -> None:
        match event:
            case "begin":
                self._metric = record["metric"]
                self.begun()
                self._bar.update(self._all, total=record["count"])
                self._bar.start()
            case "trial":
                self._name = f"{record['model']}, seed {record['seed']}"
                self._bar.update(self._all, completed=record["index"])
                self._bar.update(self._one, description=self._name, completed=0)
            case "progress":
                self._bar.update(self._one, description=f"{self._name}: {record['phase']}", completed=record["share"])
            case "done":
                figure, seconds = record["trial"].figures[self._metric], record["trial"].training_seconds
                self._line(f"{self._name}: {self._metric.replace('_', ' ')} {figure:.4g} after {seconds:.3g} s")
            case "failed":
                self._line(f"{record['model']} failed: {record['error']}", "red")

    def _line(self, words: str, style: str = "") -> None:
        err.print(Text(words, style=style), soft_wrap=True, highlight=False)
