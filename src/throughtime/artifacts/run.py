"""A trained model on disk, with all that is needed to use it again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from .._errors import ArtifactError
from .._version import __version__
from ..data import Source
from ..models import Markov, SequenceModel, count_parameters
from . import store
from .configuration import RunConfiguration, explained
from .surprise import Surprise


class Run(ABC):
    """A run folder: `config.json`, `data.json`, `model.safetensors`, `metrics.jsonl`.

    Args:
        folder: where it is.
        configuration: all settings.
        data: what `data.json` holds: the data's layout, scaling or vocabulary, description and source.
        model: the model, with the weights that did best on validation.
    """

    def __init__(
        self,
        folder: Path,
        configuration: RunConfiguration,
        data: dict[str, Any],
        model: SequenceModel | Markov | None = None,
    ) -> None:
        self.folder = folder
        self.configuration = configuration
        self.data = data
        self.model = configuration.model.build() if model is None else model
        self._restore()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"

    @abstractmethod
    def _restore(self) -> None:
        """Bring back what `data` describes."""

    @abstractmethod
    def read(self, source: Any = None) -> Any:
        """Read a file or frame the way the training data was read; without one, the training data itself."""

    @property
    def source(self) -> Source:
        """The file this run was trained on.

        Raises:
            ArtifactError: if it was trained on a frame, or the file is gone or has changed.
        """
        recorded = self.data.get("source")
        if recorded is None:
            raise ArtifactError(f"{self.folder} was trained on a frame in memory, not a file: name the file to use")
        try:
            return TypeAdapter(Source).validate_python(recorded)
        except ValidationError as error:
            raise ArtifactError(f"{self.folder / store.DATA} is damaged: source: {explained(error)}") from None

    def create(self) -> None:
        """Write the settings of a run that is about to begin into its folder."""
        store.write_json(self.folder / store.DATA, self.data)
        store.write_json(self.folder / store.CONFIGURATION, self.configuration.model_dump(mode="json"))

    def save_weights(self) -> None:
        """Write the model's present weights."""
        store.write_tensors(self.folder / store.WEIGHTS, self.model.state_dict(), {"throughtime": __version__})

    def load_weights(self) -> None:
        """Read the weights that did best on validation.

        Raises:
            ArtifactError: if there are none yet, or they are damaged or of another model.
        """
        path = self.folder / store.WEIGHTS
        if not path.exists():
            raise ArtifactError(
                f"{self.folder} has no {path.name} yet: its first epoch was not finished; "
                f"go on with: throughtime train --resume {self.folder}"
            )
        store.load_weights(self.model, path)

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The records of training, in order."""
        return store.read_metrics(self.folder / store.METRICS)

    def summary(self) -> dict[str, Any]:
        """What this run is, as plain data: versions, model, task, training and how it went, data."""
        records = [record for record in self.metrics() if "validation_loss" in record]
        settings = self.configuration.model_dump(mode="json", exclude={"format"})
        return {
            "format": self.configuration.format,
            **settings,
            "parameters": count_parameters(self.model),
            "validations": len(records),
            "best validation loss": min((record["validation_loss"] for record in records), default=None),
            "steps": max((record["step"] for record in records), default=0),
            "source": self.data.get("source"),
            "description": self.data.get("description"),
        }

    @abstractmethod
    def surprise(self, data: Any) -> Surprise:
        """−log p(x_t | x_<t) in nats for each step of `data` from the second on."""

    def to(self, device: torch.device | str) -> Run:
        """The same run with its model on `device`."""
        self.model.to(device)
        return self
