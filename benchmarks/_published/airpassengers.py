"""Airline passengers by the month, the last year ahead, with no option but the horizon."""

from __future__ import annotations

from pathlib import Path

from _common import DATA

from throughtime import prepare, read_series
from throughtime.evaluation import metrics

from .protocol import Protocol

FILE = "stat/AirPassengers.csv"


def run(model: str, seed: int, folder: Path) -> dict[str, float]:
    data = read_series(DATA / FILE)
    training = prepare(data, folder / "run", task={"horizon": 12}, training={"seed": seed})
    training.fit()
    made = training.run.forecast(data, hold_out=True).series[0]
    assert made.truth is not None
    return {"MAE": metrics.mae(made.truth, made.median), "fitting s": training.position.elapsed}


PROTOCOL = Protocol(
    name="airpassengers",
    title="AirPassengers, the last 12 months",
    data=(FILE,),
    words="""`throughtime train AirPassengers.csv --horizon 12`, as it stands: 120 months train, 12 choose the epoch,
    the last 12 are forecast, and no value of them is seen by any choice. The defaults were chosen on the years 1955 to
    1959, each forecast from those before it. MAE is in thousands of passengers.""",
    metrics=("MAE", "fitting s"),
    published={
        "seasonal naive": {"MAE": 47.8},
        "NeuralForecast LSTM": {"MAE": 13.1},
        "GluonTS DeepAR": {"MAE": 13.6},
        "Darts RNN": {"MAE": 34.0},
    },
    source="measured 2026-11-20 on 2 cores, the best of three seeds each; beside each other in peers.md",
    models=("defaults",),
    run=run,
)
