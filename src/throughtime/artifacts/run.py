"""A trained model on disk, with all that is needed to use it again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import torch
from pydantic import TypeAdapter, ValidationError

from .._errors import ArtifactError, ConfigurationError, UnsupportedError
from .._version import __version__
from ..data import Source
from ..models import DirectForecaster, Markov, NetworkFamily, SequenceModel, count_parameters, device_of
from . import store
from .configuration import RunConfiguration, explained
from .features import Per, Track, rows_of, windows
from .surprise import Surprise


class Run(ABC):
    """A run folder: `config.json`, `data.json`, `model.safetensors`, `metrics.jsonl`.

    Args:
        folder: where it is.
        configuration: all settings.
        data: what `data.json` holds: the data's layout, scaling or vocabulary, description and source.
        model: the model, with the weights that did best on validation.
    """

    split_unit: ClassVar[str] = "rows"
    """What the split of its data counts."""

    def __init__(
        self,
        folder: Path,
        configuration: RunConfiguration,
        data: dict[str, Any],
        model: SequenceModel | DirectForecaster | Markov | None = None,
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

    def trained_on(self, data: Any) -> bool:
        """Whether `data`, as `read` gave it, is the very file of training, of which some parts are known by heart."""
        recorded = self.data.get("source") or {}
        return data.source is not None and data.source.sha256 == recorded.get("sha256")

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
        store.load_weights(self.model, path, self.configuration.format)

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The records of training, in order."""
        return store.read_metrics(self.folder / store.METRICS)

    def summary(self) -> dict[str, Any]:
        """What this run is, as plain data: versions, model, task, training and how it went, data."""
        records = list(self.metrics())
        losses = [record["validation_loss"] for record in records if "validation_loss" in record]
        settings = self.configuration.model_dump(mode="json", exclude={"format"})
        return {
            "format": self.configuration.format,
            **settings,
            "parameters": count_parameters(self.model),
            "validations": len(losses),
            "best validation loss": min(losses, default=None),
            "steps": max((record["step"] for record in records), default=0),
            "source": self.data.get("source"),
            "description": self.data.get("description"),
        }

    @abstractmethod
    def surprise(self, data: Any) -> Surprise:
        """−log p(x_t | x_<t) in nats for each step of `data` from the second on."""

    def features(
        self,
        data: Any,
        *,
        per: Per = "step",
        steps: int | None = None,
        layer: int | None = None,
        progress: Callable[[float], None] = lambda share: None,
    ) -> Iterator[pl.DataFrame]:
        """What the model makes of `data`, as vectors h: the features that its head reads, of an LSTM h without C.

        The vector of a step has seen that step and all before it. Per step the state travels through the whole of each
        series or text. Per sequence there is one vector, that after the last step, and each sequence is read from the
        initial state: a series; a line of a text without its line break, or an empty line with it; a recording; or so
        many `steps`.

        Args:
            data: what `read` gave.
            per: "step" or "sequence".
            steps: the length of the sequences, of which the last may be shorter.
            layer: whose outputs are taken, from 1 for the lowest; the top one by default. Of a Transformer they are
                normalised as the top one's are.
            progress: is told the share that is done.

        Returns:
            Tables of the same columns, one after the other, so that they need not fit into memory: series, step, and
            time or symbol; per sequence series, sequence, its first and last step, and time or symbol of the last;
            then h_0, h_1 … Per step they are null where a value was filled in. The last row of a series is left out
            where the model reads future columns, as it would be read with those of the next one.

        Raises:
            UnsupportedError: for a model whose state is nothing learnt.
            ConfigurationError: for a layer that is not there, or steps that divide nothing.
        """
        if steps is not None and (per == "step" or steps < 1):
            raise ConfigurationError(f"--steps {steps} is for --per sequence, and at least 1")
        model, tracks = self._network(layer), self._tracks(data)
        if steps is not None:
            tracks = [replace(track, bounds=windows(steps, track.steps)) for track in tracks]
        return rows_of(model, tracks, per, progress)

    @abstractmethod
    def _tracks(self, data: Any) -> list[Track]:
        """The sequences of `data`, as they are read for their features."""

    def _network(self, layer: int | None) -> SequenceModel:
        """The model, or what of it lies below the end of a layer: one of fewer layers with the same weights."""
        configuration, model = self.configuration.model, self.model
        family = configuration.family
        if isinstance(model, DirectForecaster):
            raise UnsupportedError(
                f"{self.folder} forecasts from windows, each read anew: it has no vector of each step; train without "
                "--decoding direct, such as --model gru"
            )
        if not isinstance(family, NetworkFamily):
            raise UnsupportedError(
                f"{self.folder} is a model of {family.name}: its state is the last steps as they are, nothing that it "
                "has learnt; train a network, such as --model gru"
            )
        if layer is not None:
            if not 1 <= layer <= family.num_layers:
                raise ConfigurationError(f"--layer {layer}: {self.folder} has layers 1 to {family.num_layers}")
            family = family.model_copy(update={"num_layers": layer})
            weights = model.state_dict()
            with torch.random.fork_rng(devices=[]):
                model = configuration.model_copy(update={"family": family}).build()
            model.load_state_dict({name: weights[name] for name in model.state_dict()})
        assert isinstance(model, SequenceModel)
        return model.to(device_of(self.model))

    def to(self, device: torch.device | str) -> Run:
        """The same run with its model on `device`."""
        self.model.to(device)
        return self
