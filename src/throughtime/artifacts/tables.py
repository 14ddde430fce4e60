"""Tables too long to hold go to disk part by part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from .._errors import ConfigurationError
from .._files import replacing

_BYTES_AT_ONCE = 1 << 24


def write_table(parts: Iterable[pl.DataFrame], path: Path) -> tuple[int, list[str]]:
    """Write parts, each below the one before, as CSV or Parquet by the file's suffix: how many rows, of which columns.

    Nothing is taken from `parts` before the name is known to be good. Parquet stands twice on the disk for a while.

    Raises:
        ConfigurationError: for any other suffix.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "numbers.csv"
        >>> write_table((pl.DataFrame({"n": [n, n]}) for n in range(3)), path)
        (6, ['n'])
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise ConfigurationError(f"{path}: expected a name that ends in .csv or .parquet")
    rows, columns = 0, []

    def counted() -> Iterator[pl.DataFrame]:
        nonlocal rows, columns
        for part in parts:
            yield part
            rows, columns = rows + part.height, part.columns

    with replacing(path) as temporary:
        (_write_csv if suffix == ".csv" else _write_parquet)(counted(), temporary)
    return rows, columns


def _write_csv(parts: Iterator[pl.DataFrame], path: Path) -> None:
    with path.open("wb") as file:
        for number, part in enumerate(parts):
            file.write(part.write_csv(include_header=number == 0).encode())


def _write_parquet(parts: Iterator[pl.DataFrame], path: Path) -> None:
    with TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
        written = []
        for part in _gathered(parts):
            # Through memory, so that a full disk is told of as such and not as a fault of the format.
            table = BytesIO()
            part.write_parquet(table)
            written.append(Path(folder, f"{len(written)}.parquet"))
            written[-1].write_bytes(table.getbuffer())
        try:
            pl.scan_parquet(written, glob=False).sink_parquet(path)
        except pl.exceptions.ComputeError as error:
            raise OSError(f"{path.parent}: {error}") from None


def _gathered(parts: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows in parts that are neither small nor large."""
    held: list[pl.DataFrame] = []
    size = 0
    for part in parts:
        held.append(part)
        size += part.estimated_size()
        if size >= _BYTES_AT_ONCE:
            yield pl.concat(held)
            held, size = [], 0
    if held:
        yield pl.concat(held)
