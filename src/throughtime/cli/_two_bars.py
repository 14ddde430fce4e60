"""Many trainings as they are seen in a terminal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Self

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from ._console import err


class TwoBars(ABC):
    """A bar for the whole and one for the training at the moment, and a line for each that is over; an observer.

    Args:
        begun: called when all that was asked for is known to be possible, before the first training.
    """

    def __init__(self, begun: Callable[[], None]) -> None:
        self.begun = begun
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._all = self._bar.add_task("all", total=1.0)
        self._one = self._bar.add_task("", total=1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @abstractmethod
    def __call__(self, event: str, record: Mapping[str, Any]) -> None:
        """Told of what happens."""

    def _begin(self) -> None:
        self.begun()
        self._bar.start()

    def _line(self, words: str, style: str = "") -> None:
        err.print(Text(words, style=style), soft_wrap=True, highlight=False)
