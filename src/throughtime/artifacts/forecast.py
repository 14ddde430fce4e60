"""A forecast in the data's own units: what was known, what is expected, and how surely."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from .. import _plotting
from .records import write_record

LEVELS = (0.5, 0.8, 0.95)
"""The central intervals that a forecast reports."""


@dataclass(frozen=True)
class SeriesForecast:
    """The forecast of one series.

    Args:
        name: the series' own name.
        history_times, history: what came before, [time] and [time, target].
        times: the steps forecast, [horizon].
        paths: sampled futures, [sample, horizon, target].
        truth: what came to be, [horizon, target], where it is known.
    """

    name: str
    history_times: np.ndarray
    history: np.ndarray
    times: np.ndarray
    paths: np.ndarray
    truth: np.ndarray | None = None

    @property
    def median(self) -> np.ndarray:
        """The point forecast, [horizon, target]."""
        return np.median(self.paths, axis=0)

    def interval(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """The central interval that holds `level` of the sampled futures: lower and upper, [horizon, target]."""
        lower, upper = np.quantile(self.paths, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return lower, upper


@dataclass(frozen=True, repr=False)
class Forecast:
    """Forecasts of one or many series, of the same targets."""

    series: tuple[SeriesForecast, ...]
    targets: tuple[str, ...]

    def __repr__(self) -> str:
        steps = {len(one.times) for one in self.series}
        return f"Forecast({', '.join(self.targets)}; {len(self.series)} series, {max(steps, default=0)} steps)"

    def frame(self) -> pl.DataFrame:
        """One row a series, target and step: median, mean, and both ends of each interval; truth where known."""
        return pl.concat([self._rows(one, index) for one in self.series for index in range(len(self.targets))])

    def _rows(self, one: SeriesForecast, index: int) -> pl.DataFrame:
        columns: dict[str, Any] = {
            "series": [one.name] * len(one.times),
            "target": [self.targets[index]] * len(one.times),
            "time": one.times,
            "median": one.median[:, index],
            "mean": one.paths[:, :, index].mean(0),
        }
        for level in LEVELS:
            lower, upper = one.interval(level)
            columns[f"lower_{level:.0%}"[:-1]] = lower[:, index]
            columns[f"upper_{level:.0%}"[:-1]] = upper[:, index]
        if any(other.truth is not None for other in self.series):
            columns["truth"] = np.full(len(one.times), np.nan) if one.truth is None else one.truth[:, index]
        return pl.DataFrame(columns)

    def plot(self, most: int = 6) -> Figure:
        """History, truth, median and intervals; a panel for each series and target, `most` at most."""
        panels = [(one, index) for one in self.series for index in range(len(self.targets))][:most]
        with _plotting.style():
            figure = _plotting.figure(9, 3.2 * len(panels))
            for row, (one, index) in enumerate(panels):
                axes = figure.add_subplot(len(panels), 1, row + 1)
                self._panel(axes, one, index)
                axes.set_title(" · ".join(part for part in (one.name, self.targets[index]) if part), loc="left")
            figure.axes[0].legend(loc="upper left", ncols=6, fontsize="small", frameon=False)
        return figure

    def _panel(self, axes: Any, one: SeriesForecast, index: int) -> None:
        shown = min(len(one.history), 4 * len(one.times))
        times, history = one.history_times[-shown:], one.history[-shown:, index]
        axes.plot(times, history, color=_plotting.PALETTE["black"], linewidth=1, label="history")
        joined_times = np.concatenate([times[-1:], one.times])
        for level, shade in zip(sorted(LEVELS, reverse=True), (0.16, 0.24, 0.34), strict=True):
            lower, upper = (np.concatenate([history[-1:], bound[:, index]]) for bound in one.interval(level))
            axes.fill_between(
                joined_times,
                lower,
                upper,
                color=_plotting.PALETTE["blue"],
                alpha=shade,
                linewidth=0,
                label=f"{level:.0%} interval",
            )
        median = np.concatenate([history[-1:], one.median[:, index]])
        axes.plot(joined_times, median, color=_plotting.PALETTE["blue"], linewidth=1.6, label="median")
        if one.truth is not None:
            axes.plot(
                one.times, one.truth[:, index], color=_plotting.PALETTE["vermillion"], linewidth=1.2, label="truth"
            )
        axes.set_ylabel(self.targets[index])
        if np.issubdtype(one.times.dtype, np.datetime64):
            _plotting.dated(axes, 8)

    def write(self, path: Path) -> None:
        """Write as CSV, Parquet or PNG, by the file's suffix."""
        write_record(self, path)
