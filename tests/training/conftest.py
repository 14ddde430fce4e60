import math
import os
from pathlib import Path

import pytest

from throughtime.data import SeriesData, TextData, read_series, read_text


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"{n} bottles of beer on the wall, {n} bottles of beer.\n" for n in range(24)))
    return path


@pytest.fixture
def series_file(tmp_path: Path) -> Path:
    path = tmp_path / "series.csv"
    rows = (f"{day:03d},{10 + 3 * math.sin(day / 2) + day % 5},{day % 7}" for day in range(120))
    path.write_text("\n".join(["day,y,other", *rows]) + "\n")
    return path


@pytest.fixture
def text(text_file: Path) -> TextData:
    return read_text(text_file)


@pytest.fixture
def series(series_file: Path) -> SeriesData:
    return read_series(series_file, targets="y", past="other")


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are checked against killed processes here, not against lost power: waiting for the disk proves nothing."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
