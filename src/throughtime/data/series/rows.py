"""One pass over a table: its times and numbers, in memory or on disk, cut into series."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ..._errors import DataError
from ..files.workspace import Growing
from .cells import Faults
from .choosing import Choice
from .grid import Stretch
from .layout import Columns
from .tables import Table


@dataclass
class _Reading:
    """What a pass over a file has read so far."""

    times: Growing
    values: Growing
    codes: Growing
    numbers: Growing
    names: dict[str, int]


def stretches(
    table: Table, choice: Choice, values: tuple[str, ...], fill: str | None, folder: Path | None
) -> list[Stretch]:
    """The series of a wide or long table, with the columns `values`, as they stand in it.

    Raises:
        DataError: naming the row and column of the first cell that is no number, no time or no name.
    """
    columns = choice.columns
    integers = np.dtype(np.int64)
    read = _Reading(
        Growing(integers, None, folder),
        Growing(np.dtype(np.float64), len(values), folder),
        Growing(integers, None, folder),
        Growing(integers, None, folder),
        {},
    )
    faults = Faults(table.name, table.place, fill)
    row = table.first
    for chunk in table.chunks():
        if columns.id is not None:
            read.codes.append(_codes(table, chunk[columns.id], read.names, row))
            read.numbers.append(np.arange(row, row + len(chunk)))
        if columns.time is not None:
            read.times.append(_times(table, choice, chunk[columns.time], row))
        read.values.append(np.stack([faults.numbers(chunk[name], row) for name in values], axis=1))
        row += len(chunk)
    faults.rows = row - table.first
    faults.raise_any()
    counted = columns.time is None or (choice.reader is not None and choice.reader.format.name == "count")
    numbers = read.values.array()
    times = np.arange(len(numbers)) if columns.time is None else read.times.array()
    times = times if counted else times.view("M8[us]")
    if columns.id is None:
        return [Stretch("", times, numbers, range(table.first, row))]
    return _by_series(table, read, times, numbers, columns)


def _times(table: Table, choice: Choice, cells: pl.Series, row: int) -> np.ndarray:
    if choice.reader is not None:
        return choice.reader.read(cells, table.place, row)
    if cells.null_count():
        missing = row + int(cells.is_null().arg_true()[0])
        raise DataError(f"{table.name}, {table.place} {missing}: column {cells.name!r} holds no time")
    if isinstance(cells.dtype, pl.Datetime) and cells.dtype.time_zone is not None:
        cells = cells.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return cells.cast(pl.Datetime("us")).to_physical().to_numpy()


def _codes(table: Table, cells: pl.Series, names: dict[str, int], row: int) -> np.ndarray:
    cells = cells.cast(pl.String)
    if cells.null_count():
        missing = row + int(cells.is_null().arg_true()[0])
        raise DataError(f"{table.name}, {table.place} {missing}: column {cells.name!r} holds no series name")
    for name in cells.unique(maintain_order=True):
        names.setdefault(name, len(names))
    return cells.replace_strict(names, return_dtype=pl.Int64).to_numpy()


def _by_series(table: Table, read: _Reading, times: Any, values: Any, columns: Columns) -> list[Stretch]:
    """A long file cut into its series, which may come in turns where it is read in memory."""
    codes, rows = read.codes.array(), read.numbers.array()
    if (np.diff(codes) < 0).any() or len(read.names) - 1 != np.count_nonzero(np.diff(codes)):
        if isinstance(values, np.memmap):
            raise DataError(
                f"{table.name}: its series come in turns, and the file is too large to sort in memory: sort it by "
                f"{columns.id!r} first"
            )
        order = np.argsort(codes, kind="stable")
        codes, rows, values = codes[order], rows[order], values[order]
        times = times if columns.time is None else times[order]
    bounds = np.searchsorted(codes, np.arange(len(read.names) + 1))
    cut = []
    for name, code in read.names.items():
        span = slice(int(bounds[code]), int(bounds[code + 1]))
        own = np.arange(span.stop - span.start) if columns.time is None else times[span]
        cut.append(Stretch(name, own, values[span], rows[span]))
    return cut


def series_a_row(table: Table, fill: str | None) -> list[Stretch]:
    """A series a row: its name, its values, and nothing after its end."""
    first, *others = table.columns
    series, row = [], table.first
    for chunk in table.chunks():
        faults = Faults(table.name, table.place, fill)
        values = np.stack([faults.numbers(chunk[name], row) for name in others], axis=1)
        faults.found = {key: fault for key, fault in faults.found.items() if key[1] != "missing"}
        faults.raise_any()
        for index, name in enumerate(chunk[first].cast(pl.String)):
            present = np.flatnonzero(~np.isnan(values[index]))
            if not present.size:
                raise DataError(f"{table.name}, {table.place} {row + index}: series {name!r} has no value")
            own = values[index, : present[-1] + 1, None].copy()
            gap = np.flatnonzero(np.isnan(own))
            if gap.size and fill is None:
                raise DataError(
                    f"{table.name}, {table.place} {row + index}, column {others[gap[0]]!r}: series {name!r} has no "
                    "value there and goes on after it: fill='linear' mends it (--fill forward, linear or zero)"
                )
            series.append(Stretch(str(name), np.arange(len(own)), own, [row + index] * len(own)))
        row += len(chunk)
    return series
