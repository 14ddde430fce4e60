"""A study that several processes and machines can work on at once: who takes which trial, and what came of each."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from ..._errors import ArtifactError, ConfigurationError
from .ranges import Value
from .record import TunedTrial

_SECONDS_UNTIL_LOST = 600.0
_SECONDS_BETWEEN_SIGNS = 60.0
_TRIALS_BEFORE_PRUNING = 5
_VALIDATIONS_BEFORE_PRUNING = 3
_SECONDS_BETWEEN_ATTEMPTS = 1.0
_WORKER, _SETTINGS, _DRAWN, _REASON, _LOST, _DEFAULTS = "worker", "settings", "drawn", "reason", "lost", "defaults"
_STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
           TrialState.RUNNING: "running", TrialState.WAITING: "waiting"}  # fmt: skip


class SharedStudy:
    """An Optuna study whose trials are counted, claimed and given back.

    A trial belongs to the process that the storage gives its number to. One that was interrupted is given back, with
    all that was drawn for it; one whose process is gone is marked as lost and its settings are queued anew: that can be
    done once only, whoever sees it first.

    Args:
        storage: where it is kept.
        name: of the study.
        seed: each trial draws from this and its number, so that processes never draw alike, and one process that was
            stopped draws what it would have drawn.
        begun: what the first trial takes: the defaults.
        pruning: whether a trial that does worse than the median of the others at the same validation ends there.
    """

    def __init__(self, storage: BaseStorage, name: str, seed: int, begun: Mapping[str, Value], pruning: bool) -> None:
        self.storage = storage
        pruner = optuna.pruners.MedianPruner(_TRIALS_BEFORE_PRUNING, _VALIDATIONS_BEFORE_PRUNING)
        with _quietly():
            self.study = optuna.create_study(
                storage=storage,
                sampler=_Numbered(seed, begun),
                pruner=pruner if pruning else optuna.pruners.NopPruner(),
                study_name=name,
                load_if_exists=True,
            )
        self.name = name
        self._signed = 0.0

    def agree(self, asked: Mapping[str, Any]) -> None:
        """Refuse a study that asks for something else than this one.

        Raises:
            ConfigurationError: naming what differs.
        """
        found = self.study.user_attrs.get("asked")
        if found is None:
            self.study.set_user_attr("asked", dict(asked))
            return
        for name, value in asked.items():
            if found.get(name) != value:
                raise ConfigurationError(
                    f"study {self.name!r} was begun with {name} {found.get(name)}, here it is {value}: "
                    "ask for the same, or name another study"
                )

    def claim(self, most: int | None) -> Trial | None:
        """The next trial to run; `None` where there are as many as there are to be."""
        self._recover()
        if most is not None and self._taken() >= most:
            return None
        with _quietly():
            trial = self.study.ask()
        # Of two processes that came at once, the one with the lower number has the last place.
        if most is not None and self._taken(below=trial.number) >= most:
            self.give_back(trial)
            return None
        try:
            self.sign(trial, now=True)
        except optuna.exceptions.UpdateFinishedTrialError:  # another process took it for lost, and queued it anew
            return self.claim(most)
        return trial

    def give_back(self, trial: Trial) -> None:
        """Let whoever comes next go on with it, by the same settings."""
        with suppress(optuna.exceptions.UpdateFinishedTrialError):  # it was taken for lost, and is queued anew
            trial.set_user_attr(_WORKER, None)
            self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def sign(self, trial: Trial, now: bool = False) -> None:
        """Leave a sign of life, once a minute."""
        if now or time.monotonic() - self._signed > _SECONDS_BETWEEN_SIGNS:
            trial.set_user_attr(_WORKER, {"machine": _machine(), "process": os.getpid(), "seen": time.time()})
            self._signed = time.monotonic()

    def note(self, trial: Trial, settings: Mapping[str, Any], drawn: Mapping[str, Value]) -> None:
        """Keep what a trial is."""
        trial.set_user_attr(_SETTINGS, dict(settings))
        trial.set_user_attr(_DRAWN, dict(drawn))

    def hopeless(self, trial: Trial, validation: int, loss: float) -> bool:
        """Whether a trial with that lowest loss after so many validations is to end there."""
        with _quietly():
            trial.report(loss, validation)
            return bool(trial.should_prune())

    def finish(self, trial: Trial, loss: float | None = None, reason: str | None = None) -> None:
        """Keep what came of it: a loss, a reason why it failed, or neither where it was pruned."""
        state = TrialState.FAIL if reason else TrialState.PRUNED if loss is None else TrialState.COMPLETE
        # Where it was taken for lost, another process has it now.
        with _quietly(), suppress(optuna.exceptions.UpdateFinishedTrialError):
            if reason is not None:
                trial.set_user_attr(_REASON, reason)
            self.study.tell(trial, loss, state, skip_if_finished=True)

    def trials(self) -> tuple[TunedTrial, ...]:
        """All that there are so far, in the order of their numbers."""
        found = self.study.get_trials(deepcopy=False)
        begun = min((one.datetime_start for one in found if one.datetime_start), default=None)
        return tuple(_record(one, begun) for one in found)

    def importance(self) -> dict[str, float]:
        """The share of each setting in whether a finished trial is among the best; empty where they are too few."""
        finished = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len({one.value for one in finished}) < 4:
            return {}
        best = min(0.5, max(0.1, 5 / len(finished)))
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=best)
        with _quietly():
            found = optuna.importance.get_param_importances(self.study, evaluator=evaluator)
        return {name: float(share) for name, share in found.items() if np.isfinite(share)}

    def close(self) -> None:
        """Let go of the storage."""
        self.storage.remove_session()

    def _taken(self, below: int | None = None) -> int:
        """How many trials are done or being done, of those with a lower number."""
        trials = self.study.get_trials(deepcopy=False)
        return sum(
            one.state != TrialState.WAITING and not _lost(one) and (below is None or one.number < below)
            for one in trials
        )

    def _recover(self) -> None:
        for one in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not _alive(one):
                with suppress(optuna.exceptions.UpdateFinishedTrialError):
                    self.storage.set_trial_user_attr(one._trial_id, _LOST, True)
                    if self.storage.set_trial_state_values(one._trial_id, TrialState.FAIL):
                        again = optuna.trial.create_trial(
                            state=TrialState.WAITING,
                            params=one.params,
                            distributions=one.distributions,
                            user_attrs={_DEFAULTS: _by_defaults(one)},
                        )
                        self.study.add_trial(again)


class _Numbered(BaseSampler):
    """Bergstra's tree-structured Parzen estimator, its random numbers those of the trial; the first takes the defaults.

    References:
        Bergstra, Bardenet, Bengio & Kégl, "Algorithms for hyper-parameter optimization", NeurIPS 2011.
    """

    def __init__(self, seed: int, begun: Mapping[str, Value]) -> None:
        self.seed, self.begun = seed, begun
        self._number, self._sampler = -1, TPESampler(seed=0)

    def infer_relative_search_space(self, study: Any, trial: FrozenTrial) -> dict[str, Any]:
        """None: each setting is drawn by itself, for which ones there are depends on others."""
        return {}

    def sample_relative(self, study: Any, trial: FrozenTrial, search_space: Any) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(self, study: Any, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        """A value of one setting."""
        if _by_defaults(trial) and param_name in self.begun:
            return self.begun[param_name]
        if trial.number != self._number:
            entropy = np.random.SeedSequence([self.seed, trial.number])
            self._number, self._sampler = trial.number, TPESampler(seed=int(entropy.generate_state(1)[0]))
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


def storage_of(url: str | None, file: Path, attempts: int = 3) -> BaseStorage:
    """The storage at that address; a journal in a file, in which each line is JSON, where none is given.

    Raises:
        ConfigurationError: for an address that cannot be used.
    """
    if url is None:
        return JournalStorage(JournalFileBackend(str(file)))
    if "://" not in url or url.startswith("redis"):  # Optuna keeps pickles in Redis
        raise ConfigurationError(
            f"storage {url!r}: expected the address of a database such as sqlite:///study.db, "
            "postgresql://user@host/name or mysql://user@host/name"
        )
    try:
        with _quietly():
            return optuna.storages.get_storage(url)
    except Exception as error:  # of whichever driver it is
        if attempts > 1:  # another process may be making its tables
            time.sleep(_SECONDS_BETWEEN_ATTEMPTS)
            return storage_of(url, file, attempts - 1)
        words = " ".join(str(error).split())
        raise ArtifactError(f"storage {url!r} cannot be used: {words[:300]}") from None


def _record(one: FrozenTrial, begun: datetime | None) -> TunedTrial:
    values = one.intermediate_values
    loss = one.value if one.state == TrialState.COMPLETE else min(values.values(), default=None)
    end = one.datetime_complete

    def since(moment: datetime | None) -> float | None:
        return None if moment is None or begun is None else (moment - begun).total_seconds()

    return TunedTrial(
        number=one.number,
        state="lost" if _lost(one) else _STATES[one.state],
        loss=loss,
        drawn=one.user_attrs.get(_DRAWN, {}),
        settings=one.user_attrs.get(_SETTINGS, {}),
        started=since(one.datetime_start),
        ended=since(end),
        reason=one.user_attrs.get(_REASON),
        by_defaults=_by_defaults(one),
    )


def _by_defaults(one: FrozenTrial) -> bool:
    """Whether it takes the defaults: the first trial, or what was queued in its place after it was lost."""
    return one.number == 0 or one.user_attrs.get(_DEFAULTS, False)


def _lost(one: FrozenTrial) -> bool:
    return one.state == TrialState.FAIL and one.user_attrs.get(_LOST, False)


def _alive(one: FrozenTrial) -> bool:
    """Whether the process of a running trial is there still, as far as can be told from here."""
    worker = one.user_attrs.get(_WORKER)
    if worker is None:
        begun = one.datetime_start
        return begun is None or (datetime.now() - begun).total_seconds() < _SECONDS_UNTIL_LOST
    if worker["machine"] == _machine() and not Path(f"/proc/{worker['process']}").exists():
        return False
    return time.time() - worker["seen"] < _SECONDS_UNTIL_LOST


def _machine() -> str:
    """What numbers of processes are numbers of: a machine since it was started, or a container in it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{os.uname().nodename} {datetime.now(UTC).date()}"


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Optuna's own remarks, which are for programmers."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
