"""A model trained anew in each of several folds of the same series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from .._errors import ConfigurationError
from ..artifacts import explained
from ..data import SeriesData
from ..models import family_settings
from ..training import series_task
from ..training.defaults import family_defaults
from .cross_validation import CrossValidation
from .fold_trials import FoldTrials, keeping
from .folds import Scheme


def cross_validate(
    data: SeriesData,
    scheme: Scheme,
    *,
    family: str | dict[str, Any] | None = None,
    task: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    optimizer: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    seeds: Sequence[int] = (0,),
    folder: str | Path | None = None,
    stride: int | None = None,
    samples: int = 100,
    device: torch.device | str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
) -> CrossValidation:
    """Train a fresh model in each fold, with each seed, and score its forecasts of the rows that follow.

    Training sees the rows of its fold's `train` and `validation` alone: weights, scaling, the season and the moment to
    stop come from them, and no later row changes any. The forecasts of the test part, from every origin in it that has
    room for the horizon, read what lies before their origin, the rows of the gap and of the test part among them.
    Horizon, lookback and season are the same in all folds, by default those that suit the training part of the first.

    Args:
        data: from `read_series`; each series is cut by its own rows, so that folds may overlap in time between series.
        scheme: `RollingOrigin(…)` or `Blocked(…)`.
        family, task, training, optimizer, model: as for `prepare`; the scheme stands for the task's split.
        seeds: one training of each fold for each.
        folder: keeps the run of each training, each when it is done, so that what was interrupted goes on where it was;
            by default none is kept.
        stride: rows between two origins; by default so that at most about 1,000 forecasts a fold are made.
        samples: sampled futures of each forecast.
        device: where to compute.
        progress: is told the share that is done.

    Raises:
        DataError: where a series is too short for the folds, or its parts for the task.
        ConfigurationError: for a setting unknown or out of range, or a folder with folds of other settings or data.
        KeyboardInterrupt: at Ctrl-C; the folds that are done stay in `folder`.

    Example:
        >>> import numpy as np
        >>> import polars as pl
        >>> from throughtime import read_series
        >>> from throughtime.evaluation import RollingOrigin
        >>> data = read_series(pl.DataFrame({"load": np.sin(np.arange(200) / 2)}))
        >>> found = cross_validate(data, RollingOrigin(3, test=20), family="ar:2", task={"horizon": 4}, samples=10)
        >>> found.values("mae").shape, found.mean("mae") < found.baselines["naive"]["mae"]
        ((3, 1), True)

    References:
        Bengio and Grandvalet, "No unbiased estimator of the variance of K-fold cross-validation", Journal of Machine
        Learning Research 5 (2004) 1089-1105. For the schemes see `RollingOrigin` and `Blocked`.
    """
    trials = FoldTrials(data, scheme, stride, samples, device)
    settings = fold_settings(trials, family, task, training, optimizer, model)
    seeds = check_seeds(seeds)
    total, done = scheme.folds * len(seeds), []
    with keeping(folder) as place:
        for fold in range(scheme.folds):
            for seed in seeds:
                told = within(progress, len(done) / total, 1 / total)
                done.append(trials.score(fold, seed, settings, place / f"fold-{fold + 1}-seed-{seed}", told))
                told(1.0)
    return CrossValidation(scheme, rows_of(data), settings["task"]["horizon"], tuple(done))


def fold_settings(
    trials: FoldTrials,
    family: str | dict[str, Any] | None,
    task: dict[str, Any] | None,
    training: dict[str, Any] | None,
    optimizer: dict[str, Any] | None,
    model: dict[str, Any] | None,
) -> dict[str, Any]:
    """For `prepare`, but for the split and the seed; the task is that of the first fold.

    Raises:
        DataError, ConfigurationError: where the folds are too short for the task.
    """
    given, test = dict(task or {}), trials.scheme.test
    if "split" in given:
        raise ConfigurationError(f"split={given['split']}: the folds say which rows train and test: leave it out")
    if "seed" in (training or {}):
        raise ConfigurationError("training has a seed of its own: name it in seeds")
    if (given.get("horizon") or 0) > test:
        raise ConfigurationError(
            f"horizon {given['horizon']} does not fit the {test} rows of each test part: shorten it"
        )
    kind = family_settings(family) if isinstance(family, str) else dict(family or {})
    past = trials.past(0)
    try:
        reach = getattr(family_defaults(past, **kind), "order", 1)
        found = series_task(past, reach=reach, split=trials.split, **given)
        if found.horizon > test:
            found = series_task(past, reach=reach, split=trials.split, **given | {"horizon": test})
    except ValidationError as error:
        raise ConfigurationError(explained(error)) from None
    common = {name: value for name, value in found if name not in ("kind", "split")}
    return {"family": kind, "task": common, "training": dict(training or {}), "optimizer": optimizer, "model": model}


def check_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """The seeds, if there are some, and each once."""
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigurationError(f"seeds={tuple(seeds)}: expected one at least, and each once")
    return tuple(seeds)


def rows_of(data: SeriesData) -> dict[str, int]:
    """Of each series by name."""
    return {series.name: len(series) for series in data.series}


def within(progress: Callable[[float], None], before: float, share: float) -> Callable[[float], None]:
    """What a part of the work tells, told as a share of the whole."""
    return lambda part: progress(before + share * part)
