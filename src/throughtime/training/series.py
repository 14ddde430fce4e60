"""From series to a training that is ready to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from .._errors import ConfigurationError, DataError
from .._version import __version__
from ..artifacts import RunConfiguration, SeriesRun, SeriesTask, TrainingSettings, called
from ..data import Pair, Scaler, SeriesData, Split, Windows, grows_with_level, shifted
from ..models import AnyFamily, Autoregression, DirectForecaster, KnownScale, Normalisation, ValueModelConfiguration
from .epochs import repeated
from .fitting import Fitting
from .loop import Training
from .randomness import seeded

_DEFAULT_HORIZON = 12
_HORIZONS_OF_PARTS, _HORIZONS_OF_FRACTIONS = 4, 20
"""Of series shorter than 20 horizons, one each is left for validation and test: every row that trains is worth more."""
_WINDOWS_OF_VALIDATION = 512


def series_task(
    data: SeriesData,
    horizon: int | None = None,
    lookback: int | None = None,
    period: int | None = None,
    reach: int = 1,
    **settings: Any,
) -> SeriesTask:
    """Sizes that suit the data: a season ahead, from three seasons before, within what there is.

    Where no split is given and the shortest series has less than 20 horizons, the last one is left for testing and the
    one before for validation; else they are a fifth and a tenth.

    A model that always reads the last `reach` values has them to read.

    The season is the calendar's; where times tell of none, the one found in the values of the training part. There is
    none where no training part is longer than it.

    Raises:
        DataError: if the shortest series cannot hold one window in its training part and one horizon in the others.
    """
    given = settings.pop("split", None)
    split = given or Split()
    period = _season(data, split) if period is None else period
    shortest = min(data.series, key=lambda series: len(series.observed))
    rows = len(shortest.observed)
    train_end, parts = _parts(split, rows)
    if horizon is None:
        horizon = max(1, min(period if period > 1 else _DEFAULT_HORIZON, train_end // 3, *parts.values()))
    if given is None and _HORIZONS_OF_PARTS * horizon < rows < _HORIZONS_OF_FRACTIONS * horizon:
        split = Split(1, validation=horizon, test=horizon)
        train_end, parts = _parts(split, rows)
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


def _parts(split: Split, rows: int) -> tuple[int, dict[str, int]]:
    """Where training ends, and the rows of the parts that must hold a horizon, by name."""
    train_end, validation_end, _ = split.bounds(rows)
    return train_end, {"training": train_end} | ({"validation": validation_end - train_end} if split.validation else {})


def _season(data: SeriesData, split: Split) -> int:
    learnt = tuple(series.before(split.bounds(len(series))[0]) for series in data.series)
    if data.frequency.period > 1:
        return data.frequency.period if max(map(len, learnt)) > data.frequency.period else 1
    return SeriesData(learnt, data.layout).describe().period or 1


def value_model(
    data: SeriesData,
    task: SeriesTask,
    family: AnyFamily,
    *,
    decoding: Literal["autoregressive", "direct"] | None = None,
    normalisation: Normalisation | None = None,
    head: str | None = None,
) -> ValueModelConfiguration:
    """What a model of some series is made of.

    Args:
        data, task, family: of the run.
        decoding: whether steps further ahead follow one from the other, or come all at once; what the family is for
            by default.
        normalisation: of each window that a direct forecast reads.
        head: the distribution of values.

    Raises:
        ConfigurationError: where they contradict each other.
    """
    direct = family.direct if decoding is None else decoding == "direct"
    if family.direct and not direct:
        raise ConfigurationError(f"{family.name} forecasts whole horizons: its decoding is direct")
    if normalisation is not None and not direct:
        raise ConfigurationError(
            f"normalisation {normalisation!r} is of windows: it is for --decoding direct, and segrnn"
        )
    settings = {} if normalisation is None else {"normalisation": normalisation}
    return ValueModelConfiguration.model_validate(
        {
            "observed": len(data.columns.targets) + len(data.columns.past),
            "known": data.series[0].known.shape[1],
            "lags": seasonal_lags(task.period, task.lookback),
            "head": head or ("laplace" if direct else family.head),
            "direct": {"lookback": task.lookback, "horizon": task.horizon, **settings} if direct else None,
            "family": family,
        }
    )


def prepare_series(
    data: SeriesData, folder: Path, task: SeriesTask, model: ValueModelConfiguration, training: TrainingSettings
) -> Training | Fitting:
    """A run over `data` in `folder`, not yet trained. Scaling is fitted on the training part alone."""
    learnt = {series.name: series.observed[: task.split.bounds(len(series.observed))[0]] for series in data.series}
    scaler = Scaler.fit(learnt, _logarithms(data, task, learnt))
    configuration = RunConfiguration(throughtime=__version__, model=model, task=task, training=training)
    contents = {
        "layout": data.layout.to_dict(),
        "scaler": scaler.to_dict(),
        "source": None if data.source is None else data.source.to_dict(),
        "description": data.describe().to_dict(),
    }
    with seeded(training.seed):
        run = SeriesRun(folder, configuration, contents)
    future = len(data.columns.future)
    scale = getattr(run.model, "embedding", None)
    if future and isinstance(scale, KnownScale):
        scale.fit([series.known[: len(learnt[series.name]), :future] for series in data.series])
    return _training(run, data)


def _logarithms(data: SeriesData, task: SeriesTask, learnt: Mapping[str, Any]) -> tuple[int, ...]:
    """The columns that the model reads as logarithms.

    Raises:
        ConfigurationError: where they are asked for, and missing values are filled with zeros.
        DataError: where they are asked for, and a target has a value without one.
    """
    if data.layout.fill == "zero" and task.transform == "log":
        raise ConfigurationError("--fill zero and --transform log contradict: zero has no logarithm; drop either")
    if data.layout.fill == "zero" or task.transform == "none":
        return ()
    names = (*data.columns.targets, *data.columns.past)
    positive = [all((series.observed[:, index] > 0).all() for series in data.series) for index in range(len(names))]
    if task.transform == "auto":
        grows = (
            grows_with_level([part[:, index] for part in learnt.values()], task.period) for index in range(len(names))
        )
        return tuple(index for index, grown in enumerate(grows) if grown and positive[index])
    without = [name for name, has in zip(data.columns.targets, positive, strict=False) if not has]
    if without:
        raise DataError(
            f"column {without[0]!r} has values that are not above 0, which have no logarithm: --transform none"
        )
    return tuple(index for index, has in enumerate(positive) if has)


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


def steps_of(run: SeriesRun) -> int:
    """The steps of a window. Step t of a pair predicts row t + 1 of its series.

    The last step a direct forecast reads is the first it predicts.
    """
    return run.task.lookback + run.task.horizon - isinstance(run.model, DirectForecaster)


def windows_of(run: SeriesRun, pairs: Sequence[Pair], steps: int | None = None, **settings: Any) -> Windows:
    """Windows as the run learns from; a direct forecast counts its horizon alone.

    Args:
        run: whose sizes they have.
        pairs: the series, on the model's scale.
        steps: of each window; `steps_of` the run by default.
        settings: of `Windows`, to replace those of training.
    """
    steps = steps_of(run) if steps is None else steps
    horizon = min(run.task.horizon, steps - 1)
    settings = {"count_lookback": not isinstance(run.model, DirectForecaster), **settings}
    return Windows(pairs, steps - horizon, horizon, run.task.batch_size, **settings)


def _training(run: SeriesRun, data: SeriesData) -> Training | Fitting:
    task = run.task
    ends = [task.split.bounds(len(series.observed)) for series in data.series]
    pairs = [shifted(run.scaler.view(series.name, series.observed), series.known) for series in data.series]
    learnt, chosen = [end - 1 for end, _, _ in ends], [end - 1 for _, end, _ in ends]
    learning = windows_of(run, pairs, stop=learnt, seed=run.configuration.training.seed, per_epoch=task.windows)
    part = {"start": learnt, "stop": chosen, "per_epoch": _WINDOWS_OF_VALIDATION, "count_lookback": False}
    validation = windows_of(run, pairs, **part) if task.split.validation else None
    if isinstance(run.model, Autoregression):
        past = [(pair.inputs[:end], pair.targets[:end]) for pair, end in zip(pairs, learnt, strict=True)]
        return Fitting(run, lambda: past, validation)
    return Training(run, repeated(learning), validation)
