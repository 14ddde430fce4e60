"""What came of a tuning: a table, two pictures, and plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.table import Table

from ... import _plotting
from ..._errors import DataError
from .ranges import Value

_MOST_ROWS = 10


@dataclass(frozen=True)
class TunedTrial:
    """One training of a study.

    Args:
        number: counted from 0 by the study.
        state: finished, pruned (ended early, behind the others), failed, running, waiting (to be gone on with), or lost
            (its process ended, and its settings were taken up anew).
        loss: the lowest validation loss it reached; `None` before there was one.
        drawn: what was drawn for it, by name.
        settings: all of it, by the groups of `prepare`.
        started, ended: seconds since the study's first trial began.
        reason: why it failed.
        by_defaults: whether it takes the defaults, as far as they lie in the ranges.
    """

    number: int
    state: str
    loss: float | None
    drawn: Mapping[str, Value]
    settings: Mapping[str, Mapping[str, Any]]
    started: float | None
    ended: float | None
    reason: str | None = None
    by_defaults: bool = False

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return None if self.started is None or self.ended is None else self.ended - self.started

    @property
    def shown(self) -> dict[str, str]:
        """What was drawn, for a table: a strategy with its numbers."""
        strategy = self.settings.get("training", {}).get("strategy")
        cells = {name: short(value) for name, value in self.drawn.items() if name not in ("k1", "k2")}
        return cells | ({"strategy": str(strategy)} if self.drawn.keys() & {"strategy", "k1", "k2"} else {})

    @property
    def words(self) -> str:
        """The same in one line."""
        return ", ".join(f"{name} {value}" for name, value in self.shown.items())


@dataclass(frozen=True)
class Tuning:
    """What `tune` found.

    Args:
        study: its name.
        folder: where its files are.
        trials: in the order of their numbers.
        importance: the share of each setting in whether a trial is among the best; empty where too few have finished.
        defaults: whether the first trial is a training by the defaults; not where one of them lies outside its range.
        unit: of the loss, such as "nats a symbol".
    """

    study: str
    folder: Path
    trials: tuple[TunedTrial, ...]
    importance: Mapping[str, float]
    defaults: bool
    unit: str

    @property
    def ranked(self) -> list[TunedTrial]:
        """The finished ones, the best first; of equals the earlier."""
        return sorted((one for one in self.trials if one.state == "finished"), key=lambda one: (one.loss, one.number))

    @property
    def best(self) -> TunedTrial:
        """The one with the lowest validation loss.

        Raises:
            DataError: where none has finished.
        """
        if not self.ranked:
            failed = next((f"; trial {one.number}: {one.reason}" for one in self.trials if one.reason), "")
            raise DataError(f"no trial of study {self.study!r} has finished: give it more time{failed}")
        return self.ranked[0]

    @property
    def usual(self) -> TunedTrial | None:
        """The training by the defaults, if there was one and it finished."""
        return next((one for one in self.ranked if self.defaults and one.by_defaults), None)

    @property
    def run(self) -> Path | None:
        """The run of the best trial, where it was trained on this machine."""
        folder = run_folder(self.folder, self.best.number)
        return folder if folder.exists() else None

    def count(self, state: str) -> int:
        """How many trials are in that state."""
        return sum(one.state == state for one in self.trials)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "study": self.study,
            "unit": self.unit,
            "best": self.best.number,
            "validation_loss": self.best.loss,
            "default_validation_loss": None if self.usual is None else self.usual.loss,
            "settings": self.best.settings,
            "run": None if self.run is None else str(self.run),
            "importance": dict(self.importance),
            "trials": [asdict(one) for one in self.trials],
        }

    def table(self) -> Table:
        """The best trials, and the defaults beside them."""
        ranked, usual = self.ranked[:_MOST_ROWS], self.usual
        rows = ranked if usual is None or usual in ranked else [*ranked, usual]
        names = dict.fromkeys(name for one in rows for name in one.shown)
        table = Table(title=f"the best of {len(self.trials) - self.count('waiting')} trials", caption=self._caption())
        table.add_column("trial", justify="right", no_wrap=True)
        for heading in ("loss", *(name.replace("-", "\n") for name in names), "s"):
            table.add_column(heading, justify="right", overflow="fold")
        for one in rows:
            table.add_row(
                "defaults" if one is usual else str(one.number),
                f"{one.loss:.4f}",
                *(one.shown.get(name, "–") for name in names),
                "–" if one.seconds is None else f"{one.seconds:.3g}",
                style="bold" if one is ranked[0] else "",
            )
        return table

    def _caption(self) -> str:
        counted = [f"{self.count(state)} {state}" for state in ("finished", "pruned", "failed", "lost", "running",
                                                                 "waiting") if self.count(state)]  # fmt: skip
        failures = [f"trial {one.number} failed: {one.reason}" for one in self.trials if one.state == "failed"]
        hidden = [f"and {len(failures) - 3} more"] if len(failures) > 3 else []
        loss = f"loss: on the validation part, in {self.unit}; lower is better"
        return "\n".join([", ".join(counted), loss, *failures[:3], *hidden])

    def plot(self) -> Figure:
        """The loss of each trial, and the best so far, against the trials and against time."""
        with _plotting.style():
            figure = _plotting.figure(9, 3.8)
            left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1))
            span, unit = _time_unit(max((one.ended or 0.0 for one in self.trials), default=0.0))
            _history(self, left, lambda one: float(one.number))
            _history(self, right, lambda one: (one.ended or 0.0) / span)
            left.set_xlabel("trial")
            right.set_xlabel(f"{unit} since the study began")
            right.set_xlim(left=0)
            left.xaxis.set_major_locator(MaxNLocator(integer=True))
            left.set_ylabel(f"validation loss ({self.unit})")
            figure.legend(*left.get_legend_handles_labels(), loc="outside upper right", ncols=4)
        return figure

    def importance_plot(self) -> Figure:
        """The share of each setting in whether a trial is among the best, as bars from zero."""
        named = dict(sorted(self.importance.items(), key=lambda item: item[1]))
        with _plotting.style():
            figure = _plotting.figure(6.5, 1.1 + 0.34 * max(1, len(named)))
            axes = figure.add_subplot()
            bars = axes.barh(list(named), list(named.values()), height=0.7, color=_plotting.PALETTE["blue"])
            axes.bar_label(bars, [f" {share:.0%}" for share in named.values()])
            axes.set_xlim(0, 1.12 * max(named.values(), default=1.0))
            axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="y", length=0)
            axes.set_xlabel(f"share in being among the best (PED-ANOVA, {self.count('finished')} finished trials)")
        return figure


def run_folder(folder: Path, number: int) -> Path:
    """Where a trial is trained."""
    return folder / "trials" / str(number)


def short(value: Value) -> str:
    """A value in three digits.

    Example:
        >>> short(0.0031624), short(True), short(None), short("gru")
        ('0.00316', 'yes', 'none', 'gru')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    return "none" if value is None else str(value)


def _time_unit(seconds: float) -> tuple[float, str]:
    for size, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds > 2 * size:
            return size, unit
    return 1.0, "seconds"


def _history(found: Tuning, axes: Axes, place: Any) -> None:
    """Points of trials, the best so far as stairs; those far above stand at the upper edge."""
    colours = _plotting.PALETTE
    finished = sorted(found.ranked, key=place)
    lowest, highest = _limits(found)
    axes.set_ylim(lowest, highest)
    for state, colour, marker in (("finished", colours["blue"], "o"), ("pruned", colours["grey"], "x")):
        some = [(place(one), one.loss) for one in found.trials if one.state == state and one.loss is not None]
        for above, shape in ((False, marker), (True, "^")):
            points = [(x, min(loss, highest)) for x, loss in some if (loss > highest) == above]
            if points:
                axes.plot(*zip(*points, strict=True), shape, color=colour, markersize=5, clip_on=False, zorder=3,
                          label=f"{state}, beyond" if above else state)  # fmt: skip
    failed = [one for one in found.trials if one.state == "failed" and one.ended is not None]
    if failed:
        axes.plot([place(one) for one in failed], [highest] * len(failed), "v", color=colours["vermillion"],
                  markersize=5, label="failed", clip_on=False, zorder=3)  # fmt: skip
    if finished:
        last = max(place(one) for one in found.trials if one.ended is not None)
        stairs = np.minimum.accumulate([one.loss or 0.0 for one in finished])
        axes.plot([*(place(one) for one in finished), last], [*stairs, stairs[-1]], drawstyle="steps-post",
                  color=colours["black"], linewidth=1.2, label="best so far", zorder=2)  # fmt: skip
    if found.usual is not None and found.usual.loss is not None:
        axes.axhline(found.usual.loss, color=colours["orange"], linewidth=1.2, linestyle="--", label="defaults")
    axes.margins(x=0.03)


def _limits(found: Tuning) -> tuple[float, float]:
    """From the best to the highest, or to thrice as far above the best as the middle and the defaults are."""
    drawn = [one.loss for one in found.trials if one.state in ("finished", "pruned") and one.loss is not None]
    losses = [loss for loss in drawn if math.isfinite(loss)]
    if not losses:
        return 0.0, 1.0
    usual = found.usual.loss if found.usual is not None and found.usual.loss is not None else -math.inf
    low, middle = min(losses), max(float(np.median(losses)), usual)
    high = min(max(losses), low + 3 * (middle - low))
    room = 0.08 * (high - low or 1.0)
    return low - room, high + room
