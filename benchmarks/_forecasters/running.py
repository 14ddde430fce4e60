"""One job in a fresh process, and what came of it, kept as JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from .job import Effort
from .libraries import Library
from .tasks import Task

_GRACE = 600.0
"""Seconds beyond those of fitting that a process may take for imports and forecasts."""


@dataclass(frozen=True)
class Outcome:
    """What came of one job.

    Args:
        library: its name.
        effort: what was asked.
        version: of the library.
        seconds: of importing, fitting and forecasting, and of the whole process.
        figures: of the forecasts, by metric; empty where there are none.
        failure: why there are none, in one line.
        busy: cores that other processes took when it began.
    """

    task: str
    library: str
    effort: Effort
    version: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    failure: str | None = None
    busy: float = 0.0

    @property
    def waited(self) -> float:
        """Seconds of fitting and forecasting: what one waits for in a session that has the library loaded."""
        return self.seconds["fit"] + self.seconds["forecast"]

    @classmethod
    def from_file(cls, file: Path) -> Outcome:
        """The inverse of `keep`."""
        content = json.loads(file.read_text(encoding="utf-8"))
        return cls(**content | {"effort": Effort(**content["effort"])})

    def keep(self, file: Path) -> None:
        """As JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(file)


def file_of(folder: Path, task: Task, library: Library, effort: Effort) -> Path:
    """Where an outcome is kept: one for each question, model, budget and seed."""
    model = re.sub(r"\W+", "-", effort.model).strip("-")
    budget = "default" if effort.budget is None else str(effort.budget)
    return folder / task.name / f"{library.name}-{model}-{budget}-seed{effort.seed}.json"


def outcome_of(task: Task, library: Library, effort: Effort, busy: float = 0.0, grace: float = _GRACE) -> Outcome:
    """Let the library's worker do it, in a process of its own; never an exception for what the library did."""
    threads = str(effort.threads)
    environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        task.job(effort).write(folder)
        command = [str(library.python), str(library.worker), str(folder)]
        begun = time.perf_counter()
        try:
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=effort.cap + grace
            )
        except subprocess.TimeoutExpired as late:
            return Outcome(task.name, library.name, effort, failure=f"not done in {late.timeout:.0f} s", busy=busy)
        whole = time.perf_counter() - begun
        answer = folder / "answer.json"
        if done.returncode or not answer.exists():
            failure = _last_line(done.stderr) or f"ended with code {done.returncode} and no answer"
            return Outcome(task.name, library.name, effort, failure=failure, busy=busy)
        found = json.loads(answer.read_text(encoding="utf-8"))
    seconds = found["seconds"] | {"whole": whole}
    figures = task.figures(np.array(found["forecasts"]))
    return Outcome(task.name, library.name, effort, found["version"], seconds, figures, busy=busy)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
