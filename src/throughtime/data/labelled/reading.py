"""From a file, a folder or a frame to labelled sequences: the one door."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..._errors import ConfigurationError, DataError
from ..files.source import checked
from ..series.grid import FILLS, KEPT
from .archive import read_archive
from .cases import Cases
from .labelled import Labelled
from .layout import LabelledColumns, LabelledLayout
from .recordings import has_recordings, read_recordings
from .tables import read_table

TASKS = ("classify", "regress")
_SHAPES = {
    "ts": "a .ts file",
    "long": "a table with a row a step",
    "rows": "a table with a row a sequence",
    "sound": "recordings",
}


def read_labelled(
    source: Any,
    *,
    task: str | None = None,
    label: str | None = None,
    id: str | None = None,
    time: str | None = None,
    features: str | Sequence[str] | None = None,
    fill: str | None = None,
    layout: LabelledLayout | None = None,
    labels_needed: bool = True,
) -> Labelled:
    """Read whole sequences, ragged or not, each with a class or a number.

    Three kinds of source are read: a `.ts` file of the UCR/UEA archive; a table (CSV, Parquet, or a frame of pandas,
    polars or arrow) with a row a step and a column that tells the sequences apart, or with a row a sequence; and a
    folder of WAV or FLAC whose labels stand before the first underscore of their names (`LABEL_anything.wav`), or are
    the names of folders. Sound becomes the log-mel frames of `Frames`.

    Args:
        source: a path or a frame.
        task: "classify" or "regress"; None takes what the header of a `.ts` file says, and else "classify".
        label: the column of labels of a table; `label`, `class`, `target` and `y` are found by themselves.
        id: the column that tells the sequences of a table apart; `id`, `case`, `sequence`, `recording` and the like
            are found.
        time: the column that orders the steps of a sequence, numbers or times; found by default.
        features: the columns to read of a table; by default every column of numbers that is nothing else.
        fill: "forward", "linear" or "zero" mends missing values; None refuses them; "kept" leaves NaN, to be described.
        layout: of data read before: this is read exactly alike, its classes keep their indices, and the options above
            are not given.
        labels_needed: refuse cases without a label or of a class that `layout` does not know; otherwise `targets` is
            None then, and a note says so where there were labels.

    Raises:
        DataError: naming file, line and column, with the remedy.
        ConfigurationError: for an unknown task or way to fill, or an option that is not for this kind of source.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"id": ["a", "a", "b"], "x": [1.0, 2.0, 3.0], "label": ["up", "up", "down"]})
        >>> data = read_labelled(frame)
        >>> data.names, data.layout.classes, data.targets.tolist(), data.sequences[0].tolist()
        (('a', 'b'), ('down', 'up'), [1, 0], [[1.0], [2.0]])
    """
    if layout is not None:
        task, fill = layout.task, layout.fill
    if task is not None and task not in TASKS:
        raise ConfigurationError(f"task={task!r}: expected 'classify' or 'regress'")
    if fill is not None and fill not in (*FILLS, KEPT):
        raise ConfigurationError(f"fill={fill!r}: expected one of {', '.join(FILLS)}")
    names = tuple(features.split(",")) if isinstance(features, str) else features
    columns = LabelledColumns(label, id, time)
    path = checked(source, labelled=True) if isinstance(source, (str, Path)) else None
    if path is not None and is_archive(path):
        _refuse_columns(path, columns, names)
        cases, task = read_archive(path, task, fill)
    elif path is not None and (path.is_dir() or has_recordings(path)):
        _refuse_columns(path, columns, names)
        cases = _recordings(path, layout)
    else:
        if layout is not None:
            columns, names = layout.columns, layout.features if layout.shape == "long" else None
            _expect_shape(layout, "rows" if layout.shape == "rows" else "long", str(source))
        cases = read_table(source, columns, names, fill, layout, labels_needed)
    return _assembled(cases, task or "classify", fill, layout, labels_needed)


def is_archive(path: Path) -> bool:
    """Whether a file is one of the archive's, by its name."""
    return [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"][-1:] == [".ts"]


def _refuse_columns(path: Path, columns: LabelledColumns, features: Sequence[str] | None) -> None:
    for name, given in (*vars(columns).items(), ("features", features)):
        if given is not None:
            raise ConfigurationError(f"{name}={given!r} names a column of a table, and {path} is none: leave it out")


def _recordings(path: Path, layout: LabelledLayout | None) -> Cases:
    if not has_recordings(path):
        raise DataError(
            f"{path} is a folder without a recording in it: WAV or FLAC is expected, or a .ts, CSV or Parquet file"
        )
    return read_recordings(path, layout.frames if layout else None)


def _expect_shape(layout: LabelledLayout, shape: str, name: str) -> None:
    if shape != layout.shape:
        raise DataError(f"{name} is {_SHAPES[shape]}, where {_SHAPES[layout.shape]} is expected, as was trained on")


def _assembled(
    cases: Cases, task: str, fill: str | None, layout: LabelledLayout | None, labels_needed: bool
) -> Labelled:
    if layout is not None:
        _expect_shape(layout, cases.shape, cases.file)
        if cases.features != layout.features:
            raise DataError(
                f"{cases.file} has {len(cases.features)} features a step, where {len(layout.features)} are expected "
                f"({', '.join(layout.features[:4])}{', …' if len(layout.features) > 4 else ''})"
            )
    targets, classes = cases.targets(task, layout.classes if layout else None, labels_needed)
    found = layout or LabelledLayout(
        cases.shape, task, cases.features, classes, cases.columns, None if fill == KEPT else fill, cases.frames
    )
    return Labelled(tuple(cases.sequences), targets, tuple(cases.names), found, cases.source, tuple(cases.notes))
