"""The 414 hourly series of the M4 competition, 48 hours ahead, all by one model."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from _common import DATA

from throughtime import prepare, read_series
from throughtime.data import Split
from throughtime.evaluation import metrics

from .protocol import Protocol

TRAIN, TEST = "m4/Hourly-train.csv", "m4/Hourly-test.csv"
HORIZON, PERIOD = 48, 24
CASES: dict[str, dict[str, Any]] = {
    "GRU": {"family": {"name": "gru", "hidden_size": 64}},
    "SegRNN": {"family": {"name": "segrnn", "hidden_size": 128, "segment": 24}},
}
_SAMPLES = 100


def read(name: str) -> dict[str, np.ndarray]:
    """The values of each series by name."""
    with (DATA / name).open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {row[0]: np.array([float(cell) for cell in row[1:] if cell]) for row in rows}


def run(model: str, seed: int, folder: Path) -> dict[str, float]:
    past, future = read(TRAIN), read(TEST)
    frame = pl.DataFrame(
        {
            "unique_id": np.concatenate([[name] * len(values) for name, values in past.items()]),
            "ds": np.concatenate([np.arange(len(values)) for values in past.values()]),
            "y": np.concatenate(list(past.values())),
        }
    )
    data = read_series(frame, calendar="none")
    training = prepare(
        data,
        folder / "run",
        task={"horizon": HORIZON, "lookback": 8 * PERIOD, "period": PERIOD, "batch_size": 64, "windows": 8192,
              "split": Split(1, validation=HORIZON, test=0)},
        training={"seed": seed, "time_budget": 480},
        **CASES[model],
    )  # fmt: skip
    training.fit()
    made = {one.name: one.median[:, 0] for one in training.run.forecast(data, samples=_SAMPLES).series}
    errors = [
        (metrics.smape(future[name], made[name]), metrics.mase(future[name], made[name], values, PERIOD))
        for name, values in past.items()
    ]
    smape, mase = np.mean(errors, axis=0)
    return {"sMAPE": float(smape), "MASE": float(mase)}


PROTOCOL = Protocol(
    name="m4",
    title="M4, hourly",
    data=(TRAIN, TEST),
    words="""One model of all 414 series, each standardised by itself; the last 48 hours of each training series choose
    the epoch, and the weights are not fitted to them. 48 hours are forecast after the end of each, once; the forecast
    is the median. Errors are averaged over the hours of a series, then over the series, as the organisers do; MASE is
    relative to repeating the day before within the training series. Sizes, eight days of look-back and eight minutes of
    training at most were set once, and none was searched for.""",
    metrics=("sMAPE", "MASE"),
    published={
        "ES-RNN": {"sMAPE": 9.328, "MASE": 0.893},
        "seasonal naive": {"sMAPE": 13.912, "MASE": 1.193},
        "organisers' RNN": {"sMAPE": 14.698, "MASE": 3.048},
    },
    source="Makridakis et al., the M4 competition's evaluation, <https://github.com/Mcompetitions/M4-methods>",
    models=tuple(CASES),
    run=run,
)
