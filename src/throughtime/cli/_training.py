"""Training as it is seen in a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..artifacts import LabelRun, MusicRun
from ..models import count_parameters
from ..training import Fitting, Training
from ._console import err, out, say
from ._options import following


class TrainingProgress:
    """What is trained, and a bar with the loss, steps a second and the time left; an observer of training."""

    def __init__(self, training: Training | Fitting, announced: bool = True) -> None:
        self.training, self.announced = training, announced
        columns = (
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(compact=True),
            TextColumn("left · {task.fields[figures]}"),
            BarColumn(bar_width=None),
        )
        self._bar = Progress(*columns, console=err, refresh_per_second=4, transient=True, disable=not err.is_terminal)
        self._task = self._bar.add_task("", total=1.0, figures="")
        self.first_step = 0
        self._loss = self._speed = 0.0
        self._validation = ""

    def __enter__(self) -> TrainingProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, event: str, record: Mapping[str, Any]) -> None:
        if event == "begin":
            self.first_step = record["step"]
            if self.announced:
                out.print(summary(self.training))
            self._bar.start()
        elif event == "step":
            fresh = not self._speed
            self._loss = record["loss"] if fresh else 0.95 * self._loss + 0.05 * record["loss"]
            speed = 1 / max(record["seconds"], 1e-9)
            self._speed = speed if fresh else 0.95 * self._speed + 0.05 * speed
            figures = f"{self._speed:.1f} steps/s · loss {self._loss:.3f}{self._validation}"
            self._bar.update(self._task, completed=record["share"], figures=figures)
        elif event == "validation":
            self._validation = f" · validation {record['validation_loss']:.3f}"

    @property
    def _unit(self) -> str:
        kind = self.training.run.configuration.task.kind
        steps = {"series": "a step of the scaled series", "symbols": "a symbol", "labels": "a case", "music": "a frame"}
        return steps[kind]

    def farewell(self, reason: str) -> None:
        """What came of it, and what to do next."""
        folder, position = self.training.run.folder, self.training.position
        if reason == "interrupted":
            say(f"stopped at step {position.step}, nothing lost; go on with: throughtime train --resume {folder}")
            return
        if position.step == self.first_step:
            further = "a longer --time-budget, counted from its beginning," if reason == "time budget" else "--epochs"
            say(f"{folder} is trained already, {position.step} steps until {reason}; {further} takes it further")
            return
        measure = "CRPS" if self.training.settings.loss == "crps" else "nats"
        best = f"best validation loss {position.best:.4f} {measure} {self._unit}"
        found = best if position.best < math.inf else "not validated"
        say(f"{position.step} steps in {position.elapsed:.0f} s, stopped by {reason}; {found}")
        say(f"saved to {folder}; next: throughtime evaluate {folder}, {following(self.training.run)}")


def summary(training: Training | Fitting) -> Table:
    """What is about to be trained."""
    configuration = training.run.configuration
    family = configuration.model.family
    table = Table(show_header=False, box=None, padding=(0, 2))
    if isinstance(training.run, LabelRun):
        table.add_row("data", training.run.words)
    parameters = count_parameters(training.model)
    counted = f", {parameters:,} parameters" if parameters else ""
    table.add_row("model", f"{family.name}, {family.words}{counted}")
    sizes = configuration.task.model_dump(exclude={"kind", "split"}, exclude_none=True)
    sizes |= configuration.model.model_dump(include={"pooling"})
    if isinstance(training.run, MusicRun):
        sizes["frames_per_beat"] = training.run.frames_per_beat
    table.add_row("task", ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sizes.items()))
    by_class = ", class by class" if getattr(configuration.task, "task", None) == "classify" else ""
    shuffled = {LabelRun: f"shuffled{by_class}", MusicRun: "by whole pieces, shuffled; of fewer than 3 in time"}
    divided = configuration.task.split.words(training.run.split_unit)
    table.add_row("split", f"{divided}, {shuffled.get(type(training.run), 'in time')}")
    table.add_row("training", training.words)
    table.add_row("folder", str(training.run.folder))
    return table


def closing(training: Training | Fitting, reason: str) -> dict[str, Any]:
    """The outcome as plain data."""
    position = training.position
    return {
        "folder": str(training.run.folder),
        "reason": reason,
        "steps": position.step,
        "epochs": position.epoch,
        "seconds": position.elapsed,
        "validation_loss": position.best,
        "parameters": count_parameters(training.model),
    }
