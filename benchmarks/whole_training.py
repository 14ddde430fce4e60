"""Whole training, as `throughtime train` does it: steps a second and loss, with the native kernels and without.

Without means that THROUGHTIME_LIBRARY names no file, so that layers take torch's own. Both begin from the same seed and
see the same batches; runs take turns, each in a fresh process.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from _common import DATA, idle_or_leave, options, place, processor, write_json
from _page import PAGE, table, write_section

WAYS = {"native kernels": {}, "torch.nn": {"THROUGHTIME_LIBRARY": "nowhere"}}
_DEMO = files("throughtime") / "demo_data"
TASKS = {
    "tinyshakespeare, LSTM of 2 layers": DATA / "tinyshakespeare" / "input.txt",
    "demo, Shakespeare": Path(str(_DEMO.joinpath("shakespeare.txt"))),
    "demo, CO2": Path(str(_DEMO.joinpath("co2.csv"))),
}
_RUNS = 3


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each run")
    parser.add_argument("--run", choices=TASKS, help="a single run in this process; prints its steps as JSON")
    settings = parser.parse_args()
    if settings.run:
        print(json.dumps(trained(settings.run, settings.seconds, settings.threads)))
        return
    before = idle_or_leave(settings.force or settings.quick)
    runs, seconds = (1, 2.0) if settings.quick else (_RUNS, settings.seconds)
    found = [compared(task, runs, seconds, settings.threads) for task, file in TASKS.items() if file.exists()]
    machine = {"processor": processor(), "busy": before, "threads": settings.threads}
    write_json(settings.out, "whole_training", {"machine": machine, "seconds_a_run": seconds, "tasks": found})
    page = settings.page or (None if settings.quick else PAGE)
    if page is not None:
        rows = [in_words(row) for row in found]
        heads = ["", *(f"{way}, steps a second" for way in WAYS), "times faster", "steps both made"]
        heads += ["losses within 0.1 % until step", "loss at the end"]
        described = f"{place(settings.threads)}; {runs} runs of {seconds:g} s each, in turn."
        write_section("training", f"{described}\n\n{table(heads, rows)}", page)


def trained(task: str, seconds: float, threads: int) -> dict[str, list[float]]:
    """Train for so long; the seconds and the loss of each step."""
    import torch

    from throughtime.data import read_series, read_text
    from throughtime.training import prepare

    torch.set_num_threads(threads)
    file, cell = TASKS[task], {"name": "lstm", "num_layers": 2} if "LSTM" in task else {}
    data = read_series(file, fill="linear") if file.suffix == ".csv" else read_text(file)
    steps: dict[str, list[float]] = {"seconds": [], "loss": []}

    def watch(event: str, record: Mapping[str, Any]) -> None:
        if event == "step":
            for name, values in steps.items():
                values.append(record[name])

    with tempfile.TemporaryDirectory() as folder:
        training = prepare(
            data,
            Path(folder) / "run",
            family=cell,
            training={"time_budget": seconds, "seed": 0},
            # Other schedules look at the time that is left, and so at the speed that is measured here.
            optimizer={"schedule": "constant"},
        )
        training.observers = [watch]
        training.fit()
    return steps


def compared(task: str, runs: int, seconds: float, threads: int) -> dict[str, Any]:
    """Both ways in turn: the median step's rate, how long the losses are the same, and their mean at the end: over the
    last tenth of the steps that both made.
    """
    found: dict[str, list[dict[str, list[float]]]] = {way: [] for way in WAYS}
    for run in range(runs):
        ways = list(WAYS)
        for way in ways[:: -1 if run % 2 else 1]:
            found[way].append(alone(task, seconds, threads, WAYS[way]))
    shared = min(len(run["loss"]) for runs_ in found.values() for run in runs_)
    pairs = zip(*(all_runs[0]["loss"][:shared] for all_runs in found.values()), strict=True)
    parted = (step for step, (one, other) in enumerate(pairs, 1) if abs(one - other) > 1e-3 * max(abs(one), abs(other)))
    row: dict[str, Any] = {"task": task, "steps": shared, "same_until": next(parted, shared + 1) - 1}
    for way, all_runs in found.items():
        rate = 1 / statistics.median(second for run in all_runs for second in run["seconds"][1:])
        tail = all_runs[0]["loss"][shared - max(1, shared // 10) : shared]
        row[way] = {"steps_a_second": rate, "loss": statistics.fmean(tail)}
        print(
            f"{task:34} {way:15} {rate:6.1f} steps a second, loss {row[way]['loss']:.4f} at step {shared}", flush=True
        )
    print(f"{'':34} the same to 0.1 % until step {row['same_until']}", flush=True)
    return row


def alone(task: str, seconds: float, threads: int, environment: dict[str, str]) -> dict[str, list[float]]:
    command = [sys.executable, __file__, "--run", task, "--seconds", str(seconds), "--threads", str(threads)]
    surroundings = os.environ | environment | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=surroundings)
    return json.loads(done.stdout.splitlines()[-1])


def in_words(row: dict[str, Any]) -> list[str]:
    rates = [row[way]["steps_a_second"] for way in WAYS]
    losses = [f"{row[way]['loss']:.4f}" for way in WAYS]
    speed = [*(f"{rate:.1f}" for rate in rates), f"{rates[0] / rates[1]:.2f}"]
    return [row["task"], *speed, str(row["steps"]), str(row["same_until"]), " and ".join(losses)]


if __name__ == "__main__":
    main()
