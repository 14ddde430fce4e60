"""The one loop: batches in, parameters better, nothing lost."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .._errors import ArtifactError, ConfigurationError, ThroughtimeError
from .._files import making, remove_leftovers, replacing
from .._state import map_state
from .._types import Batch, Observer, Segment, State
from ..artifacts import Run, TrainingSettings, store
from ..data import BatchSource
from ..gradients import strategy_named
from ..models import device_of, loss_named
from . import checkpoint
from .checkpoint import Position
from .interruption import interruptible
from .optimizers import build_optimizer, check_strategy, learning_rate, searches
from .randomness import own_randomness, random_state, set_random_state
from .validation import mean_loss

_BATCHES_BETWEEN_VALIDATIONS = 1000
_SECONDS_BETWEEN_CHECKPOINTS = 30.0
_STEPS_BETWEEN_RECORDS = 10
_CALMER = "lower --learning-rate or --clip"


@dataclass(repr=False)
class Training:
    """Trains the model of a run by the loss of its settings, and keeps the run folder true all the while.

    Args:
        run: the run; its weights end as those with the lowest validation loss.
        training, validation: the batches of each part; without a validation part the last weights are kept.
        observers: are told of the `begin`, every `step` and `validation`, and the `end`.
    """

    run: Run
    training: BatchSource
    validation: BatchSource | None
    observers: Iterable[Observer] = ()
    position: Position = field(default_factory=Position, init=False)
    carry: State = field(default=None, init=False)
    random: dict[str, Tensor] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.settings: TrainingSettings = self.run.configuration.training
        self.model = self.run.model
        self.strategy = strategy_named(self.settings.strategy)
        self.strategy.check(self.model)
        self.loss = loss_named(self.settings.loss)
        check_strategy(self.settings.optimizer, self.strategy)
        self.optimizer = build_optimizer(self.model.parameters(), self.settings.optimizer)
        self.device = device_of(self.model)

    def __repr__(self) -> str:
        return f"Training({self.run!r}, step {self.position.step}, epoch {self.position.epoch})"

    def to(self, device: torch.device | str) -> Training:
        """The same training with its model on `device`."""
        self.model.to(device)
        self.device = torch.device(device)
        return self

    def resume(self) -> None:
        """Go back to the last checkpoint; what was written after it is taken away again.

        Raises:
            ArtifactError: if it is missing, damaged, or belongs to another model or optimiser.
        """
        if not self._file(store.CHECKPOINT).exists():
            raise ArtifactError(f"{self.run.folder} has no {store.CHECKPOINT}: it cannot go on; train anew")
        carry, self.position, self.random = checkpoint.restore(
            self._file(store.CHECKPOINT), self.model, self.optimizer, self.run.configuration.format
        )
        self.carry = map_state(lambda tensor: tensor.to(self.device), carry)
        remove_leftovers(self.run.folder)
        kept = islice(self.run.metrics(), self.position.records)
        with replacing(self._file(store.METRICS)) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")

    def fit(self) -> str:
        """Train until the epochs, the time or the patience is used up, or Ctrl-C; returns which it was.

        Raises:
            ConfigurationError: if the folder of a training that is about to begin holds a run already.
            ThroughtimeError: if training diverges.
        """
        with own_randomness(self.device):
            if self.random is None:
                torch.manual_seed(self.settings.seed)
            else:
                set_random_state(self.random, self.device)
            self._begin()
            with interruptible() as asked:
                reason = self._epochs(asked)
            self._save()
            self.random = random_state(self.device)
        self._tell("end", {"step": self.position.step, "reason": reason, "seconds": self.position.elapsed})
        if self._file(store.WEIGHTS).exists():
            self.run.load_weights()
        self.model.eval()
        return reason

    def _begin(self) -> None:
        fresh = self.random is None
        if fresh:
            self.model.train()
            first = next(iter(self.training.batches(self.position.epoch)))
            self.strategy.check(self.model, first.to(self.device), self.loss)
        if fresh and self._file(store.CONFIGURATION).exists():
            raise ConfigurationError(f"{self.run.folder} holds a run already: name another folder, or resume it")
        # The settings come last: a folder that has them can be resumed, whenever it was left.
        with making(self.run.folder):
            if fresh:
                self._save()
            if fresh or self._finished() is None:  # else nothing is trained, and the settings stay those of what was
                self.run.create()
        self._tell("begin", {"step": self.position.step})

    def _epochs(self, asked: Any) -> str:
        last_save = time.monotonic()
        while (reason := self._finished()) is None:
            for batch in self.training.batches(self.position.epoch, self.position.index):
                with self._timed():
                    self._learn(batch)
                self.position.index += 1
                over = self._time_is_over()
                if over or self.position.index % _BATCHES_BETWEEN_VALIDATIONS == 0:
                    self._validate()
                if over:
                    return "time budget"
                if asked.is_set():
                    return "interrupted"
                if time.monotonic() - last_save > _SECONDS_BETWEEN_CHECKPOINTS:
                    self._save()
                    last_save = time.monotonic()
            if self.position.validated != self.position.step:
                self._validate()
            self.position.epoch, self.position.index, self.carry = self.position.epoch + 1, 0, None
            self._save()
            last_save = time.monotonic()
            if asked.is_set() and self._finished() is None:
                return "interrupted"
        return reason

    def _finished(self) -> str | None:
        """Why there is no further epoch, if there is none."""
        if self.position.epoch >= self.settings.epochs:
            return "epochs"
        if self.settings.patience is not None and self.position.stale >= self.settings.patience:
            return "patience"
        return "time budget" if self._time_is_over() else None

    def _learn(self, batch: Batch) -> None:
        self.model.train()
        carry = self.carry if self.training.continues(self.position.index) else None
        batch = batch.to(self.device)
        segments = partial(self.strategy.segments, self.model, batch, self.loss, carry)
        random = random_state(self.device) if searches(self.optimizer) else {}
        started = time.monotonic()
        with self._precision(), self._telling_divergence():
            for segment in segments():
                norm = self._update(segment, partial(self._again, segments, random))
                self.carry = segment.carry
                loss = _mean(segment)
                if not math.isfinite(loss) or not math.isfinite(norm):
                    raise ThroughtimeError(
                        f"training diverged at step {self.position.step}: loss {loss}, gradient norm {norm}; "
                        f"{_CALMER}; the last checkpoint is from before"
                    )
                self._step_done(loss, norm, time.monotonic() - started)
                started = time.monotonic()

    def _update(self, segment: Segment, again: Callable[[], float]) -> float:
        """One step of the optimiser along the mean gradient of a segment; the norm of that gradient is returned."""
        searching, clip = searches(self.optimizer), self.settings.optimizer.clip
        norm = self._average(segment, math.inf if clip is None or searching else clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings.optimizer, self.position.step, self.share())
        if torch.isfinite(norm):
            self.optimizer.step(*([again] if searching else []))
        self.optimizer.zero_grad(set_to_none=True)
        self.position.step += 1
        return float(norm)

    def _average(self, segment: Segment, clip: float) -> Tensor:
        """Bring the gradient of a segment's sum to that of its mean, clipped; its norm before that is returned."""
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad.div_(max(float(segment.count), 1.0))
        return torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)

    def _again(self, segments: Callable[[], Iterable[Segment]], random: dict[str, Tensor]) -> float:
        """The loss and, in `.grad`, the gradient of one batch by the parameters as they are, with the same dropout."""
        self.optimizer.zero_grad(set_to_none=True)
        set_random_state(random, self.device)
        (segment,) = segments()
        self._average(segment, math.inf)
        loss = _mean(segment)
        if math.isfinite(loss):
            return loss
        # From here a search walks back by halves; it would take a loss that is not a number for a good one.
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad.fill_(math.nan)
        return math.inf

    @property
    def words(self) -> str:
        """How it goes about it, for a table."""
        settings = self.settings
        return (
            f"{settings.optimizer.name}, {settings.strategy}, up to {settings.epochs} epochs of {len(self.training)} "
            f"batches, seed {settings.seed}"
        )

    def share(self) -> float:
        """The part of the whole training that is done, in [0, 1]."""
        by_epochs = (self.position.epoch + self.position.index / len(self.training)) / self.settings.epochs
        budget = self.settings.time_budget
        return min(1.0, by_epochs if budget is None else max(by_epochs, self.position.elapsed / budget))

    def validation_loss(self) -> float | None:
        """Nats a step and sequence over the validation part, if there is one."""
        with self._precision(), self._telling_divergence():
            return None if self.validation is None else mean_loss(self.model, self.validation, self.loss)

    def _validate(self) -> None:
        with self._timed():
            loss = self.validation_loss()
        if loss is None:
            self.run.save_weights()
            self.position.validated = self.position.step
            self._record({"step": self.position.step, "epoch": self.position.epoch})
            return
        if not math.isfinite(loss):
            raise ThroughtimeError(f"the validation loss is {loss} at step {self.position.step}: {_CALMER}")
        improved = loss < self.position.best
        if improved:
            self.position.best, self.position.stale = loss, 0
            self.run.save_weights()
        else:
            self.position.stale += 1
        self.position.validated = self.position.step
        record = {"step": self.position.step, "epoch": self.position.epoch, "validation_loss": loss}
        self._record(record)
        self._tell("validation", record | {"improved": improved, "best": self.position.best})

    def _step_done(self, loss: float, norm: float, seconds: float) -> None:
        record = {
            "step": self.position.step,
            "epoch": self.position.epoch,
            "loss": loss,
            "gradient_norm": norm,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
        }
        if self.position.step % _STEPS_BETWEEN_RECORDS == 0:
            self._record(record)
        self._tell("step", record | {"share": self.share(), "seconds": seconds})

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")

    @contextmanager
    def _telling_divergence(self) -> Iterator[None]:
        """What torch says where a model gives no distribution, as its numbers are none, in the words of the others."""
        try:
            yield
        except ValueError as error:
            if "to satisfy the constraint" not in str(error):
                raise
            raise ThroughtimeError(
                f"training diverged at step {self.position.step}: the model's outputs are nan or infinite; {_CALMER}; "
                "the last checkpoint is from before"
            ) from None

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Learning and validating count as time spent; reading and writing files do not."""
        started = time.monotonic()
        yield
        self.position.elapsed += time.monotonic() - started

    def _time_is_over(self) -> bool:
        return self.settings.time_budget is not None and self.position.elapsed >= self.settings.time_budget

    def _save(self) -> None:
        random = random_state(self.device)
        checkpoint.save(self._file(store.CHECKPOINT), self.model, self.optimizer, self.carry, self.position, random)

    def _record(self, record: Mapping[str, Any]) -> None:
        with self._file(store.METRICS).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record) + "\n")
        self.position.records += 1

    def _tell(self, event: str, record: Mapping[str, Any]) -> None:
        for observer in self.observers:
            observer(event, record)

    def _file(self, name: str) -> Path:
        return self.run.folder / name


def _mean(segment: Segment) -> float:
    return float(segment.loss_sum) / max(float(segment.count), 1.0)
