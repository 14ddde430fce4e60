"""Many models on the same data: trained alike, measured alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .._errors import ConfigurationError, DataError, ThroughtimeError
from .._types import Observer
from ..data import SeriesData, SoundData, Split, TextData
from ..models import FAMILIES, family, family_settings
from ..training import Fitting, Training, prepare, series_task, symbol_task
from .backtest import forecasts_possible
from .comparison import Candidate, Comparison, metrics_of
from .likelihood import tested_part
from .trial import Data, Trial, trial


def compare(
    data: SeriesData | TextData | SoundData,
    folder: str | Path,
    models: Iterable[str],
    *,
    seeds: int = 3,
    metric: str | None = None,
    quality: float | None = None,
    task: Mapping[str, Any] | None = None,
    shared: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    optimizer: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    samples: int = 100,
    device: torch.device | str = "cpu",
    observer: Observer = lambda event, record: None,
) -> Comparison:
    """Train each model with several seeds on the same data, with the same splits, and measure quality and cost.

    Each training has a run folder of its own in `folder`, and what is there already is not done again: a comparison
    that was interrupted goes on where it was. A model that fails says why in its row, and the others go on.

    Args:
        data: from `read_series`, `read_text` or `read_sound`.
        folder: of the comparison.
        models: names such as "gru", "tcn", "ar:24" or "markov:3" (see `models.FAMILIES`).
        seeds: how many trainings of each; one of those that are fitted by counting or a formula.
        metric: what the models are ranked by; by default CRPS for series, bits a symbol for text and sound.
        quality: validation loss in nats, the time to which is told; by default the best one that all have reached.
        task, optimizer, model: as for `prepare`.
        shared: settings of all families that have them: hidden_size, num_layers, dropout.
        training: as for `prepare`; a `time_budget` is for all seeds of a model together.
        samples: sampled futures of each forecast.
        device: where to compute.
        observer: is told of the `begin`, of every `trial` and its `progress`, and that it is `done` or has `failed`.

    Raises:
        ConfigurationError: for a model or metric that is not known.
        DataError: where there is too little data for the split.

    Example:
        >>> import tempfile
        >>> from throughtime.data import read_text
        >>> place = Path(tempfile.mkdtemp())
        >>> _ = (place / "vowels.txt").write_text("aeiou " * 200)
        >>> found = compare(read_text(place / "vowels.txt"), place / "compared", ["markov:1", "ar:1"])
        >>> [row["model"] for row in found.to_dict()["models"]], found.candidates[1].error
        (['markov:1', 'ar:1'], 'ar is a model of values, and these are symbols: use markov, mlp or a network')
    """
    if isinstance(data, SoundData) and data.encoding == "real":
        data = data.series()
    families = _families(models, shared or {})
    metrics = metrics_of(data)
    if metric is not None and metric not in metrics:
        raise ConfigurationError(f"metric {metric!r} is not known here; known: {', '.join(metrics)}")
    if seeds < 1:
        raise ConfigurationError(f"seeds={seeds}: at least one training of each model is needed")
    own = dict(training or {})
    first = own.pop("seed", 0)
    if own.get("time_budget") is not None:
        own["time_budget"] /= seeds
    settings = {"task": _common_task(data, families.values(), task or {}), "optimizer": dict(optimizer or {}),
                "model": dict(model or {}), "training": own}  # fmt: skip
    _check_test_part(data, settings["task"])
    ranked = metric or next(iter(metrics))
    observer("begin", {"metric": ranked, "count": len(families) * seeds})
    trials = _Trials(data, Path(folder), settings, range(first, first + seeds), samples, device, observer)
    candidates = tuple(trials.of(name, kind, index) for index, (name, kind) in enumerate(families.items()))
    return Comparison(ranked, metrics, candidates, quality)


@dataclass(frozen=True)
class _Trials:
    """All that the trials of a comparison have in common."""

    data: Data
    folder: Path
    settings: dict[str, dict[str, Any]]
    seeds: range
    samples: int
    device: torch.device | str
    observer: Observer

    def of(self, name: str, kind: dict[str, Any], index: int) -> Candidate:
        """One model, with each seed; what it fails of is kept in words."""
        done: list[Trial] = []
        try:
            for seed in self.seeds:
                place = index * len(self.seeds) + len(done)
                self.observer("trial", {"model": name, "seed": seed, "index": place})
                training = self._prepared(name, kind, seed)
                done.append(trial(training, self.data, samples=self.samples, told=self._told))
                self.observer("done", {"model": name, "seed": seed, "trial": done[-1]})
                if isinstance(training, Fitting):  # another seed would change nothing
                    break
        except Exception as error:  # whatever it is, the other models go on
            words = str(error) if isinstance(error, ThroughtimeError) else f"{type(error).__name__}: {error}"
            reason = " ".join(words.split())
            self.observer("failed", {"model": name, "error": reason})
            return Candidate(name, kind, tuple(done), reason)
        return Candidate(name, kind, tuple(done))

    def _prepared(self, name: str, kind: dict[str, Any], seed: int) -> Training | Fitting:
        settings = self.settings | {"training": self.settings["training"] | {"seed": seed}}
        folder = self.folder / f"{name.replace(':', '')}-{seed}"
        return prepare(self.data, folder, family=kind, **settings).to(self.device)

    def _told(self, phase: str, share: float) -> None:
        self.observer("progress", {"phase": phase, "share": share})


def _families(models: Iterable[str], shared: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of each family by the name it was given, with those of `shared` that it has."""
    fields = {field for name in FAMILIES for field in type(family({"name": name})).model_fields}
    if unknown := sorted(shared.keys() - fields):
        raise ConfigurationError(f"shared setting {unknown[0]!r} is of no model; known: {', '.join(sorted(fields))}")
    named: dict[str, dict[str, Any]] = {}
    for name in models:
        settings = family_settings(name)
        if name in named:
            raise ConfigurationError(f"model {name!r} is named twice: once is enough")
        known = type(family(settings)).model_fields
        named[name] = {key: value for key, value in shared.items() if key in known} | settings
    if not named:
        raise ConfigurationError("no model is named: name some, such as gru,lstm,tcn")
    return named


def _common_task(data: Data, families: Iterable[dict[str, Any]], task: Mapping[str, Any]) -> dict[str, Any]:
    """One task for all: each model sees what the one with the longest memory has to see, as far as there is so much."""
    if not isinstance(data, SeriesData):
        return dict(task)
    task = {"split": Split(), **task}  # one horizon to test on, as short series have by default, tells no models apart
    found = series_task(data, **task)
    for reach in sorted(getattr(family(one), "order", 1) for one in families):
        with suppress(DataError):
            found = series_task(data, reach=reach, **task)
    return {name: value for name, value in found if name != "kind"}


def _check_test_part(data: Data, task: Mapping[str, Any]) -> None:
    """What could not be measured after training is refused before."""
    if isinstance(data, SeriesData):
        forecasts_possible(data, task["split"], task["horizon"])
    else:
        tested_part(data, symbol_task(data, **task).split)
