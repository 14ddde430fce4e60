"""From labelled sequences to a training that is ready to run; a validation part calibrates probabilities at its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import DataError
from .._version import __version__
from ..artifacts import INPUTS, TARGET, LabelRun, LabelTask, RunConfiguration, Temperature, TrainingSettings
from ..data import Labelled, Scaler, Split, Verdicts, balanced, parted
from ..models import AnyFamily, LabelModelConfiguration
from .epochs import repeated
from .loop import Training
from .randomness import seeded

_FEWEST_THAT_CHOOSE = 30


@dataclass(repr=False)
class LabelTraining(Training):
    """A training of a model of labels; at its end a temperature is fitted on `chosen`, the validation part.

    Args:
        chosen: cases with classes; `None` fits none.
    """

    chosen: Labelled | None = None

    def fit(self) -> str:
        """As of every training; the calibration is of the weights that it leaves."""
        reason = super().fit()
        if self.chosen is not None:
            assert isinstance(self.run, LabelRun)
            self.run.calibrate(Temperature.fit(self.run.logits(self.chosen), self.run.scaled_targets(self.chosen)))
        return reason


def label_task(data: Labelled, **settings: Any) -> LabelTask:
    """What the data asks for: to tell classes apart, or a number.

    Where no split is given and a tenth of the cases is fewer than 30, all that are not for testing train: so few would
    choose the step, and the temperature, by chance.

    Raises:
        DataError: without labels, or where a class has no case in the training part.
    """
    if len(data) < 10 * _FEWEST_THAT_CHOOSE:
        settings = {"split": Split(0.8, 0, 0.2)} | settings
    task = LabelTask.model_validate({"task": data.layout.task} | settings)
    if data.targets is None:
        raise DataError("these sequences have no labels, and there is nothing to learn: name the column that has them")
    return task


def prepare_labels(
    data: Labelled, folder: Path, task: LabelTask, family: AnyFamily, training: TrainingSettings, **model: Any
) -> Training:
    """A run over `data` in `folder`, not yet trained. Scales are fitted on the cases of the training part alone."""
    learnt, _, _ = parted(data, task.split, training.seed)
    assert learnt.targets is not None
    scaler = Scaler.fit({INPUTS: np.concatenate(learnt.sequences)})
    classes = data.layout.classes
    contents: dict[str, Any] = {}
    if classes is None:
        scaler = scaler.extend(TARGET, learnt.targets[:, None])
    else:
        contents["counts"] = _counts(learnt, classes)
    labels = LabelModelConfiguration(
        features=len(data.layout.features),
        size=1 if classes is None else len(classes),
        **{
            "family": family,
            "pooling": "mean" if family.name == "tcn" else "attention",
            "head": "student_t" if classes is None else "categorical",
        }
        | model,
    )
    configuration = RunConfiguration(throughtime=__version__, model=labels, task=task, training=training)
    contents |= {
        "layout": data.layout.to_dict(),
        "scaler": scaler.to_dict(),
        "source": None if data.source is None else data.source.to_dict(),
        "description": data.describe().to_dict(),
    }
    with seeded(training.seed):
        run = LabelRun(folder, configuration, contents)
    return _training(run, data)


def resume_labels(run: LabelRun, data: Labelled) -> Training:
    """The training of a run that stopped, at its last checkpoint."""
    training = _training(run, data)
    training.resume()
    return training


def _counts(learnt: Labelled, classes: tuple[str, ...]) -> list[int]:
    """How many cases each class has in the training part."""
    assert learnt.targets is not None
    counts = np.bincount(learnt.targets, minlength=len(classes)).tolist()
    if 0 in counts:
        raise DataError(
            f"class {classes[counts.index(0)]!r} has no case in the training part, {len(learnt)} cases: bring more of "
            "it, or a --split with a larger training part"
        )
    return counts


def _training(run: LabelRun, data: Labelled) -> Training:
    task = run.task
    learnt, chosen, _ = run.parts(data)
    weights = None
    if task.class_weights == "balanced":
        assert learnt.targets is not None
        weights = balanced(learnt.targets, len(run.classes))
    seed = run.configuration.training.seed

    def verdicts(part: Labelled, seed: int | None = None) -> Verdicts:
        return Verdicts(run.inputs(part), run.scaled_targets(part), task.batch_size, seed, weights)

    source = repeated(verdicts(learnt, seed))
    if not len(chosen):
        return LabelTraining(run, source, None)
    return LabelTraining(run, source, verdicts(chosen), chosen=chosen if run.layout.classes else None)
