"""Cells that say when: the formats that are understood, and the one that a column is written in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ..._errors import DataError


@dataclass(frozen=True)
class TimeFormat:
    """A way to write a time.

    Args:
        name: as in `strptime`; or "count", "quarter", "epoch_s", "epoch_ms".
        pattern: what such a cell looks like.
        tail: what is missing in the cell and in the format for a date to be whole, as ("-01", "-%d").
        numeric: whether such a cell could as well be a plain number.
    """

    name: str
    pattern: str
    tail: tuple[str, str] = ("", "")
    numeric: bool = False

    def parse(self, cells: pl.Series) -> pl.Series:
        """Microseconds since 1970 (or the count itself), null where a cell is written otherwise."""
        cells = cells.str.strip_chars()
        if self.name in ("count", "epoch_s", "epoch_ms"):
            factor = {"count": 1, "epoch_s": 1_000_000, "epoch_ms": 1_000}[self.name]
            return cells.cast(pl.Int64, strict=False) * factor
        if self.name == "quarter":
            month = cells.str.extract(r"(\d)$").cast(pl.Int64, strict=False) * 3 - 2
            cells = cells.str.slice(0, 4) + "-" + month.cast(pl.String)
            return _stamps(cells + "-01", "%Y-%m-%d")
        if self.name.endswith("%z"):
            cells = cells.str.replace("Z$", "+00:00")
        if "%p" in self.name:
            cells = cells.str.replace("오전", "AM").str.replace("오후", "PM")
        return _stamps(cells + self.tail[0], self.name + self.tail[1])


def _stamps(cells: pl.Series, format: str) -> pl.Series:
    return cells.str.strptime(pl.Datetime("us"), format, strict=False).to_physical()


def _formats() -> tuple[TimeFormat, ...]:
    two, year = r"\d{1,2}", r"\d{4}"
    dates = [
        ("%Y-%m-%d", f"{year}-{two}-{two}"),
        ("%Y/%m/%d", f"{year}/{two}/{two}"),
        ("%Y.%m.%d", rf"{year}\.{two}\.{two}"),
        ("%Y. %m. %d.", rf"{year}\. {two}\. {two}\."),
        ("%Y년 %m월 %d일", f"{year}년 {two}월 {two}일"),
        ("%Y년%m월%d일", f"{year}년{two}월{two}일"),
        ("%d/%m/%Y", f"{two}/{two}/{year}"),
        ("%m/%d/%Y", f"{two}/{two}/{year}"),
        ("%d-%m-%Y", f"{two}-{two}-{year}"),
        ("%m-%d-%Y", f"{two}-{two}-{year}"),
        ("%d.%m.%Y", rf"{two}\.{two}\.{year}"),
        ("%b %d %Y", f"[A-Za-z]{{3}} {two} {year}"),
        ("%B %d %Y", f"[A-Za-z]{{3,9}} {two} {year}"),
        ("%b %d, %Y", f"[A-Za-z]{{3}} {two}, {year}"),
        ("%B %d, %Y", f"[A-Za-z]{{3,9}} {two}, {year}"),
        ("%d %b %Y", f"{two} [A-Za-z]{{3}} {year}"),
        ("%d %B %Y", f"{two} [A-Za-z]{{3,9}} {year}"),
        ("%d-%b-%Y", f"{two}-[A-Za-z]{{3}}-{year}"),
    ]
    clocks = [
        ("", "", ("", "")),
        (" %H:%M:%S%.f", rf" {two}:\d\d:\d\d(\.\d+)?", ("", "")),
        ("T%H:%M:%S%.f", r"T\d\d:\d\d:\d\d(\.\d+)?", ("", "")),
        (" %H:%M:%S%.f%z", r" \d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)", ("", "")),
        ("T%H:%M:%S%.f%z", r"T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)", ("", "")),
        (" %H:%M", rf" {two}:\d\d", ("", "")),
        ("T%H:%M", r"T\d\d:\d\d", ("", "")),
        (" %H시", f" {two}시", (":00", ":%M")),
        (" %H시 %M분", f" {two}시 {two}분", ("", "")),
        (" %I:%M:%S %p", rf" {two}:\d\d:\d\d [AaPp][Mm]", ("", "")),
        (" %I:%M %p", rf" {two}:\d\d [AaPp][Mm]", ("", "")),
        (" %p %I:%M:%S", rf" (오전|오후) {two}:\d\d:\d\d", ("", "")),
        (" %p %I:%M", rf" (오전|오후) {two}:\d\d", ("", "")),
    ]
    whole = [TimeFormat(d + c, dp + cp, tail) for d, dp in dates for c, cp, tail in clocks]
    months = [
        TimeFormat("%Y-%m", f"{year}-{two}", ("-01", "-%d")),
        TimeFormat("%Y/%m", f"{year}/{two}", ("/01", "/%d")),
        TimeFormat("%Y.%m", rf"{year}\.\d\d", (".01", ".%d"), numeric=True),
        TimeFormat("%Y년 %m월", f"{year}년 {two}월", (" 01", " %d")),
        TimeFormat("%Y년", f"{year}년", (" 01 01", " %m %d")),
        TimeFormat("%b %Y", f"[A-Za-z]{{3}} {year}", (" 01", " %d")),
        TimeFormat("%B %Y", f"[A-Za-z]{{3,9}} {year}", (" 01", " %d")),
        TimeFormat("quarter", f"{year}[- ]?[Qq][1-4]"),
    ]
    plain = [
        TimeFormat("%Y%m%d", r"(1[5-9]|2[0-2])\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", numeric=True),
        TimeFormat("%Y%m%d%H", r"(1[5-9]|2[0-2])\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d\d", ("00", "%M"), True),
        TimeFormat("%Y%m%d%H%M", r"(1[5-9]|2[0-2])\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{4}", numeric=True),
        TimeFormat("%Y%m%d%H%M%S", r"(1[5-9]|2[0-2])\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{6}", numeric=True),
        TimeFormat("%Y%m", r"(1[5-9]|2[0-2])\d\d(0[1-9]|1[0-2])", ("01", "%d"), True),
        TimeFormat("%Y", r"(1[5-9]|2[0-2])\d\d", ("-01-01", "-%m-%d"), True),
        TimeFormat("epoch_s", r"\d{9,10}", numeric=True),
        TimeFormat("epoch_ms", r"\d{12,13}", numeric=True),
        TimeFormat("count", r"-?\d+", numeric=True),
    ]
    return (*whole, *months, *plain)


FORMATS = {format.name: format for format in _formats()}
_PATTERNS = {name: re.compile(format.pattern) for name, format in FORMATS.items()}


def looks_like_time(cell: str) -> bool:
    """Whether a cell is written in a format that no plain number has."""
    return any(not FORMATS[name].numeric and pattern.fullmatch(cell.strip()) for name, pattern in _PATTERNS.items())


def formats_of(cells: Sequence[str], numeric: bool = True) -> list[TimeFormat]:
    """Every format that reads all of a sample of cells, those first that say more; with `numeric`, numbers too.

    Example:
        >>> [format.name for format in formats_of(["1/2/2024", "1/13/2024"])]
        ['%m/%d/%Y']
    """
    if not cells:
        return []
    found = []
    series = pl.Series("time", list(cells), pl.String)
    for name, pattern in _PATTERNS.items():
        format = FORMATS[name]
        if format.numeric and not numeric:
            continue
        if all(pattern.fullmatch(cell.strip()) for cell in cells) and not format.parse(series).has_nulls():
            found.append(format)
    plain = [format for format in found if format.numeric]
    return [format for format in found if not format.numeric] or plain[:1]


class TimeReader:
    """Reads a column of times chunk by chunk, all in one format.

    Args:
        column, file: for messages.
        formats: those that are possible; two where day and month may be swapped.
    """

    def __init__(self, file: str, column: str, formats: Sequence[TimeFormat]) -> None:
        self.file, self.column, self.formats = file, column, list(formats)
        self._example: str | None = None
        self._ambiguous = False

    @property
    def format(self) -> TimeFormat:
        """The one that is left.

        Raises:
            DataError: where day and month could be either.
        """
        if len(self.formats) > 1 and self._ambiguous:
            first, second = (format.name for format in self.formats[:2])
            raise DataError(
                f"{self.file}, column {self.column!r}: {self._example!r} may be day first or month first, and no row "
                f"decides it: give time_format={first!r} or {second!r} (--time-format), or write 2024-01-31"
            )
        return self.formats[0]

    def read(self, cells: pl.Series, place: str, first: int) -> np.ndarray:
        """Microseconds since 1970, or counts, int64 [row].

        Raises:
            DataError: naming the row that has no time, or one in another format.
        """
        texts = cells.cast(pl.String)
        if texts.null_count() or (texts == "").any():
            row = int((texts.is_null() | (texts == "")).arg_true()[0])
            raise DataError(f"{self.file}, {place} {first + row}: column {self.column!r} holds no time")
        parsed = {format.name: format.parse(texts) for format in self.formats}
        reading = [format for format in self.formats if not parsed[format.name].has_nulls()]
        if not reading:
            self._refuse(texts, min(parsed.values(), key=pl.Series.null_count), place, first)
        self._example = self._example or texts[0]
        self.formats = reading
        self._ambiguous |= any(not parsed[reading[0].name].equals(parsed[other.name]) for other in reading[1:])
        return parsed[reading[0].name].to_numpy().astype(np.int64)

    def _refuse(self, texts: pl.Series, parsed: pl.Series, place: str, first: int) -> None:
        row = int(parsed.is_null().arg_true()[0])
        given = texts[row]
        other = formats_of([given])
        begin = f"{self.file}, {place} {first + row}, column {self.column!r}: {given!r} is not written like "
        example = self._example or (texts[0] if row else None)
        begin += f"{example!r} ({self.formats[0].name})" if example else self.formats[0].name
        count = parsed.null_count()
        more = f"; {count} rows differ in this part of the file" if count > 1 else ""
        if other:
            raise DataError(f"{begin} but like {other[0].name}{more}: write all times in one format")
        raise DataError(f"{begin}, and is no time{more}")
