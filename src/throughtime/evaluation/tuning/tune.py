"""The search for the settings that learn some data best."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import torch

from ..._errors import ArtifactError, ConfigurationError, ThroughtimeError
from ..._files import making, replacing
from ..._types import Observer
from ...artifacts import store
from ...data import Labelled, SoundData, Split
from ...training import Training, prepare
from ...training.settings import Settings, plain_settings, write_settings
from .record import Tuning, run_folder
from .space import Learnt, Space

if TYPE_CHECKING:
    from optuna.trial import Trial

    from .shared import SharedStudy

JOURNAL = "study.jsonl"
BEST = "best.json"


def tune(
    data: Learnt,
    folder: str | Path,
    *,
    tuned: Iterable[str] | None = None,
    ranges: Mapping[str, str] | None = None,
    trials: int | None = None,
    time_budget: float | None = None,
    pruning: bool = True,
    storage: str | None = None,
    study: str = "tuning",
    task: Mapping[str, Any] | None = None,
    family: str | Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    optimizer: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    reading: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    observer: Observer = lambda event, record: None,
) -> Tuning:
    """Train again and again with settings drawn from ranges, and find those with the lowest validation loss.

    The first trial is by the defaults, so that what is found is never worse on the validation part; the others are
    drawn by Optuna, the better the more is known. The test part is never looked at. A study that is there already, in
    the folder or at the address of a database, is gone on with, by as many processes and machines as like to; a trial
    that was interrupted is gone on with too. What is there after each trial: `best.json`, the settings of the best, and
    in `trials/` its run.

    Args:
        data: as for `prepare`.
        folder: of the study.
        tuned: names of settings, such as "learning-rate" or "layers" (see `TUNABLES`); some that suit by default.
        ranges: by name, such as {"hidden-size": "16..256", "model": "gru,lstm"}; what is named here is tuned too.
        trials: how many there are to be in the study, all processes together; 50 if there is no `time_budget` either.
        time_budget: seconds after which no more is trained here; what is being trained then is left for later.
        pruning: whether trainings that lag behind the median of the others are ended early.
        storage: address of a database as Optuna takes it; by default a file in `folder`.
        study: its name in the storage.
        task, family, training, optimizer, model: what is fixed, as for `prepare`; the seed of `training` is that of
            the draws too.
        reading: options by which the data was read, to be kept in `best.json`.
        device: where to compute.
        observer: is told of the `begin`, of every `trial`, its `progress` and how it ended (`done`).

    Raises:
        ConfigurationError: for a setting or range that is not known or possible; for a study of other settings or data;
            where Optuna is not installed.
        DataError: where there is too little data for the split, or no trial has finished.
        KeyboardInterrupt: after Ctrl-C; the study can be gone on with by the same call.

    Example:
        >>> import tempfile
        >>> from throughtime.data import read_text
        >>> place = Path(tempfile.mkdtemp())
        >>> _ = (place / "vowels.txt").write_text("aeiou " * 200)
        >>> small = {"family": {"name": "gru"}, "task": {"steps": 16}, "training": {"epochs": 1}}
        >>> ranges = {"hidden-size": "4..16", "learning-rate": "0.001..0.1"}
        >>> found = tune(read_text(place / "vowels.txt"), place / "tuned", tuned=[], ranges=ranges, trials=3, **small)
        >>> [one.state for one in found.trials], sorted(found.best.drawn)
        (['finished', 'finished', 'finished'], ['hidden-size', 'learning-rate'])

    References:
        Akiba, Sano, Yanase, Ohta & Koyama, "Optuna: a next-generation hyperparameter optimization framework", KDD 2019.
        Watanabe, Bansal & Hutter, "PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary
        subspaces", IJCAI 2023.
    """
    shared = _shared()
    if isinstance(data, SoundData) and data.encoding == "real":
        data = data.series()
    if trials is not None and trials < 1:
        raise ConfigurationError(f"trials={trials}: at least one is needed")
    if time_budget is not None and not time_budget > 0:
        raise ConfigurationError(f"time_budget={time_budget}: expected seconds above 0")
    if isinstance(data, Labelled):
        task = {"split": Split(), **(task or {})}  # however few there are, some must choose
    most = 50 if trials is None and time_budget is None else trials
    fixed = {"task": task, "family": family, "training": training, "optimizer": optimizer, "model": model}
    space = Space.of(data, tuned, ranges or {}, {name: own for name, own in fixed.items() if own})
    folder = Path(folder)
    first = prepare(data, folder, **space.begun).run.configuration
    if not first.task.split.validation:
        raise ConfigurationError("the split has no validation part: there is nothing to choose settings by")
    begun, usual = space.defaults(first)
    measure = "CRPS" if first.training.loss == "crps" else "nats"
    # In a folder that is there, another process may be at work: what is new in it is not ours to take away.
    with nullcontext() if folder.exists() else making(folder):
        kept = shared.storage_of(storage, folder / JOURNAL)
        work = shared.SharedStudy(kept, study, first.training.seed, begun, pruning)
    tuner = _Tuner(data, folder, space, work, device, observer, dict(reading or {}), usual, measure)
    try:
        work.agree({**json.loads(json.dumps(space.to_dict())), "data": _fingerprint(data)})
        tuner.work(most, math.inf if time_budget is None else time.monotonic() + time_budget)
        return tuner.report()
    finally:
        work.close()


@dataclass
class _Tuner:
    """One process at work on a study."""

    data: Learnt
    folder: Path
    space: Space
    study: SharedStudy
    device: torch.device | str
    observer: Observer
    reading: dict[str, Any]
    defaults: bool
    measure: str
    deadline: float = field(default=math.inf, init=False)

    def work(self, most: int | None, deadline: float) -> None:
        """Trial after trial, until there are as many as there are to be, or the time is over."""
        self.deadline = deadline
        self.observer("begin", {"trials": most, "seconds": deadline - time.monotonic()})
        while time.monotonic() < deadline and (trial := self.study.claim(most)) is not None:
            try:
                self._run(trial)
            except (_Late, KeyboardInterrupt) as stopped:
                self.study.give_back(trial)
                if isinstance(stopped, KeyboardInterrupt):
                    raise
                break
            found = self.report(strict=False)
            self.observer("done", {"trial": found.trials[trial.number], "tuning": found})

    def report(self, strict: bool = True) -> Tuning:
        """What is known by now; the files in the folder are those of the best."""
        found = self._found()
        while strict or found.ranked:
            write_settings(self.folder / BEST, Settings(found.best.settings, self.reading))
            before, found = found, self._found()
            if found.best.number == before.best.number:  # else another process has found a better one meanwhile
                break
        for one in found.trials:
            if one.state in ("pruned", "failed", "lost") or (one.state == "finished" and one is not found.best):
                shutil.rmtree(run_folder(self.folder, one.number), ignore_errors=True)
        if strict:
            found = replace(found, importance=self.study.importance())
            _write(found)
        return found

    def _found(self) -> Tuning:
        units = {"series": "step of the scaled series", "symbols": "symbol", "labels": "sequence", "music": "frame"}
        unit = f"{self.measure} a {units[self.space.kind]}"
        return Tuning(self.study.name, self.folder, self.study.trials(), {}, self.defaults, unit)

    def _run(self, trial: Trial) -> None:
        """One training; its loss is told to the study, or why there is none."""
        settings, drawn = self.space.settings(lambda name, range_: range_.suggest(trial, name))
        settings.setdefault("training", {}).setdefault("seed", 0)
        plain = plain_settings(settings)
        self.study.note(trial, plain, drawn)
        self.observer("trial", {"number": trial.number, "drawn": drawn})
        if twins := [one for one in self.study.trials() if one.state == "finished" and one.settings == plain]:
            self.study.finish(trial, twins[0].loss)  # the same settings and seed would come to the same
            return
        try:
            loss, reason = self._trained(trial, settings), None
        except _Late:
            raise
        except Exception as error:  # whatever it is, the study goes on
            words = str(error) if isinstance(error, ThroughtimeError) else f"{type(error).__name__}: {error}"
            loss, reason = None, shorten(" ".join(words.split()), 300, placeholder=" …")
        self.study.finish(trial, loss, reason)

    def _trained(self, trial: Trial, settings: dict[str, dict[str, Any]]) -> float | None:
        """The lowest validation loss of one training; `None` where it was ended as it lagged behind."""
        training = prepare(self.data, run_folder(self.folder, trial.number), **settings).to(self.device)
        _resume_or_clear(training)
        training.observers = [_Watch(self, trial, training)]
        with suppress(_Hopeless):
            if training.fit() == "interrupted":
                raise KeyboardInterrupt
            return training.position.best
        return None


class _Hopeless(Exception):  # noqa: N818
    """A training that lags behind."""


class _Late(Exception):  # noqa: N818
    """The time is over."""


class _Watch:
    """Tells the study how a training does, and ends it where it lags behind or the time is over."""

    def __init__(self, tuner: _Tuner, trial: Trial, training: Any) -> None:
        self.tuner, self.trial = tuner, trial
        self.validations = sum("validation_loss" in record for record in training.run.metrics())

    def __call__(self, event: str, record: Mapping[str, Any]) -> None:
        if event == "step":
            self.tuner.observer("progress", {"number": self.trial.number, "share": record["share"]})
            self.tuner.study.sign(self.trial)
        elif event == "validation":
            self.validations += 1
            if self.tuner.study.hopeless(self.trial, self.validations, record["best"]):
                raise _Hopeless
        if event in ("step", "validation") and time.monotonic() > self.tuner.deadline:
            raise _Late


def _resume_or_clear(training: Any) -> None:
    """Go on with what was interrupted; what was killed before its first checkpoint begins anew, as does what another
    study, or this one before its storage was lost, has trained in the same place.
    """
    folder = training.run.folder
    if isinstance(training, Training) and (folder / store.CONFIGURATION).exists():
        with suppress(ArtifactError):
            run = training.run
            same = store.read_configuration(folder) == run.configuration
            if same and store.read_json(folder / store.DATA) == json.loads(json.dumps(run.data)):
                training.resume()
                return
    shutil.rmtree(folder, ignore_errors=True)


def _write(found: Tuning) -> None:
    store.write_json(found.folder / "tuning.json", found.to_dict())
    pictures = {"history.png": found.plot}
    if found.importance:
        pictures["importance.png"] = found.importance_plot
    for name, draw in pictures.items():
        with replacing(found.folder / name) as temporary:
            draw().savefig(temporary, format="png")


def _fingerprint(data: Learnt) -> dict[str, Any]:
    """What tells one file from another, wherever it lies."""
    return {} if data.source is None else {"bytes": data.source.size, "sha256": data.source.sha256}


def _shared() -> Any:
    """The part that needs Optuna, which is optional."""
    try:
        from . import shared
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "optuna":
            raise
        raise ConfigurationError("tuning needs Optuna: pip install 'throughtime[tune]'") from None
    return shared
