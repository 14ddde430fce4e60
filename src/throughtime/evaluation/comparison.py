"""What came of a comparison: a table, a picture, and plain data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from rich.console import Group
from rich.table import Table
from rich.text import Text

from .. import _plotting
from ..data import SeriesData, SoundData, TextData
from .difference import Difference, difference
from .trial import Trial


class Metric(NamedTuple):
    """A figure of quality.

    Args:
        label: what pictures and tables call it.
        sign: 1 where lower is better, −1 where higher is.
    """

    label: str
    sign: int


def metrics_of(data: SeriesData | TextData | SoundData) -> dict[str, Metric]:
    """The metrics of models of such data by name, the one that ranks them first.

    Example:
        >>> import polars as pl
        >>> from throughtime.data import read_series
        >>> list(metrics_of(read_series(pl.DataFrame({"load": [1.0, 2.0, 3.0]}))))
        ['crps', 'mae', 'log_likelihood']
    """
    if isinstance(data, SeriesData):
        return {"crps": Metric("CRPS", 1), "mae": Metric("MAE", 1), "log_likelihood": Metric("log p", -1)}
    unit = data.vocabulary.unit if isinstance(data, TextData) else "sample"
    return {f"{name}_per_{unit}": Metric(f"{name} per {unit}", 1) for name in ("bits", "nats")}


@dataclass(frozen=True)
class Candidate:
    """One model of a comparison.

    Args:
        model: the name it was given.
        settings: those of its family that were asked for.
        trials: its trainings.
        error: why it failed, if it did.
    """

    model: str
    settings: dict[str, Any]
    trials: tuple[Trial, ...] = ()
    error: str | None = None

    def mean(self, of: Callable[[Trial], float]) -> float:
        """A figure's mean over the trainings."""
        return float(np.mean([of(one) for one in self.trials]))

    def figure(self, metric: str) -> float:
        """The metric's mean over the trainings, on the test part."""
        return self.mean(lambda one: one.figures[metric])


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Args:
        metric: what ranks the models.
        metrics: all metrics by name.
        candidates: the models in the order that they were named.
        given_quality: the validation loss in nats, the time to which is told; `None` for the best one that all reached.
    """

    metric: str
    metrics: dict[str, Metric]
    candidates: tuple[Candidate, ...]
    given_quality: float | None = None

    @property
    def ranked(self) -> list[Candidate]:
        """Those that did not fail, the best first."""
        sign = self.metrics[self.metric].sign
        return sorted(
            (one for one in self.candidates if one.error is None), key=lambda one: sign * one.figure(self.metric)
        )

    @property
    def quality(self) -> float | None:
        """The validation loss, in nats, the time to which is told."""
        reached = [min((loss for _, loss in one.learning), default=math.inf)
                   for candidate in self.ranked for one in candidate.trials]  # fmt: skip
        best = max(reached, default=math.inf) if self.given_quality is None else self.given_quality
        return best if math.isfinite(best) else None

    @property
    def baselines(self) -> dict[str, dict[str, float]]:
        """The figures of what costs nothing, by name."""
        return next((one.trials[0].baselines for one in self.ranked), {})

    def difference(self, candidate: Candidate) -> Difference:
        """A model's figure less that of the best; the intervals of all models hold together with 95 % (Bonferroni)."""
        ranked = self.ranked
        one, best = (np.array([trial.parts[self.metric] for trial in each.trials]) for each in (candidate, ranked[0]))
        confidence = 1 - 0.05 / max(1, len(ranked) - 1)
        return difference(one, best, confidence, ranked[0].trials[0].sizes[self.metric])

    def front(self, cost: Callable[[Candidate], float]) -> list[Candidate]:
        """Those that none beats in quality without costing more (Pareto), the best first.

        Example:
            >>> def candidate(name, bits):
            ...     return Candidate(name, {}, (Trial(0, {"bits": bits}, {}, {}, {}, 1, 1, 1.0, [], 1.0, 1.0, 1),))
            >>> some = (candidate("slow", 1.0), candidate("fast", 2.0), candidate("neither", 3.0))
            >>> found = Comparison("bits", {"bits": Metric("bits", 1)}, some)
            >>> [one.model for one in found.front(lambda one: {"slow": 9.0, "fast": 1.0}.get(one.model, 5.0))]
            ['slow', 'fast']
        """
        front: list[Candidate] = []
        for one in self.ranked:
            if not front or cost(one) < cost(front[-1]):
                front.append(one)
        return front

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON: the best first, those that failed last."""
        failed = [{"model": one.model, "error": one.error} for one in self.candidates if one.error is not None]
        return {
            "metric": self.metric,
            "quality": self.quality,
            "models": [*(self._record(one) for one in self.ranked), *failed],
            "baselines": self.baselines,
        }

    def _record(self, one: Candidate) -> dict[str, Any]:
        beside = self.difference(one)
        return {
            "model": one.model,
            **{name: _finite(one.figure(name)) for name in self.metrics},
            "difference": {"to": self.ranked[0].model, "mean": _finite(beside.mean),
                           "interval": [_finite(beside.low), _finite(beside.high)],
                           "tie": None if math.isnan(beside.low) else beside.tie},
            "on_the_front": {"training": one in self.front(training_seconds), "sampling": one in self.front(sampling)},
            "parameters": one.trials[0].parameters,
            "memory_bytes": one.trials[0].memory,
            "training_seconds": training_seconds(one),
            "seconds_to_quality": _finite(self.seconds_to_quality(one)),
            "density_seconds_per_step": density(one),
            "sampling_seconds_per_step": sampling(one),
            "settings": one.settings,
            "trials": [{"seed": trial.seed, **trial.figures, "training_seconds": trial.training_seconds,
                        "learning": trial.learning} for trial in one.trials],
            "error": None,
        }  # fmt: skip

    def seconds_to_quality(self, one: Candidate) -> float:
        """The mean time of training until the validation loss was that of `quality`; infinite where it never was."""
        quality = self.quality
        return math.inf if quality is None else one.mean(lambda trial: trial.seconds_to(quality))

    def table(self) -> Group:
        """Quality, and what it costs."""
        return Group(_quality_table(self), _cost_table(self))

    def plot(self) -> Figure:
        """Quality against the cost of training and of sampling, with the Pareto fronts."""
        with _plotting.style():
            figure = _plotting.figure(9, 4.2)
            left, right = figure.subplots(1, 2, sharey=True)
            figures = [trial.figures[self.metric] for one in self.ranked for trial in one.trials]
            if min(figures) > 0 and max(figures) > 4 * min(figures):
                left.set_yscale("log")
                _plain_ticks(left.yaxis)
            panels = {left: training_seconds, right: lambda one: 1e6 * sampling(one)}
            left.set_xlabel("seconds of training")
            right.set_xlabel("microseconds to sample a step")
            for axes, cost in panels.items():
                _scatter(self, axes, cost)
            metric = self.metrics[self.metric]
            left.set_ylabel(f"{metric.label} ({'lower' if metric.sign > 0 else 'higher'} is better)")
            figure.draw_without_rendering()  # places the axes, whose scale the names below have to know
            for axes, cost in panels.items():
                _names(self, axes, cost)
        return figure


def training_seconds(one: Candidate) -> float:
    """Of one training, in the mean."""
    return one.mean(lambda trial: trial.training_seconds)


def density(one: Candidate) -> float:
    """Seconds a step, in the mean."""
    return one.mean(lambda trial: trial.density_seconds)


def sampling(one: Candidate) -> float:
    """Seconds a step, in the mean."""
    return one.mean(lambda trial: trial.sampling_seconds)


def _finite(value: float) -> float | None:
    """JSON has no other numbers."""
    return value if math.isfinite(value) else None


def _quality_table(found: Comparison) -> Table:
    best = found.ranked[0].model if found.ranked else ""
    confidence = f"difference: to {best}; its intervals hold all together with 95 %; a tie holds 0"
    higher = any(metric.sign < 0 for metric in found.metrics.values())
    directions = "lower is better" + (", of log p, in nats a row one step ahead, higher" if higher else "")
    failures = [f"{one.model} failed: {one.error}" for one in found.candidates if one.error is not None]
    caption = "\n".join([directions, *([confidence] if best else []), *failures])
    table = Table(title="quality on the test part", caption=caption)
    table.add_column("")
    for metric in found.metrics.values():
        table.add_column(metric.label, justify="right")
    table.add_column("difference", justify="right", no_wrap=True)
    table.add_column("")
    for one in found.ranked:
        figures = [f"{one.figure(name):.4g}" for name in found.metrics]
        table.add_row(one.model, *figures, *_in_words(found.difference(one), one.model == best))
    for name, figures in found.baselines.items():
        values = (f"{figures[metric]:.4g}" if metric in figures else "–" for metric in found.metrics)
        table.add_row(name.replace("_", " "), *values, "", "", style="dim")
    for one in found.candidates:
        if one.error is not None:
            table.add_row(one.model, *["–"] * len(found.metrics), "", Text("failed", style="red"))
    return table


def _in_words(difference: Difference, best: bool) -> tuple[str, str]:
    if best:
        return "", "best"
    if math.isnan(difference.low):
        return f"{difference.mean:+.3g}", "unknown"
    verdict = "tie" if difference.tie else "worse"
    return f"{difference.mean:+.3g} [{difference.low:+.2g}, {difference.high:+.2g}]", verdict


def _cost_table(found: Comparison) -> Table:
    quality = found.quality
    reached = "" if quality is None else f"to quality: until the validation loss was {quality:.4g} nats; "
    caption = f"{reached}memory: of one step of training; density and sampling: a step of one sequence"
    table = Table(title="what it costs", caption=caption)
    table.add_column("", no_wrap=True)
    for heading in (
        "parameters",
        "memory\nMiB",
        "training\ns",
        "to\nquality\ns",
        "density\nµs",
        "sampling\nµs",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found.ranked:
        seconds = found.seconds_to_quality(one)
        table.add_row(
            one.model,
            f"{one.trials[0].parameters:,}",
            _short(one.trials[0].memory / 2**20),
            _short(training_seconds(one)),
            _short(seconds) if math.isfinite(seconds) else "never",
            _short(1e6 * density(one)),
            _short(1e6 * sampling(one)),
        )
    return table


def _short(value: float) -> str:
    """Three digits, of which none stands far behind the point."""
    if value < 0.01:
        return "< 0.01"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _scatter(found: Comparison, axes: Axes, cost: Callable[[Candidate], float]) -> None:
    """A point a model, with the range of its seeds; those on the front joined, the others grey."""
    front = found.front(cost)
    for one in found.ranked:
        values = [trial.figures[found.metric] for trial in one.trials]
        colour = _colour(one, front)
        axes.plot([cost(one)] * 2, [min(values), max(values)], color=colour, linewidth=1)
        axes.plot(cost(one), one.figure(found.metric), "o", color=colour, markersize=5)
    joined = sorted((cost(one), one.figure(found.metric)) for one in front)
    axes.plot(*zip(*joined, strict=True), drawstyle="steps-post", color=_plotting.PALETTE["blue"], linewidth=0.8,
              linestyle="--", zorder=1)  # fmt: skip
    axes.set_xscale("log")
    _plain_ticks(axes.xaxis)
    axes.margins(x=0.25, y=0.12)
    _baseline(found, axes)


def _names(found: Comparison, axes: Axes, cost: Callable[[Candidate], float]) -> None:
    front = found.front(cost)
    points = {one.model: (cost(one), one.figure(found.metric)) for one in found.ranked}
    _plotting.named(axes, points, {one.model: _colour(one, front) for one in found.ranked})


def _colour(one: Candidate, front: list[Candidate]) -> str:
    return _plotting.PALETTE["blue" if one in front else "grey"]


def _plain_ticks(axis: Axis) -> None:
    """1, 2, 5, 10 … on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _baseline(found: Comparison, axes: Axes) -> None:
    """A line where the best of what costs nothing lies, unless all models are far from it."""
    sign = found.metrics[found.metric].sign
    figures = {name: figures[found.metric] for name, figures in found.baselines.items() if found.metric in figures}
    if not figures:
        return
    name = min(figures, key=lambda name: sign * figures[name])
    axes.axhline(figures[name], color=_plotting.PALETTE["black"], linewidth=0.8, linestyle=":")
    axes.annotate(name.replace("_", " "), (0.01, figures[name]), xycoords=("axes fraction", "data"), xytext=(0, 2),
                  textcoords="offset points", fontsize=8)  # fmt: skip
