"""From a path on the command line to data of its kind."""

from __future__ import annotations

from pathlib import Path

from ..data import SeriesData, SoundData, TextData, kind_of, read_series, read_sound, read_text
from ._console import err
from ._options import columns


def read(
    file: Path,
    *,
    time: str | None = None,
    target: list[str] | None = None,
    past: list[str] | None = None,
    future: list[str] | None = None,
    id_: str | None = None,
    fill: str | None = None,
    calendar: str = "auto",
    unit: str = "character",
    encoding: str = "mu-law",
) -> SeriesData | TextData | SoundData:
    """Read a file as what its name and contents say it is."""
    with err.status(f"reading {file}"):
        match kind_of(file):
            case "series":
                return read_series(
                    file, time=time, targets=columns(target) or None, past=columns(past), future=columns(future),
                    id=id_, fill=fill, calendar=calendar,
                )  # fmt: skip
            case "text":
                return read_text(file, unit=unit)
            case "sound":
                return read_sound(file, encoding=encoding)
