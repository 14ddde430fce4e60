"""The libraries beside this one: their versions, their models, and how hard each is asked to try."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .job import Effort
from .tasks import Task

ENVIRONMENTS = Path(__file__).parents[1] / ".peers"
"""An environment a library; not kept in version control."""

TORCH = "torch>=2.6,<2.14"
"""The constraint of this project itself, so that all train on the same build."""


VENV = ("-m", "venv", "--clear")
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


@dataclass(frozen=True)
class Model:
    """One model of a library.

    Args:
        name: as its worker knows it.
        counts: what a budget counts, "steps" or "epochs"; empty where there is nothing to choose.
        example: the budget for AirPassengers that the library's own documentation shows, or its default.
        budgets: those that are tried on AirPassengers, to see how quality grows with time.
        lookback: rows read on hourly data, where the library has no default of its own.
        rolls: whether it forecasts from later origins without fitting anew.
    """

    name: str
    counts: str = ""
    example: int | None = None
    budgets: tuple[int, ...] = ()
    lookback: int | None = None
    rolls: bool = True

    def effort(self, task: Task, seed: int, threads: int, cap: float, budget: int | None = None) -> Effort:
        """What it is asked for; on AirPassengers the documented example's budget, elsewhere the library's default."""
        if task.lookback is not None and budget is None:
            budget = self.example
        lookback = (task.lookback or self.lookback) if self.counts else None
        return Effort(self.name, budget, lookback, seed, threads, cap)


@dataclass(frozen=True)
class Library:
    """A library of forecasting.

    Args:
        name: its folder of `ENVIRONMENTS`, and its worker's name.
        title: what readers see.
        requirement: what pip is asked for; empty for what runs in the environment of this project.
    """

    name: str
    title: str
    requirement: str
    models: tuple[Model, ...]

    @property
    def worker(self) -> Path:
        """The script that does its jobs."""
        return Path(__file__).parent / f"with_{self.name}.py"

    @property
    def folder(self) -> Path:
        """Its environment."""
        return ENVIRONMENTS / self.name

    @cached_property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return self.folder / "bin" / "python" if self.requirement else Path(sys.executable)

    @property
    def installed(self) -> bool:
        """Whether its environment was completed."""
        return not self.requirement or (self.folder / ".complete").exists()

    def install(self) -> str | None:
        """Make its environment; what went wrong in one line, or None."""
        if self.installed:
            return None
        ENVIRONMENTS.mkdir(exist_ok=True)
        constraint = ENVIRONMENTS / "constraints.txt"
        constraint.write_text(f"{TORCH}\n", encoding="utf-8")
        for command in (
            [sys.executable, *VENV, str(self.folder)],
            [str(self.python), *PIP, "-c", str(constraint), self.requirement],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                said = [line for line in (done.stderr + done.stdout).splitlines() if "ERROR" in line]
                return said[0].strip() if said else f"{Path(command[0]).name} ended with code {done.returncode}"
        (self.folder / ".complete").write_text(f"{self.requirement}\n", encoding="utf-8")
        return None


WEEK = 168
STEPS = (25, 50, 100, 200, 400)
LIBRARIES = (
    Library("throughtime", "throughtime", "", (Model("default", "epochs", None, (1, 2, 4, 8, 16)),)),
    Library(
        "neuralforecast",
        "NeuralForecast",
        "neuralforecast==3.3.0",
        (
            Model("LSTM", "steps", 200, STEPS),
            Model("GRU", "steps", 200, STEPS),
            Model("NHITS", "steps", 200, STEPS, lookback=WEEK),
        ),
    ),
    Library(
        "darts",
        "Darts",
        "darts[torch]==0.48.1",
        (
            Model("RNNModel (LSTM)", "epochs", 300, (25, 100, 300), lookback=WEEK),
            Model("TCNModel", "epochs", 500, (25, 100, 500), lookback=WEEK),
            Model("NHiTSModel", "epochs", 100, (5, 10, 25, 50, 100), lookback=WEEK),
            Model("ExponentialSmoothing", rolls=False),
        ),
    ),
    Library("gluonts", "GluonTS", "gluonts[torch]==0.17.0", (Model("DeepAR", "epochs", 5, (1, 2, 5, 10, 20)),)),
)
