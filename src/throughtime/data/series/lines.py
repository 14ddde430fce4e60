"""CSV as it comes: rows in the layout of a file read before, a line that is none told of and left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from ..._errors import DataError
from .cells import Faults
from .delimited import cells_of, is_number, separator_of
from .layout import SeriesLayout
from .tables import table_of
from .timestamps import FORMATS, TimeReader, formats_of, looks_like_time

_PLACE = "standard input"
_FEW = 16
_MARK = b"\xef\xbb\xbf"
_EPOCH, _MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)
_PLAIN = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,2})?").fullmatch


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows that were read.

    Args:
        numbers: of their lines, from 1, [row].
        names: of their series, "" where there is only one.
        times: datetime64[us] or int64 [row]; `None` where rows are counted.
        values: targets, past and future columns, NaN where a value is missing, [row, column].
    """

    numbers: np.ndarray
    names: list[str]
    times: np.ndarray | None
    values: np.ndarray

    def take(self, places: np.ndarray) -> Rows:
        """Some of them, by their places [row]."""
        times = None if self.times is None else self.times[places]
        return Rows(self.numbers[places], [self.names[place] for place in places], times, self.values[places])


def columns_of(source: Any) -> tuple[str, ...]:
    """The names of all columns of a file or frame, in order.

    Example:
        >>> columns_of(pl.DataFrame({"ds": ["2024-01"], "y": [1.0]}))
        ('ds', 'y')
    """
    return table_of(source).columns


class LineReader:
    """Reads lines of CSV in the layout of a file read before.

    The first line is a header where it names every column that is needed, in whatever order; otherwise it is a row, of
    the columns of the file read before. A header that comes again, as from a new file, is passed over.

    Args:
        layout: of the file read before, wide or long.
        columns: of the file read before, in order; empty if they are not known.
        tell: is told what is wrong with a line that is left out.

    Example:
        >>> from .frequency import Frequency
        >>> from .layout import Columns
        >>> layout = SeriesLayout(Columns("date", None, ("sales",)), Frequency("mo", 1), None, (), "wide", "%Y-%m")
        >>> reader = LineReader(layout, (), print)
        >>> reader.read([b"sales,date", b"3,2024-01", b"many,2024-02"]).values
        standard input, line 3, column 'sales': 'many' is not a number: mend the file or leave it out
        array([[3.]])
    """

    def __init__(self, layout: SeriesLayout, columns: Sequence[str], tell: Callable[[str], None]) -> None:
        kinds = layout.columns
        self._values = (*kinds.targets, *kinds.past, *kinds.future)
        self._named = tuple(name for name in (kinds.time, kinds.id) if name is not None)
        self._layout, self._columns, self._tell = layout, tuple(columns), tell
        self._separator = ","
        self._header: bytes | None = None
        self._times: TimeReader | None = None
        self._lines, self._begun = 0, False

    def read(self, lines: Sequence[bytes]) -> Rows | None:
        """The rows of the next lines, without their line ends; `None` if there is none. Blank lines are passed over.

        Raises:
            DataError: where the first line is neither a header nor a row of as many cells as there are columns.
        """
        numbered = [(self._lines + index, line) for index, line in enumerate(lines, 1) if line.strip()]
        self._lines += len(lines)
        if numbered and not self._begun:
            numbered = self._without_header(numbered)
        numbered = [(number, line) for number, line in numbered if line.removeprefix(_MARK) != self._header]
        found = self._rows(numbered)
        if not found:
            return None
        return Rows(
            np.concatenate([rows.numbers for rows in found]),
            [name for rows in found for name in rows.names],
            None
            if found[0].times is None
            else np.concatenate([rows.times for rows in found if rows.times is not None]),
            np.concatenate([rows.values for rows in found]),
        )

    def _without_header(self, numbered: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """The lines without the header, if the first of all is one."""
        number, line = numbered[0]
        line = line.removeprefix(_MARK)
        text = _decoded(line, number)
        self._separator = separator_of([text])
        cells = cells_of(text, self._separator)
        needed = (*self._named, *self._values)
        if set(needed) <= set(cells):
            self._columns, self._header, self._begun = tuple(cells), line, True
            return numbered[1:]
        named = ", ".join(map(repr, needed[:6])) + (", …" if len(needed) > 6 else "")
        if not self._columns:
            raise DataError(f"{_PLACE}, line {number}: {text[:60]!r} is no header: begin with one that names {named}")
        if len(cells) != len(self._columns) or all(map(_is_word, cells)):
            raise DataError(
                f"{_PLACE}, line {number}: {text[:60]!r} is neither a header that names {named}, nor a row of "
                f"{len(self._columns)} cells as in the training file"
            )
        self._begun = True
        return [(number, line), *numbered[1:]]

    def _rows(self, numbered: list[tuple[int, bytes]]) -> list[Rows]:
        """Read at once; where that fails by halves, until the lines at fault are alone."""
        if not numbered:
            return []
        try:
            return [self._parsed(numbered)]
        except DataError as error:
            if len(numbered) == 1:
                self._tell(str(error))
                return []
        middle = len(numbered) // 2
        return [*self._rows(numbered[:middle]), *self._rows(numbered[middle:])]

    def _parsed(self, numbered: list[tuple[int, bytes]]) -> Rows:
        first = numbered[0][0]
        cells = dict(zip(self._columns, zip(*(self._cells(*line) for line in numbered), strict=True), strict=True))
        kinds = self._layout.columns
        names = [""] * len(numbered)
        if kinds.id is not None:
            names = list(cells[kinds.id])
            if not all(names):
                raise DataError(f"{_PLACE}, line {first}: column {kinds.id!r} holds no series name")
        times = None if kinds.time is None else self._read_times(cells[kinds.time], first)
        values = [_numbers(name, cells[name], first) for name in self._values]
        numbers = np.array([number for number, _ in numbered])
        return Rows(numbers, names, times, np.stack(values, axis=1))

    def _cells(self, number: int, line: bytes) -> list[str]:
        text = _decoded(line, number)
        cells = cells_of(text, self._separator) if '"' in text else text.split(self._separator)
        if len(cells) != len(self._columns):
            raise DataError(f"{_PLACE}, line {number} has {len(cells)} cells, expected {len(self._columns)}")
        return cells

    def _read_times(self, cells: tuple[str, ...], first: int) -> np.ndarray:
        if self._times is None:
            name = self._layout.time_format
            formats = [FORMATS[name]] if name else formats_of(cells[:1])
            if not formats:
                raise DataError(f"{_PLACE}, line {first}: {cells[0]!r} is no time that is understood")
            self._times = TimeReader(_PLACE, str(self._layout.columns.time), formats)
        read = self._at_once(cells)
        if read is None:
            read = self._times.read(pl.Series(cells), "line", first)
        return read if self._layout.frequency.unit == "count" else read.view("M8[us]")

    def _at_once(self, cells: tuple[str, ...]) -> np.ndarray | None:
        """A few times in the ISO format, without the detour over a frame; `None` where they are not such."""
        format = self._layout.time_format
        if format is None or not format.startswith("%Y-%m-%d") or "z" in format or len(cells) > _FEW:
            return None
        if not all(re.fullmatch(FORMATS[format].pattern, cell) for cell in cells):
            return None
        try:
            return np.array([(datetime.fromisoformat(cell) - _EPOCH) // _MICROSECOND for cell in cells])
        except ValueError:
            return None


def _numbers(name: str, cells: tuple[str, ...], first: int) -> np.ndarray:
    if all(map(_PLAIN, cells)):
        return np.array([float(cell) for cell in cells])
    faults = Faults(_PLACE, "line", "forward")
    values = faults.numbers(pl.Series(name, cells, pl.String), first)
    faults.raise_any()
    return values


def _is_word(cell: str) -> bool:
    return bool(cell) and not (is_number(cell) or looks_like_time(cell))


def _decoded(line: bytes, number: int) -> str:
    for encoding in ("utf-8", "cp949"):
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DataError(f"{_PLACE}, line {number} is not text: neither UTF-8 nor CP949")
