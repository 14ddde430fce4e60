"""The exchange rates of eight countries by the day, 3 to 24 days ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from _common import DATA

from throughtime import prepare, read_series
from throughtime.data import Split

from .protocol import Protocol

FILE = "exchange_rate/exchange_rate.txt.gz"
STEPS = (3, 6, 12, 24)
CASES: dict[str, dict[str, Any]] = {
    "GRU": {"family": {"name": "gru", "hidden_size": 32}},
    "SegRNN": {"family": {"name": "segrnn", "hidden_size": 64, "segment": 12}},
    "AR(1)": {"family": "ar:1"},
}
_SAMPLES = 100


def run(model: str, seed: int, folder: Path) -> dict[str, float]:
    values = np.loadtxt(DATA / FILE, delimiter=",")
    data = read_series(pl.DataFrame(values, schema=[f"rate {n}" for n in range(1, 9)]), calendar="none")
    training = prepare(
        data,
        folder / "run",
        task={"horizon": max(STEPS), "lookback": 96, "period": 1, "split": Split(0.6, 0.2, 0.2)},
        training={"seed": seed},
        **CASES[model],
    )
    training.fit()
    run, series = training.run, data.series[0]
    first = run.task.split.bounds(len(values))[1]
    rows = np.arange(first, len(values))
    origins = np.arange(first - max(STEPS) + 1, len(values) - min(STEPS) + 1)
    nothing = np.zeros((len(values) + max(STEPS), 0))
    made = np.median(run.paths_at(series, nothing, origins, max(STEPS), _SAMPLES, seed=0), axis=0)
    found = {}
    for step in STEPS:
        begin = max(STEPS) - step
        error = made[step - 1, begin : begin + len(rows)] - values[rows]
        found[f"RSE at {step}"] = float(np.sqrt(np.square(error).mean()) / values[rows].std())
    return found


def _figures(*figures: float) -> dict[str, float]:
    return {f"RSE at {step}": figure for step, figure in zip(STEPS, figures, strict=True)}


PROTOCOL = Protocol(
    name="exchange",
    title="Exchange rates",
    data=(FILE,),
    words="""7,588 days of eight rates: the first 60 % to train on, 20 % to choose the epoch with, 20 % to test on.
    One model forecasts 24 days; the root relative squared error is taken of its 3rd, 6th, 12th and 24th alone, over
    every day of the test part and all eight rates, relative to the deviation of all of these values together. Each
    rate is standardised by the training part; the forecast is the median. Sizes and 96 days of look-back were set once,
    and none was searched for.""",
    metrics=tuple(f"RSE at {step}" for step in STEPS),
    published={
        "AR": _figures(0.0228, 0.0279, 0.0353, 0.0445),
        "GRU": _figures(0.0192, 0.0264, 0.0408, 0.0626),
        "LSTNet": _figures(0.0226, 0.0280, 0.0356, 0.0449),
    },
    source="Liu et al., SCINet, 2022, appendix, <https://arxiv.org/abs/2106.09305>",
    models=tuple(CASES),
    run=run,
)
