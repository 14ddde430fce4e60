"""Which column is what: as told, or found from names and cells."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from ..._errors import DataError
from .cells import mostly_numbers
from .layout import Columns
from .tables import Table
from .timestamps import FORMATS, TimeReader, formats_of

_SAMPLE = 1000
_TIME_NAMES = (
    *(
        "ds",
        "date",
        "datetime",
        "date_time",
        "date time",
        "time",
        "timestamp",
        "year",
        "month",
        "datum",
        "zeit",
        "fecha",
    ),
    *("날짜", "일시", "시간", "시각", "일자", "연월", "년월", "연도", "년도", "기간", "측정일시", "관측일시", "기준일"),
)
_ID_NAMES = ("unique_id", "series_id", "item_id")
_ROWS_OF_SERIES = 24


@dataclass
class Choice:
    """Which columns are read as what, and what is said about it."""

    columns: Columns
    reader: TimeReader | None
    shape: str
    notes: list[str] = field(default_factory=list)


def choose(
    table: Table,
    sample: pl.DataFrame,
    *,
    time: str | None,
    targets: Sequence[str] | None,
    past: Sequence[str],
    future: Sequence[str],
    id: str | None,
    time_format: str | None,
) -> Choice:
    """Decide from what was given, the names, and the first rows.

    Raises:
        DataError: naming a column that is not there, stands for two things, or cannot be what it is said to be.
    """
    sample = sample.head(_SAMPLE)
    given = [*(targets or ()), *past, *future, *((id,) if id else ())]
    for name in (*given, *((time,) if time not in (None, "none") else ())):
        _present(table, str(name))
    if time is not None and time in given:
        raise DataError(f"{time!r} is the time column: it cannot be a target, covariate or id too")
    for name in given:
        if given.count(name) > 1:
            raise DataError(f"column {name!r} is named for two things: targets, past, future and id exclude each other")
    if id is None:
        id = next((name for name in table.columns if name.lower() in _ID_NAMES and name not in given), None)
    if time is None and id is None and targets is None:
        rows = _series_a_row(table, sample)
        if rows is not None:
            return rows
    reader, time_column, notes = _time(table, sample, time, time_format, {*given, *((id,) if id else ())}, id)
    if time_column is not None and time_column in given:
        raise DataError(f"{time_column!r} is the time column: it cannot be a target or covariate; name another as time")
    unnamed = targets if time is None and time_column is None else None
    for name in unnamed or ():
        if name.strip().lower() in _TIME_NAMES and _is_time(sample[name], True):
            raise DataError(
                f"{name!r} is the time column: it cannot be a target too (time='none', --time none, counts the rows)"
            )
    taken = {time_column, id, *past, *future}
    if targets is None:
        targets, left_out = _numeric(table, sample, taken)
        notes += left_out
    if not targets:
        free = [name for name in table.columns if name not in taken]
        for name in free:
            _refuse_decimal_comma(table, sample[name])
        raise DataError(
            f"{table.name} has no column of numbers beside its time and covariates"
            + (f": {', '.join(repr(name) for name in free[:5])} hold text" if free else "")
        )
    columns = Columns(time_column, id, tuple(targets), tuple(past), tuple(future))
    return Choice(columns, reader, "long" if id else "wide", notes)


def _present(table: Table, name: str) -> None:
    if name not in table.columns:
        near = difflib.get_close_matches(name, table.columns, n=1, cutoff=0.5)
        near = near or [other for other in table.columns if other.lower() == name.lower()]
        names = ", ".join(repr(other) for other in table.columns[:8]) + (", …" if len(table.columns) > 8 else "")
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise DataError(f"{table.name} has no column {name!r}; {hint}its columns: {names}")


def _texts(cells: pl.Series) -> list[str]:
    if cells.dtype.is_float():
        return []
    texts = cells.cast(pl.String).drop_nulls()
    return texts.filter(texts != "").to_list()


def _time(
    table: Table, sample: pl.DataFrame, time: str | None, time_format: str | None, taken: set[str], id: str | None
) -> tuple[TimeReader | None, str | None, list[str]]:
    if time == "none":
        return None, None, ["the rows are counted: they have no time"]
    if time is not None:
        return _reader(table, sample, time, time_format), time, []
    free = [name for name in table.columns if name not in taken]
    for wanted in _TIME_NAMES:
        for name in free:
            if name.strip().lower() == wanted and not sample[name].dtype.is_float():
                return _reader(table, sample, name, time_format), name, []
    for numeric in (False, True):
        for name in free:
            cells = sample[name]
            if cells.dtype.is_temporal() or _is_time(cells, numeric and id is None):
                return _reader(table, sample, name, time_format), name, []
    return None, None, ["no time column was found: the rows are counted"]


def _is_time(cells: pl.Series, numeric: bool) -> bool:
    """Whether cells say when; plain numbers do only where each is greater than the one before it."""
    texts = _texts(cells)
    formats = [format for format in formats_of(texts, numeric) if format.name != "count"]
    if not formats or len(texts) < 2:
        return bool(formats) and not formats[0].numeric
    if formats[0].numeric:
        return bool((formats[0].parse(pl.Series(texts)).diff().drop_nulls() > 0).all())
    return True


def _reader(table: Table, sample: pl.DataFrame, name: str, time_format: str | None) -> TimeReader | None:
    if sample[name].dtype.is_temporal():
        return None
    if time_format is not None:
        if time_format not in FORMATS:
            raise DataError(f"time_format={time_format!r} is none of those understood, as %Y-%m-%d or %d/%m/%Y")
        return TimeReader(table.name, name, [FORMATS[time_format]])
    texts = _texts(sample[name])
    # The formats of the first row, so that a row in another one is named rather than the column refused.
    formats = formats_of(texts) or formats_of(texts[:1])
    if not formats:
        given = repr(texts[0]) if texts else "nothing"
        raise DataError(
            f"{table.name}, {table.place} {table.first}: column {name!r} holds {given}, which is no time that is "
            "understood: write 2024-01-31 or 2024-01-31 13:00:00, or name another column as time "
            "(time='none' counts the rows)"
        )
    return TimeReader(table.name, name, formats)


def _refuse_decimal_comma(table: Table, cells: pl.Series) -> None:
    for text in _texts(cells)[:1]:
        if re.fullmatch(r"\s*[+-]?\d+,\d+\s*", text):
            raise DataError(
                f"{table.name}, column {cells.name!r}: {text!r} looks like a decimal comma: expected "
                f"{text.strip().replace(',', '.')}"
            )


def _numeric(table: Table, sample: pl.DataFrame, taken: Iterable[str | None]) -> tuple[list[str], list[str]]:
    """All columns of numbers that are not taken, and a note on each that is left out."""
    targets, notes = [], []
    for name in table.columns:
        if name in taken:
            continue
        if not mostly_numbers(sample[name]):
            notes.append(f"column {name!r} holds text and is left out")
        elif name in table.unnamed and _counts(sample[name]):
            notes.append(f"column {name!r} has no name, counts the rows, and is left out")
        else:
            targets.append(name)
    return targets, notes


def _counts(cells: pl.Series) -> bool:
    numbers = cells.cast(pl.Float64, strict=False)
    return len(numbers) > 1 and numbers.null_count() == 0 and bool((numbers.diff().drop_nulls() == 1).all())


def _series_a_row(table: Table, sample: pl.DataFrame) -> Choice | None:
    """A file such as M4's, with a name and then the values of a whole series in each row."""
    first, *others = table.columns
    if len(others) < _ROWS_OF_SERIES or mostly_numbers(sample[first]) or _is_time(sample[first], False):
        return None
    if sample[first].n_unique() < len(sample) or not all(mostly_numbers(sample[name]) for name in others):
        return None
    notes = [f"one series a row, named by column {first!r}; their steps are counted"]
    return Choice(Columns(None, first, ("y",)), None, "rows", notes)
