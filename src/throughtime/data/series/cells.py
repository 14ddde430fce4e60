"""Cells as numbers, and what is wrong with those that are none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ..._errors import DataError

MISSING = ("", "na", "n/a", "nan", "null", "none", "<na>")


@dataclass
class Fault:
    """How many cells of a column have one thing wrong, and the first of them."""

    count: int
    row: int
    example: str


@dataclass
class Faults:
    """What is wrong with the cells of a file, gathered over all of it before anything is said.

    Args:
        file, place: for messages: what was read, and whether rows are lines.
        fill: how missing values are mended, or "kept" as NaN; None refuses them.
    """

    file: str
    place: str
    fill: str | None
    found: dict[tuple[str, str], Fault] = field(default_factory=dict)
    rows: int = 0

    def numbers(self, cells: pl.Series, first: int) -> np.ndarray:
        """A column as float64 [row], NaN where a value is missing; `first` is the number of its first row."""
        if cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
            values = cells.cast(pl.Float64)
            missing = values.is_null() | values.is_nan()
        else:
            texts = cells.cast(pl.String).str.strip_chars()
            missing = texts.is_null() | texts.str.to_lowercase().is_in(MISSING)
            values = texts.cast(pl.Float64, strict=False)
            self._note("text", cells, values.is_null() & ~missing, first)
        missing = missing.fill_null(True)
        self._note("inf", cells, values.is_infinite().fill_null(False), first)
        self._note("missing", cells, missing, first)
        return values.set(missing, None).fill_null(float("nan")).to_numpy()

    def _note(self, kind: str, cells: pl.Series, wrong: pl.Series, first: int) -> None:
        count = int(wrong.sum())
        if not count:
            return
        row = int(wrong.arg_true()[0])
        known = self.found.get((cells.name, kind))
        if known is None:
            self.found[cells.name, kind] = Fault(count, first + row, str(cells[row]))
        else:
            known.count += count

    def raise_any(self) -> None:
        """Refuse the file for the worst that was found.

        Raises:
            DataError: naming the column, the row, the count, and what mends it.
        """
        for kind in ("text", "inf", "missing"):
            for (column, found), fault in self.found.items():
                if found == kind:
                    self._refuse(column, kind, fault)

    def _refuse(self, column: str, kind: str, fault: Fault) -> None:
        where = f"{self.file}, {self.place} {fault.row}, column {column!r}"
        more = f"; {fault.count} such cells in the column" if fault.count > 1 else ""
        if kind == "text":
            hint = " (write numbers as 1234.5)" if "," in fault.example else ""
            raise DataError(f"{where}: {fault.example!r} is not a number{hint}{more}: mend the file or leave it out")
        if kind == "inf":
            raise DataError(f"{where}: {fault.example} is not finite{more}: mend the file, or leave the cell empty")
        if fault.count == self.rows:
            raise DataError(f"{self.file}: column {column!r} has no value in any of its {self.rows} rows: leave it out")
        if self.fill is None:
            raise DataError(f"{where} holds no value{more}: fill='linear' mends it (--fill forward, linear or zero)")


def mostly_numbers(cells: pl.Series) -> bool:
    """Whether at least half of the cells that hold something are numbers; true where none does."""
    if cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
        return True
    if cells.dtype.is_temporal() or cells.dtype.is_nested():
        return False
    texts = cells.cast(pl.String).str.strip_chars()
    texts = texts.filter(texts.is_not_null() & ~texts.str.to_lowercase().is_in(MISSING))
    return 2 * texts.cast(pl.Float64, strict=False).null_count() <= len(texts)
