"""From pieces of music to a training that is ready to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from .._version import __version__
from ..artifacts import MusicRun, MusicTask, RunConfiguration, TrainingSettings
from ..data import Excerpt, MusicData, Sequences, smoothed, transitions
from ..models import AnyFamily, MusicModelConfiguration
from .epochs import repeated
from .loop import Training
from .randomness import seeded


def music_task(data: MusicData, **settings: Any) -> MusicTask:
    """As many pieces side by side as the training part has, eight at most."""
    task = MusicTask(**settings)
    learnt, _, _ = data.parted(task.split, 0)
    return task.model_copy(update={"batch_size": min(task.batch_size, len(learnt))})


def prepare_music(
    data: MusicData, folder: Path, task: MusicTask, family: AnyFamily, training: TrainingSettings, **model: Any
) -> Training:
    """A run over `data` in `folder`, not yet trained: each key is as likely as it is in the training part."""
    music = MusicModelConfiguration(family=family, **model)
    configuration = RunConfiguration(throughtime=__version__, model=music, task=task, training=training)
    learnt, _, _ = data.parted(task.split, training.seed)
    counts = transitions(learnt)
    contents = {
        "frames_per_beat": data.frames_per_beat,
        "transitions": counts.tolist(),
        "source": None if data.source is None else data.source.to_dict(),
        "description": data.describe().to_dict(),
    }
    with seeded(training.seed):
        run = MusicRun(folder, configuration, contents)
    with torch.no_grad():
        run.model.head.linear.bias.copy_(torch.as_tensor(smoothed(counts.sum(0))[1]).logit())
    return _training(run, data)


def resume_music(run: MusicRun, data: MusicData) -> Training:
    """The training of a run that stopped, at its last checkpoint."""
    training = _training(run, data)
    training.resume()
    return training


def _training(run: MusicRun, data: MusicData) -> Training:
    learnt, chosen, _ = run.parts(data)

    def pieces(part: list[Excerpt], seed: int | None = None) -> Sequences:
        return Sequences([one.pair for one in part], run.task.batch_size, seed, [one.begin for one in part])

    source = repeated(pieces(learnt, run.configuration.training.seed))
    return Training(run, source, pieces(chosen) if chosen else None)
