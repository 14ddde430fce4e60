"""Records that are a table and a picture go to disk in one way."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Protocol, runtime_checkable

import polars as pl
from matplotlib.figure import Figure

from .._errors import ConfigurationError
from .._files import replacing


@runtime_checkable
class Record(Protocol):
    """What can be written: a table and a picture of the same thing."""

    def frame(self) -> pl.DataFrame:
        """The record as a table."""
        ...

    def plot(self) -> Figure:
        """The record as a picture."""
        ...


def write_record(record: Record, path: Path) -> None:
    """Write the table as CSV or Parquet, or the picture as PNG, by the file's suffix.

    Raises:
        ConfigurationError: for any other suffix.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet", ".png"):
        raise ConfigurationError(f"{path}: expected a name that ends in .csv, .parquet or .png")
    with replacing(path) as temporary:
        if suffix == ".csv":
            record.frame().write_csv(temporary)
        elif suffix == ".parquet":
            # Through memory, so that a full disk is told of as such and not as a fault of the format.
            table = BytesIO()
            record.frame().write_parquet(table)
            temporary.write_bytes(table.getbuffer())
        else:
            record.plot().savefig(temporary, format="png")
