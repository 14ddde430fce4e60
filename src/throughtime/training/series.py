"""From series to a training that is ready to run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from .._errors import DataError
from .._version import __version__
from ..artifacts import RunConfiguration, SeriesRun, SeriesTask, TrainingSettings, called
from ..data import Repeated, Scaler, SeriesData, Split, Windows, shifted
from ..models import AnyFamily, Autoregression, ValueModelConfiguration
from .fitting import Fitting
from .loop import Training
from .randomness import seeded

_DEFAULT_HORIZON = 12
_WINDOWS_OF_VALIDATION = 512
_BATCHES_OF_AN_EPOCH = 32


def series_task(
    data: SeriesData,
    horizon: int | None = None,
    lookback: int | None = None,
    period: int | None = None,
    reach: int = 1,
    **settings: Any,
) -> SeriesTask:
    """Sizes that suit the data: a season ahead, from three seasons before, within what there is.

    A model that always reads the last `reach` values has them to read.

    The season is the calendar's; where times tell of none, the one found in the values of the training part. There is
    none where no training part is longer than it.

    Raises:
        DataError: if the shortest series cannot hold one window in its training part and one horizon in the others.
    """
    split = settings.pop("split", Split())
    period = _season(data, split) if period is None else period
    shortest = min(data.series, key=lambda series: len(series.observed))
    rows = len(shortest.observed)
    train_end, validation_end, _ = split.bounds(rows)
    parts = {"training": train_end} | ({"validation": validation_end - train_end} if split.validation else {})
    if horizon is None:
        horizon = max(1, min(period if period > 1 else _DEFAULT_HORIZON, train_end // 3, *parts.values()))
    for part, length in parts.items():
        if length < horizon + (part == "training"):
            raise DataError(
                f"horizon {horizon} does not fit {called(shortest)}: of its {rows} rows the {part} part has "
                f"{length}; a shorter --horizon or more data is needed"
            )
    room = train_end - horizon - 1
    # An hourly series has a week beside its day.
    seasons = 8 if period == 24 else 3
    lookback = min(max(seasons * period, 2 * horizon, 24, reach), max(1, room)) if lookback is None else lookback
    if lookback > train_end - horizon:
        raise DataError(
            f"lookback {lookback} and horizon {horizon} do not fit the training part of {called(shortest)}, "
            f"{train_end} of {rows} rows: shorten either"
        )
    if lookback < reach:
        raise DataError(f"a model of order {reach} reads {reach} rows, the lookback is {lookback}: lower the order")
    return SeriesTask(horizon=horizon, lookback=lookback, period=period, split=split, **settings)


def _season(data: SeriesData, split: Split) -> int:
    learnt = tuple(series.before(split.bounds(len(series))[0]) for series in data.series)
    if data.frequency.period > 1:
        return data.frequency.period if max(map(len, learnt)) > data.frequency.period else 1
    return SeriesData(learnt, data.layout).describe().period or 1


def prepare_series(
    data: SeriesData,
    folder: Path,
    task: SeriesTask,
    family: AnyFamily,
    training: TrainingSettings,
    **model: Any,
) -> Training | Fitting:
    """A run over `data` in `folder`, not yet trained. Scaling is fitted on the training part alone."""
    ends = {series.name: task.split.bounds(len(series.observed)) for series in data.series}
    scaler = Scaler.fit({series.name: series.observed[: ends[series.name][0]] for series in data.series})
    columns = data.columns
    values = ValueModelConfiguration(
        observed=len(columns.targets) + len(columns.past),
        known=data.series[0].known.shape[1],
        lags=seasonal_lags(task.period, task.lookback),
        **{"family": family, "head": family.head} | model,
    )
    configuration = RunConfiguration(throughtime=__version__, model=values, task=task, training=training)
    contents = {
        "layout": data.layout.to_dict(),
        "scaler": scaler.to_dict(),
        "source": None if data.source is None else data.source.to_dict(),
        "description": data.describe().to_dict(),
    }
    with seeded(training.seed):
        run = SeriesRun(folder, configuration, contents)
    return _training(run, data)


def resume_series(run: SeriesRun, data: SeriesData) -> Training | Fitting:
    """The training of a run that stopped, at its last checkpoint."""
    training = _training(run, data)
    training.resume()
    return training


def seasonal_lags(period: int, lookback: int) -> tuple[int, ...]:
    """The lags whose changes the network sees: the last steps, and the same time one, two and seven seasons before.

    Example:
        >>> seasonal_lags(12, 36), seasonal_lags(24, 192)
        ((1, 2, 11, 12, 23, 24), (1, 2, 23, 24, 47, 48, 167, 168))
    """
    seasonal = [lag for seasons in (1, 2, 7) for lag in (seasons * period - 1, seasons * period)] if period > 3 else []
    return tuple(lag for lag in (1, 2, *seasonal) if lag < lookback) or (1,)


def _training(run: SeriesRun, data: SeriesData) -> Training | Fitting:
    task = run.task
    ends = [task.split.bounds(len(series.observed)) for series in data.series]
    pairs = [shifted(run.scaler.view(series.name, series.observed), series.known) for series in data.series]
    windows = partial(Windows, pairs, task.lookback, task.horizon, task.batch_size)
    # Step t of a pair predicts row t + 1 of its series.
    learnt, chosen = [end - 1 for end, _, _ in ends], [end - 1 for _, end, _ in ends]
    seed = run.configuration.training.seed
    learning = windows(stop=learnt, seed=seed, per_epoch=task.windows, count_lookback=True)
    validation = windows(start=learnt, stop=chosen, per_epoch=_WINDOWS_OF_VALIDATION) if task.split.validation else None
    if isinstance(run.model, Autoregression):
        past = [(pair.inputs[:end], pair.targets[:end]) for pair, end in zip(pairs, learnt, strict=True)]
        return Fitting(run, lambda: past, validation)
    return Training(run, Repeated(learning, -(-_BATCHES_OF_AN_EPOCH // len(learning))), validation)
