"""Labelled sequences from tables: a row a step, with a column that tells the sequences apart, or a row a sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from ..._errors import DataError
from ..series.cells import mostly_numbers
from ..series.choosing import choose
from ..series.grid import Grid, Stretch
from ..series.rows import series_a_row, stretches
from ..series.tables import Table, table_of
from .cases import Cases, in_order
from .layout import LabelledColumns, LabelledLayout

_LABELS = ("label", "class", "target", "y")
_IDS = (
    *("id", "case", "case_id", "sequence", "sequence_id", "unique_id", "series", "series_id", "recording"),
    *("recording_id", "item_id", "sample_id"),
)
_CLOCKS = ("time", "t", "step", "timestamp", "seconds", "frame")
_UNNAMED = "column_1"


def read_table(
    source: Any,
    columns: LabelledColumns,
    features: Sequence[str] | None,
    fill: str | None,
    layout: LabelledLayout | None,
    labels_needed: bool,
) -> Cases:
    """Read a CSV or Parquet file, or a frame.

    Args:
        source: as in `table_of`.
        columns: those that were named; the others are found by their names.
        features: columns to be read; None takes every one of numbers that is nothing else.
        fill: as in `read_series`; "kept" leaves NaN.
        layout: of the file read before.
        labels_needed: refuse a file without a column of labels.

    Raises:
        DataError: naming the line and column, or the sequence with two labels.
    """
    table = table_of(source)
    label = _label(table, columns.label, labels_needed)
    id = columns.id if layout or columns.id else _named(table, _IDS)
    _refuse_doubles(columns.label, columns.id, columns.time, *(features or ()))
    for name in (label, id):
        if name is not None and name not in table.columns:
            raise DataError(f"{table.name} has no column {name!r}; its columns: {_listed(table)}")
    shape = layout.shape if layout else _shape(table, id, label, columns.time, features)
    found = replace(columns, label=label if layout is None else columns.label, id=id)
    values = _without(table, label)
    if shape == "rows":
        return _a_row_a_case(table, values, found, label, fill, layout)
    return _a_row_a_step(table, values, found, label, features, fill, layout is not None)


def _label(table: Table, given: str | None, needed: bool) -> str | None:
    if given is not None:
        return given if needed or given in table.columns else None
    found = _named(table, _LABELS[:-1] if _named(table, ("x",)) else _LABELS)
    if found is None and table.columns[0] == _UNNAMED and table.first == 1 and table.place == "line":
        return _UNNAMED
    if found is None and needed:
        raise DataError(
            f"{table.name} has no column called {', '.join(_LABELS[:-1])} or {_LABELS[-1]}: name the one that holds "
            f"the labels (label=, --label); its columns: {_listed(table)}"
        )
    return found


def _named(table: Table, wanted: Sequence[str]) -> str | None:
    lowered = {name.strip().lower(): name for name in reversed(table.columns)}
    return next((lowered[name] for name in wanted if name in lowered), None)


def _listed(table: Table) -> str:
    return ", ".join(map(repr, table.columns[:8])) + (", …" if len(table.columns) > 8 else "")


def _refuse_doubles(*names: str | None) -> None:
    for name in names:
        if name is not None and names.count(name) > 1:
            raise DataError(f"column {name!r} is named for two things: label, id, time and features exclude each other")


def _shape(table: Table, id: str | None, label: str | None, time: str | None, features: Sequence[str] | None) -> str:
    """Whether a row is a step of a sequence, or a whole one: it is where no two rows have the same id."""
    if id is None:
        if time is not None or features is not None:
            raise DataError(
                f"{table.name} has no column that tells the sequences apart: name it (id=, --id); its columns: "
                f"{_listed(table)}"
            )
        return "rows"
    others = [name for name in table.columns if name not in (id, label)]
    if time is not None or features is not None or len(others) < 2:
        return "long"
    ids = pl.concat([chunk[id] for chunk in table.chunks()])
    return "rows" if ids.n_unique() == len(ids) else "long"


def _without(table: Table, *names: str | None) -> Table:
    kept = [name for name in table.columns if name not in names]

    def chunks() -> Iterator[pl.DataFrame]:
        return (chunk.select(kept) for chunk in table.chunks())

    return replace(table, columns=tuple(kept), chunks=chunks)


def _labels(table: Table, label: str | None, id: str | None) -> pl.DataFrame:
    """The key (an id, or else the number of the row), label (null where blank) and number of every row."""

    def texts(chunk: pl.DataFrame, name: str | None) -> pl.Series:
        if name is None:
            return pl.repeat(None, len(chunk), dtype=pl.String, eager=True)
        return chunk[name].cast(pl.String)

    parts = [pl.DataFrame({"key": texts(chunk, id), "label": texts(chunk, label)}) for chunk in table.chunks()]
    bare = pl.col("label").str.strip_chars().replace("", None)
    frame = pl.concat(parts).with_columns(bare).with_row_index("row", table.first)
    return frame if id is not None else frame.with_columns(pl.col("row").cast(pl.String).alias("key"))


def _a_row_a_case(
    table: Table,
    values: Table,
    columns: LabelledColumns,
    label: str | None,
    fill: str | None,
    layout: LabelledLayout | None,
) -> Cases:
    notes = [f"the first column is read as the label, for want of a header: {table.name}"] if label == _UNNAMED else []
    labels = _labels(table, label, columns.id)
    _refuse_unnamed(table, labels, layout)
    sample = next(values.chunks())
    unnamed = [name for name in values.columns if name in values.unnamed]
    texts = [name for name in values.columns if name != columns.id and not mostly_numbers(sample[name])]
    notes += [f"column {name!r} has no name and is left out" for name in unnamed]
    notes += [f"column {name!r} holds text and is left out" for name in texts if name not in unnamed]
    steps = [name for name in values.columns if name not in (columns.id, *unnamed, *texts)]
    if layout is None:
        headed = table.place != "line" or table.first > 1
        columns = replace(columns, steps=tuple(steps) if headed else None)
        notes += [
            f"each row is read as one sequence of {len(steps)} steps; is {name!r} the id? --id {name}"
            for name in texts
            if columns.id is None and _tells_apart(values, name, labels)
        ]
    elif columns.steps is not None:
        steps = _as_before(table, columns.steps, steps)
    if len(steps) < 2:
        numbers = f"one column of numbers ({steps[0]!r})" if steps else "no column of numbers"
        raise DataError(
            f"{table.name} has {numbers} beside its label, where a row a sequence has a column a step: name the column "
            "that tells the sequences apart where a row is a step (id=, --id)"
        )
    keys = labels["key"]

    def chunks() -> Iterator[pl.DataFrame]:
        begin = 0
        for chunk in values.chunks():
            yield chunk.select(keys[begin : begin + len(chunk)].alias("key"), *steps)
            begin += len(chunk)

    read = series_a_row(replace(values, columns=("key", *steps), chunks=chunks), fill)
    return _cases(table, "rows", ("value",), columns, read, labels, fill, notes)


def _tells_apart(table: Table, name: str, labels: pl.DataFrame) -> bool:
    """Whether the texts of a column come back, each with one label alone."""
    texts = pl.concat([chunk[name].cast(pl.String) for chunk in table.chunks()])
    pairs = labels.select("label").with_columns(text=texts)
    different = texts.n_unique()
    return different < len(texts) and pairs.n_unique() == different


def _as_before(table: Table, trained: Sequence[str], steps: Sequence[str]) -> list[str]:
    """The steps that were trained on, in their order, and further ones after them."""
    lacking = next((name for name in trained if name not in table.columns), None)
    if lacking is not None:
        raise DataError(
            f"{table.name} has no column {lacking!r}, a step that was trained on (empty cells end a sequence before "
            f"it); its columns: {_listed(table)}"
        )
    return [*trained, *(name for name in steps if name not in trained)]


def _refuse_unnamed(table: Table, labels: pl.DataFrame, layout: LabelledLayout | None) -> None:
    """Refuse rows without a header whose first cell is no class known: it may as well be a first step."""
    if layout is None or layout.columns.label != _UNNAMED or layout.classes is None:
        return
    known = {float(name) if name.isdigit() else name for name in layout.classes}
    for label, row in zip(labels["label"], labels["row"], strict=True):
        try:
            given: Any = float(label)
        except (TypeError, ValueError):
            given = label
        if given not in known:
            raise DataError(
                f"{table.name}, {table.place} {row} begins with {label!r}, which is none of the classes known, where a "
                "row begins with its label as in the file trained on (any of them, where it is not known)"
            )


def _a_row_a_step(
    table: Table,
    values: Table,
    columns: LabelledColumns,
    label: str | None,
    features: Sequence[str] | None,
    fill: str | None,
    alike: bool,
) -> Cases:
    id, time = columns.id, columns.time
    labels = _labels(table, label, id)
    _refuse_two_labels(table, labels)
    sample = next(values.chunks())
    time = time if time or alike else _named(values, _CLOCKS)
    clock = time if time in values.columns and mostly_numbers(sample[time]) else None
    choice = choose(
        _without(values, clock),
        sample,
        time="none" if clock or (alike and time is None) else time,
        targets=features,
        past=(),
        future=(),
        id=id,
        time_format=None,
    )
    notes = choice.notes[1:] if clock or alike else choice.notes
    chosen = choice.columns.targets
    read = stretches(values, choice, (*chosen, clock) if clock else chosen, fill, None)
    if clock:
        read = [_by_clock(table, one, clock) for one in read]
    columns = replace(columns, time=clock or choice.columns.time)
    return _cases(table, "long", chosen, columns, read, labels, fill, list(notes))


def _refuse_two_labels(table: Table, labels: pl.DataFrame) -> None:
    first = pl.col("label").first().over("key")
    wrong = labels.filter(pl.col("label").ne_missing(first) & pl.col("key").is_not_null())
    if wrong.is_empty():
        return
    key, label, row = (wrong[name][0] for name in ("key", "label", "row"))
    before = labels.filter(pl.col("key") == key)
    raise DataError(
        f"{table.name}, {table.place} {row}: sequence {key!r} has {_said(label)} here and "
        f"{_said(before['label'][0])} in {table.place} {before['row'][0]}: one label a sequence is expected (name "
        "another column: label=, --label)"
    )


def _said(label: str | None) -> str:
    return "no label" if label is None else f"label {label!r}"


def _by_clock(table: Table, one: Stretch, clock: str) -> Stretch:
    times = one.values[:, -1]
    if np.isnan(times).any():
        row = one.rows[int(np.isnan(times).argmax())]
        raise DataError(f"{table.name}, {table.place} {row}: column {clock!r} holds no time")
    return Stretch(one.name, times, one.values[:, :-1], one.rows)


def _cases(
    table: Table,
    shape: str,
    features: tuple[str, ...],
    columns: LabelledColumns,
    read: list[Stretch],
    labels: pl.DataFrame,
    fill: str | None,
    notes: list[str],
) -> Cases:
    grid = Grid(table.name, table.place, features, fill)
    sequences = in_order(grid, read)
    first = labels[[int(one.rows[0]) - table.first for one in read]]
    return Cases(
        file=table.name,
        shape=shape,
        features=features,
        columns=columns,
        sequences=sequences,
        names=[one.name for one in read],
        labels=first["label"].to_list(),
        places=[f"{table.name}, {table.place} {row}" for row in first["row"]],
        remedy="write one in each row, or leave it out",
        source=table.source,
        notes=[*table.notes, *notes, *grid.notes()],
    )
