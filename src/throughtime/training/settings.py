"""Settings of a training in a file, for people and programs to write: `best.json` of a tuning, say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from .._errors import ArtifactError, ConfigurationError
from ..artifacts import OptimizerSettings, SeriesTask, SymbolTask, TrainingSettings, explained, store
from ..artifacts.configuration import LabelTask, MusicTask
from ..data import Split
from ..gradients import strategy_named
from ..models import FAMILIES, Normalisation, SymbolModelConfiguration, ValueModelConfiguration, family
from ..models.configuration import LabelModelConfiguration, MusicModelConfiguration

READING = (
    "task", "label", "time", "time_format", "target", "past", "future", "id", "fill", "calendar", "unit", "encoding",
    "frames_per_beat",
)  # fmt: skip
"""Options by which a file is read."""

GROUPS = ("task", "family", "training", "optimizer", "model")
"""Of settings, as `prepare` takes them."""


class _Values(ValueModelConfiguration):
    """A model of series as `prepare` takes it."""

    decoding: Literal["autoregressive", "direct"] | None = None
    normalisation: Normalisation | None = None


_KINDS: dict[str, list[tuple[type[BaseModel], dict[str, int]]]] = {
    "task": [(SeriesTask, {"horizon": 1, "lookback": 1}), (SymbolTask, {}), (LabelTask, {}), (MusicTask, {})],
    "training": [(TrainingSettings, {})],
    "optimizer": [(OptimizerSettings, {})],
    "model": [
        (_Values, {"observed": 1}),
        (SymbolModelConfiguration, {"vocabulary": 1}),
        (LabelModelConfiguration, {"features": 1, "size": 2}),
        (MusicModelConfiguration, {}),
    ],
}
"""What each group may hold, by the kinds of data, with what these need beside it."""


@dataclass(frozen=True)
class Settings:
    """What a settings file holds.

    Args:
        preparation: what `prepare` takes, by its groups: `prepare(data, folder, **settings.preparation)`.
        reading: how the file is read, by the names of the command line's options.
    """

    preparation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)


def write_settings(path: str | Path, settings: Settings) -> None:
    """Write settings as readable JSON, whole or not at all.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "settings.json"
        >>> write_settings(path, Settings({"family": {"name": "lstm"}, "task": {"split": Split()}}, {"fill": "linear"}))
        >>> read_settings(path).preparation["family"], read_settings(path).reading
        ({'name': 'lstm'}, {'fill': 'linear'})
    """
    groups = {"reading": settings.reading, **settings.preparation}
    store.write_json(Path(path), plain_settings({name: own for name, own in groups.items() if own}))


def read_settings(path: str | Path) -> Settings:
    """The settings in a file, each of which is known and in range.

    Raises:
        ConfigurationError: for a group, a setting or a value that is not known, and its place in the file.
        ArtifactError: where there is no such file, or it holds no JSON object.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigurationError(f"{path} is no settings file: " + ("a folder" if path.exists() else "no such file"))
    try:
        groups = store.read_json(path)
    except ArtifactError as error:
        raise ArtifactError(f"{path} is no JSON file of settings: {error}") from None
    if unknown := sorted(groups.keys() - {*GROUPS, "reading"}):
        raise ConfigurationError(f"{path}: {unknown[0]!r} is no group of settings; known: reading, {', '.join(GROUPS)}")
    for name, own in groups.items():
        if not isinstance(own, dict):
            raise ConfigurationError(f"{path}: {name} is {own!r}; expected an object of settings")
    reading = groups.pop("reading", {})
    if unknown := sorted(reading.keys() - {*READING}):
        raise ConfigurationError(f"{path}: reading.{unknown[0]}: there is no such setting; known: {', '.join(READING)}")
    try:
        return Settings({name: checked_settings(name, own) for name, own in groups.items()}, reading)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def checked_settings(group: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of one group of `prepare`, each of its own type.

    Raises:
        ConfigurationError: for one that is not known or out of range.

    Example:
        >>> checked_settings("optimizer", {"learning_rat": 0.1})
        Traceback (most recent call last):
        throughtime._errors.ConfigurationError: optimizer.learning_rat = 0.1: there is no such setting
    """
    try:
        if group == "family":
            return _family(own)
        kinds = _KINDS[group]
        kind, needed = next((one for one in kinds if own.keys() <= one[0].model_fields.keys()), kinds[0])
        found = kind.model_validate({**needed, **own})
    except ValidationError as error:
        raise ConfigurationError(f"{group}.{explained(error)}") from None
    if "strategy" in own:
        strategy_named(own["strategy"])
    return {key: getattr(found, key) for key in own}


def plain_settings(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same settings as JSON holds them.

    Example:
        >>> plain_settings({"task": {"split": Split(), "horizon": 12}})["task"]
        {'split': {'train': 0.7, 'validation': 0.1, 'test': 0.2}, 'horizon': 12}
    """
    return {
        name: {key: value.to_dict() if isinstance(value, Split) else value for key, value in own.items()}
        for name, own in groups.items()
    }


def _family(own: Mapping[str, Any]) -> dict[str, Any]:
    """Of the family that is named, or of any that has them."""
    refused: ValidationError | None = None
    for name in [own["name"]] if "name" in own else FAMILIES:
        try:
            found = family({**own, "name": name})
        except ValidationError as error:
            refused = refused or error
        else:
            return {key: getattr(found, key) for key in own}
    assert refused is not None
    raise refused
