"""From a path on the command line to data of its kind."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from .._errors import ConfigurationError
from ..data import (
    Labelled,
    MusicData,
    SeriesData,
    SoundData,
    TextData,
    kind_of,
    read_labelled,
    read_music,
    read_series,
    read_sound,
    read_text,
    read_unmended,
)
from ._console import remark, working
from ._options import chosen, columns, refuse, refuse_for_labels

Data = TypeVar("Data")


def read(
    file: Path,
    *,
    time: str | None = None,
    time_format: str | None = None,
    target: list[str] | None = None,
    past: list[str] | None = None,
    future: list[str] | None = None,
    id_: str | None = None,
    fill: str | None = None,
    calendar: str = "auto",
    unit: str = "character",
    encoding: str = "mu-law",
    frames_per_beat: int | None = None,
    unmended: bool = False,
) -> SeriesData | TextData | SoundData | MusicData:
    """Read a file as what its name and contents say it is; `unmended`, its gaps stay where nothing fills them."""
    options_of_series = {"time": time, "time_format": time_format, "target": target, "past": past, "future": future,
                         "id": id_, "fill": fill, "calendar": None if calendar == "auto" else calendar}  # fmt: skip
    with working(f"reading {file}"):
        kind = kind_of(file)
        refuse(file, kind, "series", **options_of_series)
        refuse(file, kind, "text", unit=None if unit == "character" else unit)
        refuse(file, kind, "sound", encoding=None if encoding == "mu-law" else encoding)
        refuse(file, kind, "music", frames_per_beat=frames_per_beat)
        match kind:
            case "series":
                reading = read_unmended if unmended and fill is None else partial(read_series, fill=fill)
                return reading(
                    file, time=time, targets=columns(target) or None, past=columns(past), future=columns(future),
                    id=id_, calendar=calendar, time_format=time_format,
                )  # fmt: skip
            case "text":
                return read_text(file, unit=unit)
            case "sound":
                return read_sound(file, encoding=encoding)
            case "music":
                return read_music(file, **chosen(frames_per_beat=frames_per_beat))
            case "labelled":
                raise ConfigurationError(
                    f"{file} holds labelled sequences, which are not foretold: throughtime train {file} --task "
                    "classify learns their classes, --task regress their values"
                )


def read_to_describe(
    file: Path,
    task: str | None,
    *,
    label: str | None = None,
    id_: str | None = None,
    time: str | None = None,
    fill: str | None = None,
    **others: Any,
) -> Labelled:
    """Read labelled sequences as they stand, gaps and missing labels too; other options are refused."""
    refuse_for_labels(file, others)
    with working(f"reading {file}"):
        return read_labelled(file, task=task, label=label, id=id_, time=time, fill=fill or "kept", labels_needed=False)


def read_labels(
    file: Path, *, task: str | None, label: str | None, id_: str | None, time: str | None, fill: str | None
) -> Labelled:
    """Read whole sequences with their labels."""
    with working(f"reading {file}"):
        return read_labelled(file, task=task, label=label, id=id_, time=time, fill=fill)


def noted(data: Data) -> Data:
    """The same data, after what was noted while it was read has been said."""
    remark(*getattr(data, "notes", ()))
    return data
