"""Cross-validation within cross-validation: inner folds choose among candidates, outer ones score the choice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.console import Group
from rich.table import Table
from rich.text import Text

from .. import _plotting
from .._errors import ConfigurationError, DataError, ThroughtimeError
from ..data import SeriesData
from .cross_validate import check_seeds, cross_validate, fold_settings, rows_of, within
from .cross_validation import CrossValidation, check_metric
from .fold_trials import FIGURES, FoldTrials, keeping
from .folds import Scheme

_GROUPS = ("family", "training", "optimizer", "model")


@dataclass(frozen=True)
class NestedCrossValidation:
    """What was chosen in each outer fold, by what, and what the choice came to.

    Args:
        outer: the scores of what was chosen, on rows that had no part in choosing it.
        inner: of each outer fold, those of every candidate, by its label, on the rows before its test part.
        chosen: the label of the best in the inner folds, of each outer fold.
        metric: by whose mean it was the best.
    """

    outer: CrossValidation
    inner: tuple[dict[str, CrossValidation], ...]
    chosen: tuple[str, ...]
    metric: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "metric": self.metric,
            "chosen": list(self.chosen),
            "outer": self.outer.to_dict(),
            "inner": [{label: one.to_dict() for label, one in fold.items()} for fold in self.inner],
        }

    def table(self) -> Group:
        """Each candidate in the inner folds of each outer one, and the scores of those chosen."""
        label = FIGURES[self.metric].label
        table = Table(title=f"{label} in the inner folds ± standard error; what was chosen is bold")
        table.add_column("outer fold", justify="right")
        for candidate in self.inner[0]:
            table.add_column(candidate, justify="right")
        for number, (fold, chosen) in enumerate(zip(self.inner, self.chosen, strict=True), 1):
            cells = (
                Text(
                    f"{one.mean(self.metric):.4g} ± {one.standard_error(self.metric):.2g}",
                    style="bold" if candidate == chosen else "",
                )
                for candidate, one in fold.items()
            )
            table.add_row(str(number), *cells)
        return Group(table, self.outer.table())

    def plot(self) -> Figure:
        """Each candidate in the inner folds, with its standard error, and what the chosen one came to in the outer."""
        numbers = np.arange(1, len(self.inner) + 1)
        labels = list(self.inner[0])
        beside = {label: 0.5 * (index + 0.5) / len(labels) - 0.25 for index, label in enumerate(labels)}
        colours = cycle(_plotting.PALETTE[name] for name in ("blue", "orange", "green", "sky", "purple", "yellow"))
        with _plotting.style():
            figure = _plotting.figure(8, 1.2 + 0.15 * len(numbers) * (len(labels) + 1))
            axes = figure.add_subplot()
            for label, colour in zip(labels, colours, strict=False):
                means = [fold[label].mean(self.metric) for fold in self.inner]
                errors = [np.nan_to_num(fold[label].standard_error(self.metric)) for fold in self.inner]
                height = numbers + beside[label]
                axes.errorbar(means, height, xerr=errors, fmt="o", markersize=4, color=colour, label=label)
            best = [fold[label].mean(self.metric) for fold, label in zip(self.inner, self.chosen, strict=True)]
            height = [number + beside[label] for number, label in zip(numbers, self.chosen, strict=True)]
            black = _plotting.PALETTE["black"]
            axes.plot(best, height, "o", markersize=9, color=black, fillstyle="none", label="chosen")
            reached = self.outer.values(self.metric).mean(1)
            axes.plot(reached, height, "D", markersize=4, color=black, label="on the outer test part")
            axes.set_yticks(numbers)
            axes.set_ylim(len(numbers) + 0.5, 0.5)
            axes.set_xlabel(FIGURES[self.metric].label)
            axes.set_ylabel("outer fold")
            figure.legend(loc="outside upper right", ncols=4)
        return figure


def nested_cross_validate(
    data: SeriesData,
    outer: Scheme,
    inner: Scheme,
    candidates: Sequence[str | dict[str, Any]],
    *,
    metric: str = "crps",
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
) -> NestedCrossValidation:
    """Choose among candidates by inner folds of the past, train what was chosen on all of it, and score that.

    The score of the best of several is better than it will be on new rows, for it was chosen by it. So each outer fold
    chooses anew, by a cross-validation of the rows of its own `train` and `validation`, and its `test` part scores the
    choice. What is estimated is how good the *procedure* is, choosing included; which candidate to use in the end is
    told by `cross_validate` on all rows.

    Args:
        data, task, seeds, folder, stride, samples, device, progress: as for `cross_validate`; horizon and season are
            the same everywhere.
        outer: cuts `data`.
        inner: cuts what an outer fold trains and validates on.
        candidates: each a family as for `prepare`, by name ("gru", "ar:24") or by settings with a `name`; or several of
            `family`, `training`, `optimizer` and `model`, as in {"family": "gru", "training": {"epochs": 5}}.
        metric: whose mean over the inner folds and seeds chooses; the first named among equals.
        training, optimizer, model: as for `prepare`, of all candidates that do not set it themselves.

    Raises:
        DataError: where a series is too short for the folds, their parts for the task or for a candidate.
        ConfigurationError: for a setting unknown or out of range, or a candidate named twice.
        KeyboardInterrupt: at Ctrl-C; the folds that are done stay in `folder`.

    Example:
        >>> import polars as pl
        >>> from throughtime import read_series
        >>> from throughtime.evaluation import RollingOrigin
        >>> data = read_series(pl.DataFrame({"load": np.sin(np.arange(120) / 2)}))
        >>> folds = {"outer": RollingOrigin(2, test=20), "inner": RollingOrigin(2, test=15)}
        >>> nested_cross_validate(data, **folds, candidates=["ar:1", "ar:2"], task={"horizon": 4}, samples=5).chosen
        ('ar:2', 'ar:2')

    References:
        Varma and Simon, "Bias in error estimation when using cross-validation for model selection", BMC Bioinformatics
        7 (2006) 91. Cawley and Talbot, "On over-fitting in model selection and subsequent selection bias in performance
        evaluation", Journal of Machine Learning Research 11 (2010) 2079-2107.
    """
    check_metric(metric)
    seeds = check_seeds(seeds)
    named = _named(candidates, {"training": training, "optimizer": optimizer, "model": model})
    trials = FoldTrials(data, outer, stride, samples, device)
    common = _common_task(trials, inner, task)
    checked = _checked(trials, inner, named, common)
    measured = {"task": common, "seeds": seeds, "stride": stride, "samples": samples, "device": device}
    found, chosen, done = [], [], []
    part = 1 / (len(named) + 1)
    with keeping(folder) as place:
        for fold in range(outer.folds):
            told = within(progress, fold / outer.folds, 1 / outer.folds)
            found.append({})
            for index, (label, settings) in enumerate(named.items()):
                own = place / f"fold-{fold + 1}-candidate-{index + 1}"
                with _about(fold, label):
                    found[-1][label] = cross_validate(
                        trials.past(fold),
                        inner,
                        **settings,
                        **measured,
                        folder=own,
                        progress=within(told, index * part, part),
                    )
            chosen.append(_best(found[-1], metric))
            for index, seed in enumerate(seeds):
                last = within(told, 1 - part + index * part / len(seeds), part / len(seeds))
                own = place / f"fold-{fold + 1}-seed-{seed}"
                done.append(trials.score(fold, seed, checked[chosen[-1]], own, last))
                last(1.0)
    scores = CrossValidation(outer, rows_of(data), common["horizon"], tuple(done))
    return NestedCrossValidation(scores, tuple(found), tuple(chosen), metric)


def _named(candidates: Sequence[str | dict[str, Any]], shared: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of each candidate, those of all where it has none of its own, by a label made of what it sets."""
    named: dict[str, dict[str, Any]] = {}
    for one in candidates:
        own: dict[str, Any] = {"family": one} if isinstance(one, str) or "name" in one else dict(one)
        if unknown := sorted(own.keys() - set(_GROUPS)):
            raise ConfigurationError(
                f"candidate {one!r}: {unknown[0]!r} is no setting of it; expected a family with its name, or some of "
                f"{', '.join(_GROUPS)}"
            )
        label = _label(own)
        if label in named:
            raise ConfigurationError(f"candidate {label!r} is named twice: once is enough")
        named[label] = {"family": own.pop("family", None)} | {
            group: (common or {}) | (own.get(group) or {}) for group, common in shared.items()
        }
    if not named:
        raise ConfigurationError('no candidate is named: name some, such as ["gru", "ar:24"]')
    return named


def _label(own: dict[str, Any]) -> str:
    family = own.get("family")
    settings = {} if isinstance(family, str) else dict(family or {})
    words = [family if isinstance(family, str) else str(settings.pop("name", "gru"))]
    for group in (settings, *(own.get(name) or {} for name in _GROUPS[1:])):
        words += [f"{name}={value}" for name, value in group.items()]
    return " ".join(words)


def _common_task(trials: FoldTrials, inner: Scheme, task: dict[str, Any] | None) -> dict[str, Any]:
    """The task with a horizon and a season that all folds have room for: those that suit the shortest."""
    shortest = FoldTrials(trials.past(0), inner)
    found = fold_settings(shortest, None, task, None, None, None)["task"]
    horizon = min(found["horizon"], trials.scheme.test)
    return {"horizon": horizon, "period": found["period"], **(task or {})}


def _checked(
    trials: FoldTrials, inner: Scheme, named: dict[str, dict[str, Any]], task: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """The settings of each candidate in the outer folds; what does not fit is refused before anything is trained."""
    checked = {}
    for label, settings in named.items():
        for fold in range(trials.scheme.folds):
            with _about(fold, label):
                fold_settings(FoldTrials(trials.past(fold), inner), task=task, **settings)
        checked[label] = fold_settings(trials, task=task, **settings)
    return checked


@contextmanager
def _about(fold: int, label: str) -> Iterator[None]:
    """Say of an error which inner cross-validation it is from."""
    try:
        yield
    except ThroughtimeError as error:
        raise type(error)(f"candidate {label!r} in outer fold {fold + 1}: {error}") from error


def _best(found: dict[str, CrossValidation], metric: str) -> str:
    losses = {label: FIGURES[metric].sign * one.mean(metric) for label, one in found.items()}
    known = {label: loss for label, loss in losses.items() if not math.isnan(loss)}
    if not known:
        raise DataError(f"{metric} is not defined in the inner folds of any candidate: choose by another metric")
    return min(known, key=lambda label: known[label])
