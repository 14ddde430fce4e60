import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from throughtime.artifacts import SeriesRun, SymbolRun, load
from throughtime.data import read_series, read_text
from throughtime.training import prepare


def wave(hour: int) -> float:
    return 10 + 3 * math.sin(2 * math.pi * hour / 24) + (hour * 7919 % 13) / 13


def write_series(path: Path, values: list[float]) -> Path:
    times = np.datetime64("2024-01-01", "h") + np.arange(len(values))
    rows = [f"{time}:00,{value},{row % 5}" for row, (time, value) in enumerate(zip(times, values, strict=True))]
    path.write_text("\n".join(["time,y,wind", *rows]) + "\n")
    return path


@pytest.fixture
def waves() -> list[float]:
    return [wave(hour) for hour in range(200)]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, list[float]], Path]:
    """Writes a file of series of the same columns as the run's."""
    return lambda name, values: write_series(tmp_path / name, values)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two small runs, `series` and `text`."""
    folder = tmp_path_factory.mktemp("artifacts")
    path = write_series(folder / "wave.csv", [wave(hour) for hour in range(200)])
    data = read_series(path, targets="y", past="wind")
    task = {"horizon": 6, "lookback": 12, "windows": 64}
    prepare(data, folder / "series", task=task, family={"hidden_size": 6}, training={"epochs": 2}).fit()
    (folder / "book.txt").write_text("the quick brown fox jumps over the lazy dog.\n" * 30)
    family = {"hidden_size": 6, "dropout": 0.2}
    training = {"epochs": 2, "strategy": "truncated:16"}
    prepare(read_text(folder / "book.txt"), folder / "text", family=family, training=training).fit()
    return folder


@pytest.fixture
def series_run(folder: Path) -> SeriesRun:
    run = load(folder / "series")
    assert isinstance(run, SeriesRun)
    return run


@pytest.fixture
def text_run(folder: Path) -> SymbolRun:
    run = load(folder / "text")
    assert isinstance(run, SymbolRun)
    return run
