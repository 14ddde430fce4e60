"""From data of any kind to a training that is ready to run, or to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .._errors import ConfigurationError
from ..artifacts import LabelRun, MusicRun, Run, SeriesRun, SymbolRun, TrainingSettings, explained
from ..data import Labelled, MusicData, SeriesData, SoundData, TextData
from ..models import family_settings
from .defaults import family_defaults, training_defaults
from .fitting import Fitting
from .labels import label_task, prepare_labels, resume_labels
from .loop import Training
from .music import music_task, prepare_music, resume_music
from .series import prepare_series, resume_series, series_task, value_model
from .symbols import prepare_symbols, resume_symbols, symbol_task


def prepare(
    data: SeriesData | TextData | SoundData | Labelled | MusicData,
    folder: str | Path,
    *,
    task: dict[str, Any] | None = None,
    family: str | dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    optimizer: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
) -> Training | Fitting:
    """A training of a fresh model on `data`, into `folder`; what is not set takes a default that suits the data.

    Args:
        data: from `read_series`, `read_text`, `read_sound`, `read_labelled` or `read_music`.
        folder: of the run; nothing is written before `Training.fit`.
        task: fields of `SeriesTask`, `SymbolTask`, `LabelTask` or `MusicTask`: horizon, lookback, batch_size, split, …
        family: the kind of model: a name such as "lstm", "tcn", "ar:24" or "markov:3" (see `models.FAMILIES`), or
            settings, `name` among them: hidden_size, num_layers, dropout, …
        training: fields of `TrainingSettings`: epochs, strategy, seed, …
        optimizer: fields of `OptimizerSettings`: name, learning_rate, clip, …
        model: the rest of the model: `head`, `decoding` and `normalisation` of a series', `embedding_size` of symbols',
            `pooling` of labels'.

    Raises:
        ConfigurationError: for a setting unknown or out of range.
        DataError: where there is too little data for the task.

    Example:
        >>> import tempfile
        >>> from throughtime.data import read_text
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "vowels.txt").write_text("aeiou " * 200)
        >>> small = {"family": {"hidden_size": 8}, "training": {"epochs": 1}, "task": {"steps": 16}}
        >>> training = prepare(read_text(folder / "vowels.txt"), folder / "run", **small)
        >>> training.fit(), sorted(path.name for path in (folder / "run").iterdir())[:2]
        ('epochs', ['checkpoint.safetensors', 'config.json'])
    """
    if isinstance(data, SoundData) and data.encoding == "real":
        data = data.series()
    try:
        chosen = family_defaults(data, **(family_settings(family) if isinstance(family, str) else family or {}))
        if isinstance(data, SeriesData):
            forecasting = series_task(data, reach=getattr(chosen, "order", 1), **task or {})
            values = value_model(data, forecasting, chosen, **model or {})
            loss = {"loss": "crps"} if values.direct and values.head != "student_t" else {}
            settings = training_defaults(data, forecasting, chosen, optimizer, **loss | (training or {}))
            return prepare_series(data, Path(folder), forecasting, values, settings)
        if isinstance(data, Labelled):
            labelling = label_task(data, **task or {})
            settings = training_defaults(data, labelling, chosen, optimizer, **training or {})
            return prepare_labels(data, Path(folder), labelling, chosen, settings, **model or {})
        if isinstance(data, MusicData):
            playing = music_task(data, **task or {})
            settings = training_defaults(data, playing, chosen, optimizer, **training or {})
            return prepare_music(data, Path(folder), playing, chosen, settings, **model or {})
        reading = symbol_task(data, **task or {})
        settings = training_defaults(data, reading, chosen, optimizer, **training or {})
        return prepare_symbols(data, Path(folder), reading, chosen, settings, **model or {})
    except ValidationError as error:
        raise ConfigurationError(explained(error)) from None


def resume(run: Run, **changes: Any) -> Training | Fitting:
    """The training of a run that stopped, at its last checkpoint, on the same data.

    Args:
        run: loaded with `weights=False`.
        changes: fields of `TrainingSettings` to replace, such as a larger `epochs`.

    Raises:
        ArtifactError: if its data is gone or has changed, or its checkpoint is damaged.

    Example:
        >>> import tempfile
        >>> from throughtime.artifacts import load
        >>> from throughtime.data import read_text
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "vowels.txt").write_text("aeiou " * 200)
        >>> small = {"family": {"hidden_size": 8}, "training": {"epochs": 1}, "task": {"steps": 16}}
        >>> _ = prepare(read_text(folder / "vowels.txt"), folder / "run", **small).fit()
        >>> further = resume(load(folder / "run", weights=False), epochs=2)
        >>> further.position.epoch, further.fit(), further.position.epoch
        (1, 'epochs', 2)
    """
    try:
        settings = TrainingSettings.model_validate(run.configuration.training.model_dump() | changes)
    except ValidationError as error:
        raise ConfigurationError(explained(error)) from None
    run.configuration = run.configuration.model_copy(update={"training": settings})
    data = run.read()
    if isinstance(run, SeriesRun):
        return resume_series(run, data)
    if isinstance(run, SymbolRun):
        return resume_symbols(run, data)
    if isinstance(run, LabelRun):
        return resume_labels(run, data)
    if isinstance(run, MusicRun):
        return resume_music(run, data)
    raise ConfigurationError(f"{type(run).__name__} cannot be resumed")
