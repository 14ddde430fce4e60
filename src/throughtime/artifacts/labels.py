"""Runs over labelled sequences: the class or the value of a whole one, and of as much of it as has been read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

import numpy as np
import torch
from torch.distributions import Distribution, StudentT

from .._errors import ConfigurationError, DataError, UnsupportedError
from ..data import Labelled, LabelledLayout, Scaler, Verdicts, parted, read_labelled
from ..models import SequenceModel, device_of
from . import store
from .configuration import LabelTask
from .features import Track, windows
from .forecast import LEVELS
from .predictions import ClassPredictions, ValuePredictions
from .run import Run
from .temperature import Temperature

TEMPERATURE = "temperature.json"
INPUTS, TARGET = "inputs", "target"
"""What the scales of the run are called."""

_SEQUENCES_AT_ONCE = 128
_NAMED = 5


class LabelRun(Run):
    """A trained model of the label of whole sequences.

    Attributes:
        layout: how its data is read; its classes are in the order of the model's.
        temperature: that of its probabilities, fitted on the validation part.
        words: what was read of its data, in words.
    """

    split_unit = "cases"

    layout: LabelledLayout
    scaler: Scaler
    task: LabelTask
    temperature: Temperature
    model: SequenceModel
    words: str

    def _restore(self) -> None:
        assert isinstance(self.configuration.task, LabelTask)
        self.task = self.configuration.task
        self.layout = LabelledLayout.from_dict(self.data["layout"])
        self.scaler = Scaler.from_dict(self.data["scaler"])
        self.words = _words(self.data["description"])
        self.temperature = Temperature()
        if (self.folder / TEMPERATURE).exists():
            self.temperature = Temperature(**store.read_json(self.folder / TEMPERATURE))
        if (self.layout.classes is None) != (self.task.task == "regress"):
            raise ValueError(f"its classes are {self.layout.classes}, the task is to {self.task.task}")
        model = self.configuration.model
        for what, found, wanted in (
            ("features", len(self.layout.features), getattr(model, "features", None)),
            ("classes", len(self.layout.classes or ("value",)), getattr(model, "size", None)),
        ):
            if found != wanted:
                raise ValueError(f"it has {found} {what}, the model {wanted}")

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names.

        Raises:
            UnsupportedError: of a regression.
        """
        if self.layout.classes is None:
            raise UnsupportedError(f"{self.folder} tells numbers: it has no classes and no probabilities of them")
        return self.layout.classes

    def read(self, source: Any = None, *, labels_needed: bool = False) -> Labelled:
        """Read sequences as those of training were; without a source, those themselves.

        Args:
            source: a file, folder or frame.
            labels_needed: refuse what has no labels, or one that training did not know.
        """
        path = self.source.verified() if source is None else source
        return read_labelled(path, layout=self.layout, labels_needed=labels_needed or source is None)

    def parts(self, data: Labelled) -> tuple[Labelled, Labelled, Labelled]:
        """The cases of the training data that trained, chose and test the model."""
        return parted(data, self.task.split, self.configuration.training.seed)

    def learnt_from(self, data: Labelled) -> int:
        """How many of these cases the model was trained on; 0 where they are not of the very file of training."""
        return len(self.parts(data)[0]) if self.trained_on(data) else 0

    def inputs(self, data: Labelled) -> list[np.ndarray]:
        """What the model reads of each case: its sequence, by the scale of training, [time, feature]."""
        return [self.scaler.transform(INPUTS, sequence) for sequence in data.sequences]

    def scaled_targets(self, data: Labelled) -> np.ndarray:
        """Classes [case], or values by the scale of training [case, 1].

        Raises:
            DataError: where there are none.
        """
        if data.targets is None:
            raise DataError(f"there are no labels to compare with in {_named(data)}: name a file that has them")
        if self.layout.classes is not None:
            return data.targets
        return self.scaler.transform(TARGET, data.targets[:, None])

    def logits(self, data: Labelled, progress: Callable[[float], None] = lambda share: None) -> np.ndarray:
        """Unnormalised log-probabilities of the classes, before any calibration, [case, class]."""
        _ = self.classes
        return np.concatenate([one.logits[0].double().cpu().numpy() for one in self._verdicts(data, progress)])  # type: ignore[attr-defined]

    def probabilities(self, data: Labelled, progress: Callable[[float], None] = lambda share: None) -> np.ndarray:
        """Of each class, [case, class]; calibrated where there was a validation part to calibrate by.

        Raises:
            UnsupportedError: of a regression.
        """
        return self.temperature.probabilities(self.logits(data, progress))

    def probabilities_so_far(self, sequence: np.ndarray) -> np.ndarray:
        """The verdict after each step of one sequence [time, feature], on what has been read: [time, class].

        The model was trained on whole sequences, and so was its calibration: early verdicts are worth what tests of
        them show.
        """
        values = torch.as_tensor(self.scaler.transform(INPUTS, sequence), dtype=torch.float32)
        self.model.eval()
        with torch.inference_mode():
            distribution, _ = self.model(values[:, None].to(device_of(self.model)))
        _ = self.classes
        return self.temperature.probabilities(distribution.logits[:, 0].double().cpu().numpy())

    def predict(
        self, data: Labelled, progress: Callable[[float], None] = lambda share: None
    ) -> ClassPredictions | ValuePredictions:
        """The class of each case and how probable each is; or its value, with central intervals."""
        if self.layout.classes is not None:
            return ClassPredictions(data.names, self.classes, self.probabilities(data, progress), data.targets)
        quantile = self._quantiles(data, progress)
        intervals = {level: np.stack([quantile(0.5 - level / 2), quantile(0.5 + level / 2)], 1) for level in LEVELS}
        return ValuePredictions(data.names, quantile(0.5), intervals, data.targets)

    def save_weights(self) -> None:
        """Write the model's present weights; the calibration of those before is deleted."""
        (self.folder / TEMPERATURE).unlink(missing_ok=True)
        self.temperature = Temperature()
        super().save_weights()

    def calibrate(self, temperature: Temperature) -> None:
        """Keep a calibration with the run."""
        self.temperature = temperature
        store.write_json(self.folder / TEMPERATURE, temperature.to_dict())

    def summary(self) -> dict[str, Any]:
        """What this run is, as plain data; with its calibration where it has classes."""
        calibrated = {"temperature": self.temperature.to_dict()} if self.layout.classes is not None else {}
        return super().summary() | calibrated

    def surprise(self, data: Any) -> NoReturn:
        """There is none."""
        raise UnsupportedError(
            f"{self.folder} tells the label of whole sequences and foretells no steps, so none can surprise it: "
            f"throughtime predict {self.folder} FILE gives the probability of each class"
        )

    def _tracks(self, data: Labelled) -> list[Track]:
        """Each case by itself; its steps are counted."""

        def inputs(values: np.ndarray, part: slice) -> torch.Tensor:
            return torch.as_tensor(values[part, None], dtype=torch.float32).to(device_of(self.model))

        def labels(part: slice) -> np.ndarray:
            return np.arange(part.start, part.stop)

        return [
            Track(name, len(values), "time", partial(inputs, values), labels, windows(len(values), len(values)))
            for name, values in zip(data.names, self.inputs(data), strict=True)
        ]

    def _verdicts(self, data: Labelled, progress: Callable[[float], None]) -> Iterator[Distribution]:
        """The distributions [1, case] after the last step of some cases at a time."""
        if not len(data):
            raise ConfigurationError("there is no case to tell the label of: at least one is expected")
        source = Verdicts(self.inputs(data), np.zeros(len(data), np.int64), _SEQUENCES_AT_ONCE)
        self.model.eval()
        for index, batch in enumerate(source.batches(0)):
            with torch.inference_mode():
                batch = batch.to(device_of(self.model))
                features, _ = self.model.features(batch.inputs, lengths=batch.lengths)
                count = features.shape[1]
                last = -1 if batch.lengths is None else batch.lengths - 1
                yield self.model.head(features[last, torch.arange(count)][None])
            progress((index + 1) / len(source))

    def _quantiles(self, data: Labelled, progress: Callable[[float], None]) -> Callable[[float], np.ndarray]:
        """The value that each case stays below with some probability, [case]."""
        found = [one.base_dist for one in self._verdicts(data, progress)]  # type: ignore[attr-defined]
        names = ("df", "loc", "scale") if isinstance(found[0], StudentT) else ("loc", "scale")
        numbers = [torch.cat([getattr(one, name)[0, :, 0] for one in found]).double().cpu().numpy() for name in names]
        from scipy import stats  # takes a second, which not everyone should wait

        law = (stats.t if len(names) == 3 else stats.norm)(*numbers)
        return lambda probability: self.scaler.inverse(TARGET, law.ppf(probability)[:, None])[:, 0]


def _words(description: dict[str, Any]) -> str:
    """What was read, of what `LabelledDescription.to_dict` gives."""

    def named(items: list[dict[str, Any]]) -> str:
        names = ", ".join(str(item["name"]) for item in items[:_NAMED])
        return names + (f", … ({len(items)})" if len(items) > _NAMED else "")

    shortest, longest = description["shortest"], description["longest"]
    classes = description["classes"]
    steps = f"{longest:,}" if shortest == longest else f"{shortest:,}–{longest:,}"
    return (
        f"{description['cases']:,} cases"
        + (f" of {len(classes)} classes ({named(classes)})" if classes else "")
        + f", {steps} steps each of {named(description['features'])}"
    )


def _named(data: Labelled) -> str:
    return "the frame" if data.source is None else str(data.source.path)
