"""Real processes, really killed: `kill -9` and Ctrl-C at moments drawn at random, then `--resume`."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch

import throughtime
from throughtime import cli
from throughtime.artifacts import store

SOURCE = str(Path(throughtime.__file__).parents[1])
PROGRAM = (
    # A shell that runs tests in the background has Ctrl-C ignored, and its children inherit that.
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from throughtime.cli import main; main()"
)
OPTIONS = ["--model", "lstm", "--hidden-size", "8", "--layers", "2", "--dropout", "0.2", "--batch-size", "4"]
OPTIONS += ["--steps", "16", "--epochs", "10", "--seed", "7"]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kill") / "book.txt"
    path.write_text("".join(f"{n} bottles of beer on the wall, {n * n % 97} bottles of beer.\n" for n in range(50)))
    return path


@pytest.fixture(scope="module")
def whole(book: Path) -> Path:
    """The run that nobody stopped."""
    folder = book.parent / "whole"
    assert cli.run(["train", str(book), *OPTIONS, "--out", str(folder), "--json"]) == 0
    return folder


@contextmanager
def training(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": SOURCE, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, "train", *map(str, arguments)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def records(folder: Path) -> int:
    path = folder / store.METRICS
    return path.read_text().count("\n") if path.exists() else 0


def wait_for_records(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    """Return once training has written so many records, or has ended."""
    while process.poll() is None and records(folder) < count:
        wait(process, 0.005)


def wait(process: subprocess.Popen[str], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def assert_same(folder: Path, whole: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == sorted(file.name for file in whole.iterdir())
    assert (folder / store.METRICS).read_text() == (whole / store.METRICS).read_text()
    assert (folder / store.WEIGHTS).read_bytes() == (whole / store.WEIGHTS).read_bytes()
    tensors, metadata = store.read_tensors(folder / store.CHECKPOINT)
    wanted, expected = store.read_tensors(whole / store.CHECKPOINT)
    assert [name for name in wanted if not torch.equal(wanted[name], tensors[name])] == []
    positions = [json.loads(form["form"])["position"] for form in (metadata, expected)]
    assert len({position.pop("elapsed") for position in positions}) == 2
    assert positions[0] == positions[1]


def killed_somewhere(book: Path, folder: Path, whole: Path, chance: random.Random) -> int:
    """Kill a training at a random moment; how many records it had written is returned."""
    with training(book, *OPTIONS, "--out", folder) as process:
        wait_for_records(process, folder, chance.randrange(1, records(whole) * 2 // 3))
        wait(process, chance.uniform(0, 0.05))
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    return records(folder)


def test_a_killed_training_is_resumed_to_the_same_numbers(book, whole, tmp_path) -> None:
    run = tmp_path / "run"
    assert 0 < killed_somewhere(book, run, whole, random.Random(0)) < records(whole)
    assert cli.run(["train", "--resume", str(run), "--json"]) == 0
    assert_same(run, whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_killed_ten_times_at_random_moments(book, whole, tmp_path, seed) -> None:
    """Each time the run, and its resumption, are killed; the second resumption is left to end."""
    run, chance = tmp_path / "run", random.Random(seed)
    first = killed_somewhere(book, run, whole, chance)
    with training("--resume", run) as process:
        wait_for_records(process, run, first + chance.randrange(records(whole) // 4))
        wait(process, chance.uniform(0, 0.05))
        process.kill()
        process.wait()
    second = records(run)
    with training("--resume", run) as process:
        process.communicate()
    assert process.returncode == 0
    print(f"seed {seed}: killed after {first} and {second} of {records(whole)} records")
    assert_same(run, whole)


def test_ctrl_c_says_how_to_go_on(book, whole, tmp_path) -> None:
    run = tmp_path / "run"
    with training(book, *OPTIONS, "--out", run) as process:
        wait_for_records(process, run, 12)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert f"nothing lost; go on with: throughtime train --resume {run}" in out
    assert err == ""
    assert cli.run(["train", "--resume", str(run), "--json"]) == 0
    assert_same(run, whole)


def test_a_second_ctrl_c_interrupts_at_once_and_without_damage(book, whole, tmp_path, monkeypatch, capsys) -> None:
    run, steps = tmp_path / "run", []

    def twice(self: object, event: str, record: object) -> None:
        steps.append(event)
        if len(steps) == 70:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr("throughtime.cli._training.TrainingProgress.__call__", twice)
        assert cli.run(["train", str(book), *OPTIONS, "--out", str(run), "--json"]) == 130
    assert len(steps) == 70
    assert capsys.readouterr().err == f"error: interrupted; go on with: throughtime train --resume {run}\n"
    assert cli.run(["train", "--resume", str(run), "--json"]) == 0
    assert_same(run, whole)
