"""What came of a cross-validation: a table, a picture, and plain data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from .. import _plotting
from .._errors import ConfigurationError
from .fold_trials import FIGURES, FoldScores
from .folds import Fold, Scheme, draw_folds, fold_legend


@dataclass(frozen=True)
class CrossValidation:
    """The scores of a model in each fold, with each seed.

    Args:
        scheme: how the series were cut.
        rows: of each series, by name.
        horizon: steps ahead.
        scores: fold by fold, and within a fold seed by seed.
    """

    scheme: Scheme
    rows: dict[str, int]
    horizon: int
    scores: tuple[FoldScores, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the trainings of each fold."""
        return tuple(one.seed for one in self.scores if one.fold == 1)

    @property
    def baselines(self) -> dict[str, dict[str, float]]:
        """The mean figures over the folds of what costs nothing, by name."""
        first = self.scores[0].baselines
        return {
            name: {metric: float(np.mean([one.baselines[name][metric] for one in self.scores])) for metric in figures}
            for name, figures in first.items()
        }

    def values(self, metric: str) -> np.ndarray:
        """The figures, [fold, seed].

        Raises:
            ConfigurationError: for a metric that is not known.
        """
        check_metric(metric)
        return np.array([one.figures[metric] for one in self.scores]).reshape(self.scheme.folds, -1)

    def mean(self, metric: str) -> float:
        """The mean over folds and seeds."""
        return float(self.values(metric).mean())

    def standard_error(self, metric: str) -> float:
        """That of the mean, from fold to fold: s / √folds, s the deviation of the means over seeds.

        It takes the folds for independent. Where they share rows that train, as those of a rolling origin do, it tends
        to be too small; there is no estimate without bias (Bengio & Grandvalet 2004). NaN for one fold.
        """
        by_fold = self.values(metric).mean(1)
        return float(by_fold.std(ddof=1) / math.sqrt(len(by_fold))) if len(by_fold) > 1 else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "scheme": {"name": type(self.scheme).__name__, **asdict(self.scheme)},
            "horizon": self.horizon,
            "seeds": list(self.seeds),
            "mean": _finite({name: self.mean(name) for name in FIGURES}),
            "standard_error": _finite({name: self.standard_error(name) for name in FIGURES}),
            "baselines": {name: _finite(figures) for name, figures in self.baselines.items()},
            "folds": {name: list(map(_plain, self.scheme.split(rows))) for name, rows in self.rows.items()},
            "scores": [
                asdict(one)
                | {"figures": _finite(one.figures)}
                | {"baselines": {name: _finite(figures) for name, figures in one.baselines.items()}}
                for one in self.scores
            ],
        }

    def table(self) -> Table:
        """A row a fold, their mean with its standard error, and what costs nothing."""
        seeds = f", {len(self.seeds)} seeds each" if len(self.seeds) > 1 else ""
        name, rows = self._shown
        of = f", rows of series {name!r}" if name else ""
        table = Table(
            title=f"{self.scheme.folds} folds{seeds}, {self.horizon} steps ahead{of}",
            caption="lower is better, but of log p: nats a row, one step ahead",
        )
        for heading in ("fold: test rows", *(metric.label for metric in FIGURES.values())):
            table.add_column(heading, justify="right")
        for number, fold in enumerate(self.scheme.split(rows)):
            figures = (f"{self.values(metric)[number].mean():.4g}" for metric in FIGURES)
            table.add_row(f"{number + 1}: {fold.test.start}–{fold.test.stop - 1}", *figures)
        table.add_section()
        table.add_row("mean", *(f"{self.mean(metric):.4g}" for metric in FIGURES))
        table.add_row("standard error", *(f"{self.standard_error(metric):.2g}" for metric in FIGURES))
        table.add_section()
        for baseline, means in self.baselines.items():
            figures = (f"{means[metric]:.4g}" if metric in means else "–" for metric in FIGURES)
            table.add_row(baseline.replace("_", " "), *figures)
        return table

    def plot(self, metric: str = "crps") -> Figure:
        """The folds, and beside each its figure with each seed and those of the baselines.

        Raises:
            ConfigurationError: for a metric that is not known.
        """
        check_metric(metric)
        folds = self.scheme.split(self._shown[1])
        with _plotting.style():
            figure = _plotting.figure(9, 1.2 + 0.3 * len(folds))
            left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
            draw_folds(left, folds)
            self._draw_scores(right, metric)
            handles, _ = right.get_legend_handles_labels()
            figure.legend(handles=[*fold_legend(folds), *handles], loc="outside upper right", ncols=8)
        return figure

    @property
    def _shown(self) -> tuple[str, int]:
        """The longest series, and its rows."""
        return max(self.rows.items(), key=lambda item: item[1])

    def _draw_scores(self, axes: Axes, metric: str) -> None:
        numbers = [one.fold for one in self.scores]
        mean, error = self.mean(metric), self.standard_error(metric)
        colours = {"naive": "black", "seasonal_naive": "orange", "drift": "green"}
        for name, figures in self.scores[0].baselines.items():
            if metric in figures:
                found = [one.baselines[name][metric] for one in self.scores]
                label = name.replace("_", " ")
                axes.plot(found, numbers, "x", color=_plotting.PALETTE[colours[name]], markersize=5, label=label)
        axes.plot(self.values(metric).ravel(), numbers, "o", color=_plotting.PALETTE["vermillion"], label="model")
        axes.axvline(mean, color=_plotting.PALETTE["vermillion"], linewidth=0.8)
        if math.isfinite(error):
            axes.axvspan(mean - error, mean + error, color=_plotting.PALETTE["vermillion"], alpha=0.12, linewidth=0)
        axes.margins(x=0.05)
        axes.set_xlabel(FIGURES[metric].label)


def check_metric(metric: str) -> None:
    """Refuse one that is not measured."""
    if metric not in FIGURES:
        raise ConfigurationError(f"metric {metric!r} is not known here; known: {', '.join(FIGURES)}")


def _plain(fold: Fold) -> dict[str, list[int]]:
    return {name: [part.start, part.stop] for name, part in fold.parts.items()}


def _finite(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}
