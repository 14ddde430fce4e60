"""Forecasts from many origins in the test part, beside the forecasts that cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from statistics import NormalDist
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from .. import _plotting
from .._errors import DataError
from ..artifacts import LEVELS, SeriesRun
from ..data import Series, SeriesData, Split
from . import metrics
from .baselines import Drift, Naive, SeasonalNaive
from .scores import Outcome, Scores, scores

_MOST_ORIGINS = 1000
_PARTS = 32
"""So many stretches of the test part are told apart, as long as each is as long as the horizon."""


@dataclass(frozen=True)
class Backtest:
    """A model beside its baselines on the same origins.

    Args:
        model: the model's scores.
        baselines: those of naive, seasonal naive and drift.
        horizon: steps ahead.
        origins: how many forecasts were made, over all series.
        stride: rows between two origins.
        period: the season that seasonal naive repeats, in rows; 1 in a series whose training part is no longer.
        log_likelihood: of the model, one step ahead: nats a row, in the data's own units.
        parts: the model's mae, crps and log_likelihood in each of several stretches of the test part, in order.
        sizes: how many values each of these is the mean of.
        values_left_out: values in the futures that were filled in, not observed: no figure counts them.
        origins_left_out: forecasts not made because the row before was filled from later ones.
    """

    model: Scores
    baselines: dict[str, Scores]
    horizon: int
    origins: int
    stride: int
    period: int
    log_likelihood: float
    parts: dict[str, tuple[float, ...]]
    sizes: dict[str, tuple[int, ...]]
    values_left_out: int = 0
    origins_left_out: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return asdict(self)

    def table(self) -> Table:
        """Errors side by side; lower is better, coverage should be near its level."""
        caption = (
            "lower is better; coverage should be near the interval's own level; log-likelihood: nats a row, one step "
            "ahead, higher is better"
        )
        if self.values_left_out or self.origins_left_out:
            caption += (
                f"\nleft out: values that were filled in: {self.values_left_out:,}; "
                f"forecasts from rows filled from later ones: {self.origins_left_out:,}"
            )
        apart = "1 row apart" if self.stride == 1 else f"{self.stride} rows apart"
        title = f"test part: {self.origins} forecasts, {self.horizon} steps ahead each, {apart}"
        table = Table(title=title, caption=caption)
        table.add_column("")
        rows = {"model": self.model, **{name.replace("_", " "): scores for name, scores in self.baselines.items()}}
        for name in rows:
            table.add_column(name, justify="right")
        for field in ("mae", "mse", "rmse", "mase", "smape", "crps"):
            values = [getattr(scores, field) for scores in rows.values()]
            best = np.nanmin(values) if not np.isnan(values).all() else np.nan
            label = {"smape": "sMAPE %"}.get(field, field.upper())
            table.add_row(label, *(Text(f"{value:.4g}", style="bold" if value == best else "") for value in values))
        for level in self.model.coverage:
            table.add_row(f"in {level} % interval", *(f"{scores.coverage[level]:.1%}" for scores in rows.values()))
        table.add_row("log-likelihood", f"{self.log_likelihood:.4g}", *["–"] * len(self.baselines))
        return table

    def plot(self) -> Figure:
        """Mean absolute error against steps ahead."""
        with _plotting.style():
            figure = _plotting.figure(8, 4.2)
            axes = figure.add_subplot()
            steps = np.arange(1, self.horizon + 1)
            colours = (_plotting.PALETTE[name] for name in ("blue", "black", "orange", "green"))
            for (name, scores), colour in zip({"model": self.model, **self.baselines}.items(), colours, strict=True):
                axes.plot(
                    steps,
                    scores.error_by_step,
                    label=name.replace("_", " "),
                    color=colour,
                    linewidth=2 if name == "model" else 1.2,
                )
            axes.set_ylim(bottom=0)
            axes.set_xlabel("steps ahead")
            axes.set_ylabel("mean absolute error")
            axes.legend(frameon=False)
        return figure


def backtest(
    run: SeriesRun,
    data: SeriesData,
    *,
    horizon: int | None = None,
    stride: int | None = None,
    samples: int = 100,
    seed: int = 0,
    split: Split | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Backtest:
    """Forecast from origins all over the test part, and score against what came to be.

    Values that were filled in are no truth: nobody is scored on them. Where they were interpolated, a forecast that
    begins right after one would read what it forecasts: none is made there.

    Args:
        run: the trained model.
        data: the series, of which the last part is for testing.
        horizon: steps ahead; the one trained for by default.
        stride: rows between two origins; by default so that about 1,000 forecasts are made.
        samples: sampled futures of each.
        seed: of the draws.
        split: says which part of `data` trained the model and which is for testing; the run's own by default.
        progress: is told the share that is done.

    Raises:
        DataError: if the test part of every series is shorter than the horizon, or was filled in throughout.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import polars as pl
        >>> from throughtime import prepare, read_series
        >>> data = read_series(pl.DataFrame({"load": np.sin(np.arange(200) / 2)}))
        >>> small = {"task": {"horizon": 4}, "family": {"hidden_size": 8}, "training": {"epochs": 1}}
        >>> training = prepare(data, Path(tempfile.mkdtemp()) / "run", **small)
        >>> _ = training.fit()
        >>> found = backtest(training.run, data, samples=10)
        >>> found.origins, sorted(found.baselines)
        (37, ['drift', 'naive', 'seasonal_naive'])
    """
    horizon = run.task.horizon if horizon is None else horizon
    bounds = [(split or run.task.split).bounds(len(series.observed)) for series in data.series]
    possible = forecasts_possible(data, split or run.task.split, horizon)
    stride = max(1, -(-sum(possible) // _MOST_ORIGINS)) if stride is None else stride
    gathered: dict[str, list[Outcome]] = {}
    surprise: list[np.ndarray] = []
    made, dropped, mended = 0, 0, 0
    for index, (series, (train_end, start, end)) in enumerate(zip(data.series, bounds, strict=True)):
        origins = np.arange(start, start + possible[index], stride)
        fair = origins[~series.foreseen[origins - 1]]
        dropped += len(origins) - len(fair)
        window = _Window(series, fair, horizon, train_end, len(run.layout.columns.targets))
        mended += int((~window.observed).sum())
        if not window.observed.any():
            continue
        made += len(fair)
        parts = max(1, min(_PARTS // len(data.series), (end - start) // horizon))
        surprise += np.array_split(run.score(series)[start - 1 : end - 1], parts)
        told = partial(_within, progress, sum(possible[:index]) / sum(possible), possible[index] / sum(possible))
        paths = run.paths_at(series, series.known, fair, horizon, samples, seed, told)
        for part in np.array_split(np.arange(len(fair)), parts):
            stretch = replace(window, origins=fair[part])
            if not stretch.observed.any():
                continue
            for name, outcome in _outcomes(stretch, paths[:, :, part], run.task.period).items():
                gathered.setdefault(name, []).append(outcome)
    if not gathered:
        raise DataError(
            "no value of the test part was observed after a row that was: all were filled, nothing to compare"
        )
    found = {name: scores(outcomes, horizon) for name, outcomes in gathered.items()}
    likelihood = [seen for part in surprise if len(seen := -part[np.isfinite(part)])]
    outcomes = gathered["model"]
    values = tuple(len(outcome.truth) for outcome in outcomes)
    return Backtest(
        model=found.pop("model"),
        baselines=found,
        horizon=horizon,
        origins=made,
        stride=stride,
        period=run.task.period,
        log_likelihood=float(np.concatenate(likelihood).mean()) if likelihood else np.nan,
        parts=_parts(outcomes, likelihood),
        sizes={"crps": values, "mae": values, "log_likelihood": tuple(map(len, likelihood))},
        values_left_out=mended,
        origins_left_out=dropped,
    )


def _parts(outcomes: list[Outcome], likelihood: list[np.ndarray]) -> dict[str, tuple[float, ...]]:
    """The figures of each stretch."""
    return {
        "crps": tuple(outcome.crps for outcome in outcomes),
        "mae": tuple(metrics.mae(outcome.truth, outcome.point) for outcome in outcomes),
        "log_likelihood": tuple(float(part.mean()) for part in likelihood),
    }


def forecasts_possible(data: SeriesData, split: Split, horizon: int) -> list[int]:
    """How many forecasts each series' test part has room for.

    Raises:
        DataError: where it is none at all.
    """
    bounds = [split.bounds(len(series.observed)) for series in data.series]
    possible = [max(0, end - start - horizon + 1) for _, start, end in bounds]
    if not sum(possible):
        longest = max(end - start for _, start, end in bounds)
        raise DataError(f"the test part has {longest} rows, the horizon is {horizon}: nothing to compare; shorten it")
    return possible


def _within(progress: Callable[[float], None], before: float, share: float, part: float) -> None:
    progress(before + share * part)


@dataclass(frozen=True)
class _Window:
    """The futures after some origins of one series.

    Args:
        series: all of it.
        origins: the first row of each future, [window].
        horizon: rows of each.
        train_end: the row after the training part.
        targets: how many columns are forecast.
    """

    series: Series
    origins: np.ndarray
    horizon: int
    train_end: int
    targets: int

    @property
    def values(self) -> np.ndarray:
        """The targets, [time, target]."""
        return self.series.observed[:, : self.targets]

    @property
    def rows(self) -> np.ndarray:
        """[horizon, window]."""
        return np.arange(self.horizon)[:, None] + self.origins

    @cached_property
    def observed(self) -> np.ndarray:
        """Which values of the futures were not filled in, bool [horizon, window, target]."""
        if self.series.mended is None:
            return np.ones((*self.rows.shape, self.targets), bool)
        return ~self.series.mended[:, : self.targets][self.rows]

    def outcome(self, point: np.ndarray, crps: float, intervals: dict, period: int) -> Outcome:
        """What a forecaster said of the values that were observed; its arrays are [horizon, window, target]."""
        history = self.values[: self.train_end].copy()
        if self.series.mended is not None:
            history[self.series.mended[: self.train_end, : self.targets]] = np.nan
        steps, _, columns = np.nonzero(self.observed)
        return Outcome(
            truth=self.values[self.rows][self.observed],
            point=point[self.observed],
            step=steps,
            scale=metrics.seasonal_step(history, period)[columns],
            crps=crps,
            intervals={level: (low[self.observed], high[self.observed]) for level, (low, high) in intervals.items()},
        )


def _outcomes(window: _Window, paths: np.ndarray, period: int) -> dict[str, Outcome]:
    """What the model, by its sampled `paths`, and the baselines said."""
    period = period if window.train_end > period else 1
    truth, observed = window.values[window.rows][window.observed], window.observed
    intervals = {level: np.quantile(paths, [(1 - level) / 2, (1 + level) / 2], axis=0) for level in LEVELS}
    sharp = metrics.crps(truth, paths[:, observed])
    outcomes = {"model": window.outcome(np.median(paths, 0), sharp, intervals, period)}
    for baseline in (Naive(), SeasonalNaive(period), Drift()):
        made = [baseline.forecasts(column, window.origins, window.horizon) for column in window.values.T]
        point, deviation = np.transpose(made, (1, 3, 2, 0))
        intervals = {
            level: [point + sign * NormalDist().inv_cdf((1 + level) / 2) * deviation for sign in (-1, 1)]
            for level in LEVELS
        }
        sharp = metrics.crps_normal(truth, point[observed], deviation[observed])
        outcomes[baseline.name] = window.outcome(point, sharp, intervals, period)
    return outcomes
