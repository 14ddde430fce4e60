"""From text or sound to a training that is ready to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._errors import DataError
from .._version import __version__
from ..artifacts import RunConfiguration, SymbolRun, SymbolTask, TrainingSettings
from ..data import SoundData, Streams, TextData, shifted
from ..models import AnyFamily, Markov, SymbolModelConfiguration
from .fitting import Fitting
from .loop import Training
from .randomness import seeded

_AT_ONCE = 1 << 20
_BATCHES_BETWEEN_BEGINNINGS = 20
"""A text is continued from its first symbol on, so a model has to know more than the middle of streams."""


def symbol_task(data: TextData | SoundData, **settings: Any) -> SymbolTask:
    """Sizes that suit the data: streams long enough that a few batches fill each part.

    Raises:
        DataError: if a part would hold fewer than two symbols.
    """
    task = SymbolTask(**settings)
    total = len(data.tokens)
    train_end, validation_end, _ = task.split.bounds(total)
    if train_end < 2 or 0 < validation_end - train_end < 2:
        raise DataError(f"{total} symbols are too few: the training and validation parts need at least 2 each")
    fitting = max(1, min(task.batch_size, train_end // (4 * task.steps)))
    return task.model_copy(update={"batch_size": fitting})


def prepare_symbols(
    data: TextData | SoundData,
    folder: Path,
    task: SymbolTask,
    family: AnyFamily,
    training: TrainingSettings,
    **model: Any,
) -> Training | Fitting:
    """A run over `data` in `folder`, not yet trained."""
    text = isinstance(data, TextData)
    size = len(data.vocabulary) if text else 256
    symbols = SymbolModelConfiguration(vocabulary=size, family=family, **model)
    configuration = RunConfiguration(throughtime=__version__, model=symbols, task=task, training=training)
    contents = {
        **({"vocabulary": data.vocabulary.to_dict()} if text else {"sample_rate": data.sample_rate}),
        "source": None if data.source is None else data.source.to_dict(),
        "description": data.describe().to_dict(),
    }
    with seeded(training.seed):
        run = SymbolRun(folder, configuration, contents)
    return _training(run, data)


def resume_symbols(run: SymbolRun, data: TextData | SoundData) -> Training | Fitting:
    """The training of a run that stopped, at its last checkpoint."""
    training = _training(run, data)
    training.resume()
    return training


def _training(run: SymbolRun, data: TextData | SoundData) -> Training | Fitting:
    task = run.task
    train_end, validation_end, _ = task.split.bounds(len(data.tokens))
    learnt, chosen = data.tokens[:train_end], data.tokens[train_end:validation_end]
    validation = streams_of(task, chosen, task.steps) if len(chosen) else None
    if isinstance(run.model, Markov):
        return Fitting(
            run, lambda: (learnt[start : start + _AT_ONCE] for start in range(0, train_end, _AT_ONCE)), validation
        )
    return Training(run, streams_of(task, learnt, task.steps, restart=_BATCHES_BETWEEN_BEGINNINGS), validation)


def streams_of(task: SymbolTask, tokens: Any, steps: int, restart: int | None = None) -> Streams:
    """As many streams as the task has side by side, or as fit."""
    pair = shifted(tokens)
    return Streams(pair, max(1, min(task.batch_size, len(pair) // steps)), steps, restart=restart)
