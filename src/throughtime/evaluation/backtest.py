"""Forecasts from many origins in the test part, beside the forecasts that cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from .. import _plotting
from .._errors import DataError
from ..artifacts import LEVELS, SeriesRun
from ..data import Series, SeriesData
from . import metrics
from .baselines import Baseline, Drift, Naive, SeasonalNaive

_MOST_ORIGINS = 1000


@dataclass(frozen=True)
class Scores:
    """Errors of one forecaster, averaged over origins, steps, targets and series; `coverage` by interval."""

    mae: float
    mse: float
    rmse: float
    mase: float
    smape: float
    crps: float
    coverage: dict[str, float]
    error_by_step: tuple[float, ...]


@dataclass(frozen=True)
class Backtest:
    """A model beside its baselines on the same origins.

    Args:
        model: the model's scores.
        baselines: those of naive, seasonal naive and drift.
        horizon: steps ahead.
        origins: how many forecasts were made, over all series.
        stride: rows between two origins.
        period: the season that seasonal naive repeats, in rows.
    """

    model: Scores
    baselines: dict[str, Scores]
    horizon: int
    origins: int
    stride: int
    period: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return asdict(self)

    def table(self) -> Table:
        """Errors side by side; lower is better, coverage should be near its level."""
        table = Table(
            title=f"test part: {self.origins} forecasts, {self.horizon} steps ahead each, {self.stride} rows apart",
            caption="lower is better; coverage should be near the interval's own level",
        )
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
    progress: Callable[[float], None] = lambda share: None,
) -> Backtest:
    """Forecast from origins all over the test part, and score against what came to be.

    Args:
        run: the trained model.
        data: the series, of which the last part is for testing, by the run's own split.
        horizon: steps ahead; the one trained for by default.
        stride: rows between two origins; by default so that about 1,000 forecasts are made.
        samples: sampled futures of each.
        seed: of the draws.
        progress: is told the share that is done.

    Raises:
        DataError: if the test part of every series is shorter than the horizon.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import polars as pl
        >>> from throughtime import prepare, read_series
        >>> data = read_series(pl.DataFrame({"load": np.sin(np.arange(200) / 2)}))
        >>> small = {"task": {"horizon": 4}, "recurrent": {"hidden_size": 8}, "training": {"epochs": 1}}
        >>> training = prepare(data, Path(tempfile.mkdtemp()) / "run", **small)
        >>> _ = training.fit()
        >>> found = backtest(training.run, data, samples=10)
        >>> found.origins, sorted(found.baselines)
        (37, ['drift', 'naive', 'seasonal_naive'])
    """
    horizon = run.task.horizon if horizon is None else horizon
    bounds = [run.task.split.bounds(len(series.observed)) for series in data.series]
    possible = [max(0, end - start - horizon + 1) for _, start, end in bounds]
    if not sum(possible):
        longest = max(end - start for _, start, end in bounds)
        raise DataError(f"the test part has {longest} rows, the horizon is {horizon}: nothing to compare; shorten it")
    stride = max(1, -(-sum(possible) // _MOST_ORIGINS)) if stride is None else stride
    period = run.task.period
    gathered: dict[str, list[_Outcome]] = {}
    done = 0
    for series, (train_end, start, _), count in zip(data.series, bounds, possible, strict=True):
        if count:
            origins = np.arange(start, start + count, stride)
            share, before = count / sum(possible), done / sum(possible)
            outcomes = _outcomes(
                run,
                series,
                origins,
                horizon,
                samples,
                seed,
                period,
                train_end,
                lambda part, before=before, share=share: progress(before + part * share),
            )
            for name, outcome in outcomes.items():
                gathered.setdefault(name, []).append(outcome)
        done += count
    scores = {name: _scores(outcomes) for name, outcomes in gathered.items()}
    made = sum(len(range(0, count, stride)) for count in possible)
    return Backtest(scores.pop("model"), scores, horizon, made, stride, period)


@dataclass(frozen=True)
class _Outcome:
    """One forecaster on one series: sums to be averaged over series by the number of origins."""

    origins: int
    scores: Scores


def _outcomes(
    run: SeriesRun, series: Series, origins: np.ndarray, horizon: int, samples: int, seed: int, period: int,
    train_end: int, progress: Callable[[float], None],
) -> dict[str, _Outcome]:  # fmt: skip
    targets = len(run.layout.columns.targets)
    values = series.observed[:, :targets]
    truth = np.stack([values[origin : origin + horizon] for origin in origins], 1)
    paths = run.paths_at(series, series.known, origins, horizon, samples, seed, progress)
    history = values[:train_end]
    bounds = {level: np.quantile(paths, [(1 - level) / 2, (1 + level) / 2], axis=0) for level in LEVELS}
    sharp = metrics.crps(truth, paths)
    outcomes = {"model": _Outcome(len(origins), _score(truth, np.median(paths, 0), sharp, bounds, history, period))}
    for baseline in (Naive(), SeasonalNaive(period), Drift()):
        point, deviation = _baseline(baseline, values, origins, horizon)
        bounds = {
            level: [point + sign * NormalDist().inv_cdf((1 + level) / 2) * deviation for sign in (-1, 1)]
            for level in LEVELS
        }
        sharp = metrics.crps_normal(truth, point, deviation)
        outcomes[baseline.name] = _Outcome(len(origins), _score(truth, point, sharp, bounds, history, period))
    return outcomes


def _baseline(
    baseline: Baseline, values: np.ndarray, origins: np.ndarray, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    made = np.array(
        [
            [baseline.forecast(values[:origin, target], horizon) for origin in origins]
            for target in range(values.shape[1])
        ]
    )
    point, deviation = np.transpose(made, (2, 3, 1, 0))
    return point, deviation


def _score(truth: np.ndarray, point: np.ndarray, crps: float, bounds: dict, history: np.ndarray, period: int) -> Scores:
    columns = truth.shape[-1]
    covered = {level: metrics.coverage(truth, lower, upper) for level, (lower, upper) in bounds.items()}
    return Scores(
        mae=metrics.mae(truth, point),
        mse=metrics.mse(truth, point),
        rmse=metrics.rmse(truth, point),
        mase=metrics.mase(truth.reshape(-1, columns), point.reshape(-1, columns), history, period),
        smape=metrics.smape(truth, point),
        crps=crps,
        coverage={f"{level * 100:.0f}": share for level, share in covered.items()},
        error_by_step=tuple(np.abs(truth - point).mean((1, 2)).tolist()),
    )


def _scores(outcomes: list[_Outcome]) -> Scores:
    weights = np.array([outcome.origins for outcome in outcomes], dtype=float)

    def mean(values: list[float]) -> float:
        return float(np.average(values, weights=weights))

    parts = [outcome.scores for outcome in outcomes]
    mse = mean([part.mse for part in parts])
    return Scores(
        mae=mean([part.mae for part in parts]),
        mse=mse,
        rmse=mse**0.5,
        mase=mean([part.mase for part in parts]),
        smape=mean([part.smape for part in parts]),
        crps=mean([part.crps for part in parts]),
        coverage={level: mean([part.coverage[level] for part in parts]) for level in parts[0].coverage},
        error_by_step=tuple(np.average([part.error_by_step for part in parts], axis=0, weights=weights).tolist()),
    )
