"""From a file or frame to series: the one door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..._errors import ConfigurationError, DataError
from ..files.workspace import Growing, folder_for
from . import calendar as calendars
from .choosing import Choice, choose
from .grid import FILLS, KEPT, Grid, Stretch
from .layout import SeriesLayout
from .rows import series_a_row, stretches
from .series import Series, SeriesData
from .tables import Table, table_of

_CHUNK = 1 << 18


def read_series(
    source: Any,
    *,
    time: str | None = None,
    targets: str | Sequence[str] | None = None,
    past: str | Sequence[str] = (),
    future: str | Sequence[str] = (),
    id: str | None = None,
    fill: str | None = None,
    calendar: str = "auto",
    time_format: str | None = None,
    layout: SeriesLayout | None = None,
    workspace: str | Path | None = None,
) -> SeriesData:
    """Read series from a CSV or Parquet file, or from a pandas, polars or arrow frame.

    A file is wide (a column a variable), long (`unique_id, ds, y`: series below each other), or has a series a row.
    Unsorted rows are sorted. Gaps and missing values are refused unless `fill` mends them, and so are rows that repeat
    another word for word, which are then read once; cells that are no numbers, infinities, and a time repeated with
    other values are always refused. Nothing is left out without a note in the description.

    Args:
        source: a path or a frame.
        time: the time column; found by default; "none" counts the rows instead.
        targets: columns to forecast; by default every column of numbers that is nothing else.
        past: columns observed beside the targets.
        future: columns known in advance.
        id: the column that names the series of a long file; `unique_id` is found by itself.
        fill: "forward" (the last value), "linear" (between neighbours; the nearest at the ends) or "zero".
        calendar: "auto", "none", or names of cycles separated by commas, as "hour_of_day,day_of_week".
        time_format: as in `strptime`, where day and month could be swapped.
        layout: of data read before: this is read exactly alike, times in the same format too, and the options above
            are not given.
        workspace: a folder for files above 64 MiB, whose values are read in blocks and kept on disk (unless `fill`
            is given, which mends in memory); default: the system's temporary folder. Nothing is left there.

    Raises:
        DataError: naming file, line and column, with the remedy.
        ConfigurationError: for an unknown way to fill or cycle of the calendar.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"date": ["2024-01", "2024-02", "2024-03"], "sales": [3.0, 1.0, 4.0]})
        >>> data = read_series(frame)
        >>> data.frequency.name, data.columns.targets, data.series[0].observed[:, 0].tolist()
        ('1mo', ('sales',), [3.0, 1.0, 4.0])
    """
    if layout is not None:
        columns = layout.columns
        time, id, fill, time_format = columns.time or "none", columns.id, layout.fill, layout.time_format
        targets, past, future = columns.targets, columns.past, columns.future
    if fill is not None and fill not in FILLS:
        raise ConfigurationError(f"fill={fill!r}: expected one of {', '.join(FILLS)}")
    table = table_of(source)
    rows_layout = layout is not None and layout.shape == "rows"
    choice = choose(
        table,
        next(table.chunks()),
        time=None if rows_layout else time,
        targets=None if rows_layout or targets is None else _names(targets),
        past=_names(past),
        future=_names(future),
        id=None if rows_layout else id,
        time_format=time_format,
    )
    if layout is not None and choice.shape != layout.shape:
        raise DataError(f"{table.name} is {choice.shape}, where a file that is {layout.shape} is expected")
    return _assembled(table, choice, fill, calendar, layout, workspace)


def read_unmended(
    source: Any,
    *,
    time: str | None = None,
    targets: str | Sequence[str] | None = None,
    past: str | Sequence[str] = (),
    future: str | Sequence[str] = (),
    id: str | None = None,
    calendar: str = "auto",
    time_format: str | None = None,
) -> SeriesData:
    """Read series as they stand, to describe them: NaN where a value or a time is missing.

    Arguments and errors are those of `read_series`; no model can be trained on what this gives.
    """
    table = table_of(source)
    choice = choose(
        table,
        next(table.chunks()),
        time=time,
        targets=None if targets is None else _names(targets),
        past=_names(past),
        future=_names(future),
        id=id,
        time_format=time_format,
    )
    return _assembled(table, choice, KEPT, calendar, None, None)


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(names.split(",")) if isinstance(names, str) else tuple(names)


def _assembled(
    table: Table,
    choice: Choice,
    fill: str | None,
    calendar: str,
    layout: SeriesLayout | None,
    workspace: str | Path | None,
) -> SeriesData:
    columns = choice.columns
    values = (*columns.targets, *columns.past, *columns.future)
    folder = folder_for(table.size, workspace) if fill in (None, KEPT) else None
    read = series_a_row(table, fill) if choice.shape == "rows" else stretches(table, choice, values, fill, folder)
    grid = Grid(table.name, table.place, values, fill)
    read = [grid.ordered(one) for one in read]
    frequency = grid.frequency(read, layout.frequency if layout else None)
    read = [grid.regular(one, frequency) for one in read]
    if layout is not None:
        cycles = layout.calendar
    else:
        longest = max(len(one.times) for one in read)
        cycles = calendars.chosen(calendar, frequency, longest * frequency.nominal)
    found = SeriesLayout(
        replace(columns, calendar=calendars.feature_names(cycles)),
        frequency,
        None if fill == KEPT else fill,
        cycles,
        choice.shape,
        choice.reader.format.name if choice.reader else None,
    )
    observed = len(columns.targets) + len(columns.past)
    series = tuple(
        Series(
            one.name,
            one.times,
            one.values[:, :observed],
            _known(one, observed, cycles, folder),
            None if one.mended is None else one.mended[:, :observed],
            fill == "linear",
        )
        for one in read
    )
    return SeriesData(series, found, table.source, (*table.notes, *choice.notes, *grid.notes()), grid.gaps)


def _known(one: Stretch, observed: int, cycles: tuple[str, ...], folder: Path | None) -> np.ndarray:
    width = one.values.shape[1] - observed + 2 * len(cycles)
    known = Growing(np.dtype(np.float64), width, folder)
    for begin in range(0, len(one.times), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        known.append(np.concatenate([one.values[part, observed:], calendars.features(cycles, one.times[part])], axis=1))
    return known.array()
