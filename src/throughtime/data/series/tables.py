"""One door for files and frames: columns by name, rows in chunks, and where a row stands in what was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from ..._errors import DataError
from ..files.source import Source, checked
from .delimited import dialect_of, frames

_ROWS = 1 << 17
_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class Table:
    """Rows in chunks.

    Args:
        name: what messages call it.
        columns: the names, in order.
        chunks: gives all rows anew at each call.
        place, first: how rows are counted: lines of a file from 2 after its header, rows of a frame from 1.
        size: in bytes, unpacked where that is known.
        unnamed: columns that had no name in the header.
        source: the file; None for a frame.
    """

    name: str
    columns: tuple[str, ...]
    chunks: Callable[[], Iterator[pl.DataFrame]]
    place: str
    first: int
    size: int
    unnamed: tuple[str, ...] = ()
    source: Source | None = None
    notes: tuple[str, ...] = field(default=())


def table_of(source: Any) -> Table:
    """A CSV or Parquet file by its path, or a pandas, polars or arrow frame.

    Raises:
        DataError: where there is no such file, or it is none of these.
    """
    if not isinstance(source, (str, Path)):
        return _of_frame(source)
    path = checked(source)
    if path.is_dir():
        raise DataError(f"{path} is a folder: a CSV or Parquet file is expected")
    with path.open("rb") as stream:
        parquet = stream.read(4) == b"PAR1"
    if parquet or path.suffix.lower() in _PARQUET:
        return _of_parquet(path)
    dialect = dialect_of(path)
    notes = () if dialect.encoding == "utf-8" else (f"written in {dialect.encoding.upper()}",)
    if not dialect.header:
        notes += ("no header: columns are named by position",)
    return Table(
        name=str(path),
        columns=dialect.columns,
        chunks=lambda: frames(path, dialect),
        place="line",
        first=2 if dialect.header else 1,
        size=path.stat().st_size * (4 if path.suffix.lower() == ".gz" else 1),
        unnamed=dialect.unnamed,
        source=Source.of(path),
        notes=notes,
    )


def _of_frame(source: Any) -> Table:
    try:
        frame = nw.from_native(source, eager_only=True).to_polars()
    except TypeError:
        raise DataError(f"{type(source).__name__} is neither a path nor a frame of pandas, polars or arrow") from None
    if not all(isinstance(name, str) for name in frame.columns):
        frame = frame.rename({name: str(name) for name in frame.columns})
    if frame.height == 0:
        raise DataError(f"the frame has no row; its columns: {', '.join(frame.columns[:5]) or 'none'}")
    chunks = lambda: iter([frame])  # noqa: E731
    return Table("the frame", tuple(frame.columns), chunks, "row", 1, int(frame.estimated_size()))


def _of_parquet(path: Path) -> Table:
    try:
        scan = pl.scan_parquet(path)
        columns, height = scan.collect_schema().names(), scan.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path} is no whole Parquet file ({str(error).splitlines()[0]})") from None
    if height == 0:
        raise DataError(f"{path} has no row; its columns: {', '.join(columns[:5])}")

    def chunks() -> Iterator[pl.DataFrame]:
        for begin in range(0, height, _ROWS):
            yield pl.scan_parquet(path).slice(begin, _ROWS).collect()

    size = height * max(len(columns), 1) * 8
    return Table(str(path), tuple(columns), chunks, "row", 1, size, source=Source.of(path))
