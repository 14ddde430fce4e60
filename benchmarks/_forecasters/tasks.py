"""What is forecast, from the public data sets, and how it is scored."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from _common import data_file

from throughtime.evaluation.baselines import SeasonalNaive
from throughtime.evaluation.metrics import mae, mase, mse, smape

from .job import Effort, Job, Question


@dataclass(frozen=True)
class Material:
    """The rows of a task.

    Args:
        names, starts, training, later: as a `Job` has them.
        truth: what came to be in each context, [context, horizon].
    """

    names: tuple[str, ...]
    starts: tuple[str, ...]
    training: tuple[np.ndarray, ...]
    later: tuple[np.ndarray, ...]
    truth: np.ndarray


@dataclass(frozen=True)
class Task:
    """A question on data of its own.

    Args:
        name: as the command line takes it.
        title: what readers see.
        words: the data, what is held out, and what is counted.
        file: of the data folder, without which there is no such task.
        question: what is to be forecast.
        material: reads the rows.
        lookback: rows that all read; None where it is left to the libraries.
        year: of several alike, each forecast from those before it, which; they share a table.
    """

    name: str
    title: str
    words: str
    file: str
    question: Question
    material: Callable[[Question], Material]
    lookback: int | None = None
    year: int | None = None

    @property
    def swept(self) -> bool:
        """Whether several budgets are tried."""
        return self.lookback is not None and self.year is None

    @cached_property
    def rows(self) -> Material:
        """All of them."""
        return self.material(self.question)

    def job(self, effort: Effort) -> Job:
        """What a worker is told of it."""
        rows = self.rows
        return Job(self.question, effort, rows.names, rows.starts, rows.training, rows.later)

    def figures(self, forecasts: np.ndarray) -> dict[str, float]:
        """Each metric of forecasts, [context, horizon]."""
        return METRICS[self.name.partition("-")[0]](forecasts, self.rows, self.question)

    def naive(self) -> dict[str, float]:
        """The figures of the season before, which cost nothing."""
        baseline = SeasonalNaive(self.question.period)
        contexts = self.job(Effort("seasonal naive")).contexts
        made = [baseline.forecast(context.values, self.question.horizon)[0] for context in contexts]
        return self.figures(np.stack(made))


def passengers(question: Question, year: int = 1960) -> Material:
    rows = _columns("stat/AirPassengers.csv")
    values = np.array(rows["Passengers"][: 12 * (year - 1948)], float)
    known = values[: -question.horizon]
    start = f"{rows['Date'][0]}-01"
    return Material(("passengers",), (start,), (known,), (np.empty(0),), values[None, -question.horizon :])


def m4_hourly(question: Question) -> Material:
    training, test = (_ragged(f"m4/Hourly-{part}.csv") for part in ("train", "test"))
    names = tuple(training)
    truth = np.stack([test[name][: question.horizon] for name in names])
    # The archive has no times: the same hour for all is as wrong for every library.
    starts = ("2000-01-01T00:00:00",) * len(names)
    return Material(names, starts, tuple(training.values()), (np.empty(0),) * len(names), truth)


def etth1(question: Question) -> Material:
    rows = _columns("ett/ETTh1.csv")
    values = np.array(rows["OT"], float)
    known, end = 12 * 30 * 24 + 4 * 30 * 24, 20 * 30 * 24
    places = known + np.array(question.origins)[:, None] + np.arange(question.horizon)
    start = rows["date"][0].replace(" ", "T")
    return Material(("OT",), (start,), (values[:known],), (values[known:end],), values[places])


def _columns(name: str) -> dict[str, list[str]]:
    with data_file(name).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {column: [row[column] for row in rows] for column in rows[0]}


def _ragged(name: str) -> dict[str, np.ndarray]:
    """A series a row: its name, then its values, then cells that are empty."""
    with data_file(name).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    return {row[0]: np.array([cell for cell in row[1:] if cell not in ("", "NA")], float) for row in rows}


def _of_passengers(forecasts: np.ndarray, rows: Material, question: Question) -> dict[str, float]:
    return {"MAE": mae(rows.truth, forecasts)}


def _of_m4(forecasts: np.ndarray, rows: Material, question: Question) -> dict[str, float]:
    scaled = [
        mase(truth, forecast, history, question.period)
        for truth, forecast, history in zip(rows.truth, forecasts, rows.training, strict=True)
    ]
    return {"sMAPE": smape(rows.truth, forecasts), "MASE": float(np.mean(scaled))}


def _of_etth1(forecasts: np.ndarray, rows: Material, question: Question) -> dict[str, float]:
    learnt = rows.training[0][: 12 * 30 * 24]
    scale = float(learnt.std())
    return {"MAE": mae(rows.truth, forecasts) / scale, "MSE": mse(rows.truth, forecasts) / scale**2}


METRICS = {"passengers": _of_passengers, "m4": _of_m4, "etth1": _of_etth1}
YEARS = range(1955, 1960)

TASKS = (
    Task(
        "passengers",
        "AirPassengers, the last 12 months",
        "Monthly, 1949 to 1960. The first 132 months are given, the last 12 forecast; the mean absolute error is in "
        "thousands of passengers. All peers read 24 months.",
        "stat/AirPassengers.csv",
        Question(12, 12, "MS"),
        passengers,
        24,
    ),
    Task(
        "m4",
        "M4, hourly",
        "414 series of 700 to 960 hours, the next 48 forecast by one model for all. sMAPE in percent and MASE (with a "
        "season of 24 hours) as the competition counted them. The archive has no times: every series is said to begin "
        "at one midnight.",
        "m4/Hourly-train.csv",
        Question(48, 24, "h"),
        m4_hourly,
    ),
    Task(
        "etth1",
        "ETTh1, oil temperature, 24 hours ahead",
        "Sixteen months are given, each library choosing what it validates on; then a forecast is made every 24 hours "
        "of the four months that follow, 120 in all, from the rows before it, without fitting anew. Errors are in "
        "standard deviations of the first twelve months, and their squares.",
        "ett/ETTh1.csv",
        Question(24, 24, "h", tuple(range(0, 4 * 30 * 24 - 23, 24))),
        etth1,
    ),
    *(
        Task(
            f"passengers-{year}",
            f"AirPassengers, {year}",
            f"The 12 months of {year} from those before; the mean absolute error is in thousands of passengers.",
            "stat/AirPassengers.csv",
            Question(12, 12, "MS"),
            partial(passengers, year=year),
            24,
            year,
        )
        for year in YEARS
    ),
)
