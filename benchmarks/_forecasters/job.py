"""What a library of forecasting is asked for, and what it answers: files in a folder.

Nothing is imported here but NumPy, and nothing of this project: workers in environments of their own share it.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

_CONTEXT = 1000
"""Rows before an origin that a worker hands to its library; more than any of them reads here."""

_UNITS = {"MS": "M", "h": "h"}
"""NumPy's name of a frequency, by pandas'."""


@dataclass(frozen=True)
class Question:
    """What is to be forecast.

    Args:
        horizon: steps ahead.
        period: the season, in rows.
        frequency: as pandas knows it: "MS" for months by their first day, "h" for hours.
        origins: rows after those of training that are known at each forecast; (0,) where nothing follows.
    """

    horizon: int
    period: int
    frequency: str
    origins: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Effort:
    """Who answers, and how hard it tries.

    Args:
        model: as the worker knows it.
        budget: steps or epochs, whichever the library counts; None for the library's own default.
        lookback: rows that are read before a forecast; None for the library's own default.
        seed: of whatever is drawn.
        threads: at most so many.
        cap: seconds of fitting, after which it stops where it is.
    """

    model: str
    budget: int | None = None
    lookback: int | None = None
    seed: int = 0
    threads: int = 1
    cap: float = 600.0


@dataclass(frozen=True)
class Context:
    """What is known when a forecast is made: the last rows of one series.

    Args:
        series: which, by its place.
        start: the time of the first of these rows, ISO 8601.
        values: [time].
    """

    series: int
    start: str
    values: np.ndarray


@dataclass(frozen=True)
class Job:
    """All that a worker is told.

    Args:
        names: of the series.
        starts: the time of each one's first row, ISO 8601.
        training: the rows of each that may be learnt from, [time].
        later: the rows of each that become known as origins roll on, [time].
    """

    question: Question
    effort: Effort
    names: tuple[str, ...]
    starts: tuple[str, ...]
    training: tuple[np.ndarray, ...]
    later: tuple[np.ndarray, ...]

    @property
    def contexts(self) -> list[Context]:
        """One a forecast: the origins of the first series, then those of the next."""
        found = []
        for index, rows in enumerate(map(np.concatenate, zip(self.training, self.later, strict=True))):
            for origin in self.question.origins:
                stop = len(self.training[index]) + origin
                first = max(0, stop - _CONTEXT)
                at = moments(self.starts[index], self.question.frequency, first, 1)[0]
                found.append(Context(index, at, rows[first:stop]))
        return found

    def write(self, folder: Path) -> None:
        """As `job.json`, `training.csv` and `later.csv`, which are long tables of `unique_id`, `ds` and `y`."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {"question": asdict(self.question), "effort": asdict(self.effort)}
        (folder / "job.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
        before = [len(part) for part in self.training]
        self._write_rows(folder / "training.csv", self.training, [0] * len(before))
        self._write_rows(folder / "later.csv", self.later, before)

    def _write_rows(self, file: Path, parts: tuple[np.ndarray, ...], firsts: list[int]) -> None:
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(("unique_id", "ds", "y"))
            for name, start, part, first in zip(self.names, self.starts, parts, firsts, strict=True):
                times = moments(start, self.question.frequency, first, len(part))
                writer.writerows((name, at, repr(float(y))) for at, y in zip(times, part, strict=True))

    @classmethod
    def read(cls, folder: Path) -> Job:
        """The inverse of `write`."""
        content = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        question = content["question"] | {"origins": tuple(content["question"]["origins"])}
        starts, training = _read_rows(folder / "training.csv")
        _, later = _read_rows(folder / "later.csv")
        return cls(
            Question(**question),
            Effort(**content["effort"]),
            tuple(training),
            tuple(starts[name] for name in training),
            tuple(np.array(rows) for rows in training.values()),
            tuple(np.array(later.get(name, []), float) for name in training),
        )


def moments(start: str, frequency: str, first: int, count: int) -> list[str]:
    """The times of `count` rows from the `first` on, ISO 8601."""
    unit = _UNITS[frequency]
    times = np.datetime64(start, unit) + np.arange(first, first + count)
    return [str(at) for at in times.astype("datetime64[s]")]


Forecaster = Callable[[], np.ndarray]
"""The forecasts of every context, [context, horizon]."""


def serve(fit: Callable[[Job], Forecaster], version: str, started: float) -> None:
    """Do the job in the folder that the command line names, and leave `answer.json` there.

    Args:
        fit: trains, and gives what forecasts.
        version: of the library, for readers.
        started: `time.perf_counter()` before the library was imported.
    """
    folder = Path(sys.argv[1])
    imported = time.perf_counter()
    job = Job.read(folder)
    begun = time.perf_counter()
    forecaster = fit(job)
    fitted = time.perf_counter()
    forecasts = np.asarray(forecaster(), float)
    done = time.perf_counter()
    expected = (len(job.contexts), job.question.horizon)
    if forecasts.shape != expected or not np.isfinite(forecasts).all():
        missing = int(forecasts.size - np.isfinite(forecasts).sum())
        raise SystemExit(f"forecasts are {forecasts.shape} with {missing} missing: expected {expected}, all finite")
    answer = {
        "version": version,
        "seconds": {"import": imported - started, "fit": fitted - begun, "forecast": done - fitted},
        "forecasts": forecasts.tolist(),
    }
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _read_rows(file: Path) -> tuple[dict[str, str], dict[str, list[float]]]:
    starts: dict[str, str] = {}
    values: dict[str, list[float]] = {}
    with file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            starts.setdefault(row["unique_id"], row["ds"])
            values.setdefault(row["unique_id"], []).append(float(row["y"]))
    return starts, values
