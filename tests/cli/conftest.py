"""What the command line's tests share: tiny files, tiny runs, and the program called as a function."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from throughtime import cli

SMALL = ["--hidden-size", "4", "--epochs", "1", "--batch-size", "4"]


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code, and both of its streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def throughtime(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs the command line in this process."""

    def run(*arguments: Any) -> Outcome:
        capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


def hours(count: int, first: int = 0) -> list[str]:
    start = datetime(2024, 1, 1) + timedelta(hours=first)
    return [str(start + timedelta(hours=hour)) for hour in range(count)]


def daily(hour: int) -> float:
    return 10 + 3 * math.sin(2 * math.pi * hour / 24) + (hour * 7919 % 13) / 13


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each kind."""
    folder = tmp_path_factory.mktemp("samples")
    rows = [f"{time},{daily(hour):.4f}" for hour, time in enumerate(hours(240))]
    (folder / "hourly.csv").write_text("\n".join(["time,load", *rows]) + "\n")
    rows = [
        f"{time},{name},{daily(hour) + hour % 3 + shift:.4f},{hour % 3},{hour % 5}"
        for name, shift in (("north", 0), ("south", 50))
        for hour, time in enumerate(hours(160))
    ]
    (folder / "long.csv").write_text("\n".join(["ds,unique_id,y,price,wind", *rows]) + "\n")
    rows = [
        f"{time},{name},{(160 + hour) % 3}" for name in ("north", "south") for hour, time in enumerate(hours(12, 160))
    ]
    (folder / "prices.csv").write_text("\n".join(["ds,unique_id,price", *rows]) + "\n")
    (folder / "book.txt").write_text("the quick brown fox jumps over the lazy dog.\n" * 40)
    (folder / "tone.wav").touch()
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(folder / "tone.wav", 0.5 * np.sin(np.arange(4000) / 5), 8000)
    return folder


@pytest.fixture(scope="session")
def runs(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small trained run of each kind; tests that change one copy it."""
    folder = tmp_path_factory.mktemp("runs")
    series = ["--horizon", "6", "--lookback", "12"]
    for name, options in {
        "hourly": ["hourly.csv", *series],
        "long": ["long.csv", *series, "--target", "y", "--past", "wind", "--future", "price"],
        "book": ["book.txt", "--steps", "16"],
        "tone": ["tone.wav", "--steps", "16"],
    }.items():
        assert cli.run(["train", str(samples / options[0]), *options[1:], *SMALL, "--out", str(folder / name)]) == 0
    return folder
