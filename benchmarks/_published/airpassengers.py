"""Airline passengers by the month, the last year ahead, with no option but the horizon."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from _common import DATA

from throughtime import prepare, read_series
from throughtime.evaluation import metrics

from .protocol import Protocol

FILE = "stat/AirPassengers.csv"
HORIZON = 12
WHOLE, GIVEN = "144 months, 12 held out", "132 months given"


def run(model: str, seed: int, folder: Path) -> dict[str, float]:
    whole = pl.read_csv(DATA / FILE)
    data = read_series(whole if model == WHOLE else whole[:-HORIZON])
    training = prepare(data, folder / "run", task={"horizon": HORIZON}, training={"seed": seed})
    training.fit()
    made = training.run.forecast(data, hold_out=model == WHOLE).series[0]
    truth = whole["Passengers"].to_numpy()[-HORIZON:, None]
    return {"MAE": metrics.mae(truth, made.median), "fitting s": training.position.elapsed}


PROTOCOL = Protocol(
    name="airpassengers",
    title="AirPassengers, the last 12 months",
    data=(FILE,),
    words="""`throughtime train --horizon 12`, as it stands, which leaves the last 12 months of what it is given for
    testing and chooses the epoch by the 12 before. Of the whole file 120 months train, 1959 chooses, and 1960 is
    forecast as the test part. Of the first 132 months, which is what others were given, 108 train, 1958 chooses, 1959
    is left for testing, and 1960 is forecast as what comes next. No value of 1960 is seen by any choice; the defaults
    were chosen on the years 1955 to 1959, each forecast from those before it. MAE is in thousands of passengers;
    that of repeating the year before is 47.8.""",
    metrics=("MAE", "fitting s"),
    published={},
    source="none; [other libraries](peers.md) were measured here, in one run",
    models=(GIVEN, WHOLE),
    run=run,
)
