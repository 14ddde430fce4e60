import numpy as np
import pytest

from throughtime.artifacts import Run
from throughtime.data import read_series, read_text
from throughtime.training import prepare


@pytest.fixture(scope="session")
def series_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small model of two series of two targets, observed each hour."""
    folder = tmp_path_factory.mktemp("series")
    chance = np.random.default_rng(0)
    lines = ["ds,unique_id,a,b"]
    for name, rows in (("one", 160), ("two", 120)):
        times = np.datetime64("2024-01-01", "h") + np.arange(rows)
        values = np.sin(np.arange(rows)[:, None] * 2 * np.pi / 24 + [0, 1]) + chance.normal(0, 0.2, (rows, 2))
        lines += [f"{time}:00,{name},{a},{b}" for time, (a, b) in zip(times, values, strict=True)]
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    task = {"horizon": 5, "lookback": 24, "windows": 32}
    data = read_series(folder / "data.csv")
    return _trained(prepare(data, folder / "run", task=task, family={"hidden_size": 4}, training={"epochs": 1}))


@pytest.fixture(scope="session")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("text")
    (folder / "book.txt").write_text("".join(f"{n} bottles of beer on the wall.\n" for n in range(150)))
    data = read_text(folder / "book.txt")
    return _trained(prepare(data, folder / "run", family={"hidden_size": 8}, training={"epochs": 1}))


def _trained(training) -> Run:
    training.fit()
    return training.run
