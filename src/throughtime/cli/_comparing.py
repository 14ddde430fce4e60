"""A comparison as it is seen in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ._two_bars import TwoBars


class ComparingProgress(TwoBars):
    """A bar for all trainings and one for what is done at the moment."""

    def __init__(self, begun: Callable[[], None]) -> None:
        super().__init__(begun)
        self._name = self._metric = ""

    def __call__(self, event: str, record: Mapping[str, Any]) -> None:
        match event:
            case "begin":
                self._metric = record["metric"]
                self._bar.update(self._all, total=record["count"])
                self._begin()
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
