"""Models that need no gradients: fitted by counting, or by a formula, in one go."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from .._errors import ConfigurationError, ThroughtimeError
from .._files import making
from .._types import Observer
from ..artifacts import Run, store
from ..data import BatchSource
from .checkpoint import Position
from .validation import mean_loss


@dataclass(repr=False)
class Fitting:
    """Fits the model of a run by its own `fit`, and writes it into the run folder; used as a `Training` is.

    Args:
        run: the run.
        pieces: what the model's `fit` reads, made anew when it is asked for.
        validation: the batches of the validation part, if there is one.
        observers: are told of the `begin`, the `validation` and the `end`.
    """

    run: Run
    pieces: Callable[[], Iterable[Any]]
    validation: BatchSource | None
    observers: Iterable[Observer] = ()
    position: Position = field(default_factory=Position, init=False)

    def __post_init__(self) -> None:
        self.settings = self.run.configuration.training
        self.model = self.run.model

    def __repr__(self) -> str:
        return f"Fitting({self.run!r})"

    @property
    def words(self) -> str:
        """How it goes about it, for a table."""
        return "in one pass, without gradients"

    def to(self, device: torch.device | str) -> Fitting:
        """The same fitting with its model on `device`."""
        self.model.to(device)
        return self

    def resume(self) -> None:
        """Take the weights that were written; where there are none, `fit` begins anew."""
        if (self.run.folder / store.WEIGHTS).exists():
            self.run.load_weights()
            self.position.step = self.position.epoch = 1

    def fit(self) -> str:
        """Fit the model and save it; returns why it ended.

        Raises:
            ConfigurationError: if the folder holds a run already.
            ThroughtimeError: if the outcome is not finite.
        """
        if self.position.step:
            self._tell("begin", {"step": 1})
            return "fit"
        if (self.run.folder / store.WEIGHTS).exists():
            raise ConfigurationError(f"{self.run.folder} holds a run already: name another folder, or resume it")
        with making(self.run.folder):
            self.run.create()
        self._tell("begin", {"step": 0})
        started = time.monotonic()
        self.model.fit(self.pieces())  # type: ignore[operator]
        loss = None if self.validation is None else mean_loss(self.model, self.validation)
        if loss is not None and not math.isfinite(loss):
            raise ThroughtimeError(f"the validation loss is {loss}: the data may be constant, or its order too high")
        self.position.elapsed = time.monotonic() - started
        self.position.step = self.position.epoch = 1
        self.run.save_weights()
        record = {"step": 1, "epoch": 1} | ({} if loss is None else {"validation_loss": loss})
        with (self.run.folder / store.METRICS).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record) + "\n")
        if loss is not None:
            self.position.best = loss
            self._tell("validation", record | {"improved": True, "best": loss})
        self.model.eval()
        self._tell("end", {"step": 1, "reason": "fit", "seconds": self.position.elapsed})
        return "fit"

    def _tell(self, event: str, record: dict[str, Any]) -> None:
        for observer in self.observers:
            observer(event, record)
