"""A disk that is full: one line, exit code 2, the old files whole, and nothing new beside them."""

import resource
import shutil
from pathlib import Path

import pytest

COMMANDS = {
    "train": ("train {samples}/book.txt --epochs 1 --out runs/new", None),
    "describe": ("describe {samples}/book.txt --out pictures", None),
    "forecast, table": ("forecast run --out made.csv", "hourly"),
    "forecast, Parquet": ("forecast run --out made.parquet", "hourly"),
    "forecast, picture": ("forecast run --out made.png", "hourly"),
    "forecast, folder": ("forecast run --out made", "hourly"),
    "score": ("score run", "hourly"),
    "features": ("features run", "hourly"),
    "features, Parquet": ("features run --per sequence --out made.parquet", "book"),
    "score, picture": ("score run --out made.png", "book"),
    "evaluate": ("evaluate run --out made", "book"),
    "generate, text": ("generate run --out made.txt", "book"),
    "generate, sound": ("generate run --length 3000 --out made.wav", "tone"),
    "resume": ("train --resume run --epochs 2", "book"),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_leaves_nothing_behind(throughtime, samples, runs, tmp_path, monkeypatch, name) -> None:
    command, run = COMMANDS[name]
    monkeypatch.chdir(tmp_path)
    if run is not None:
        shutil.copytree(runs / run, "run")
    before = contents(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        found = throughtime(*command.format(samples=samples).split())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert found.err.startswith("error: ")
    assert found.err.count("\n") == 1
    assert "too large" in found.err.lower() or "no space" in found.err
    assert found.code == 2
    assert contents(tmp_path) == before
