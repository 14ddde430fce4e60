"""An anomaly that no threshold finds: each value is ordinary, only its place is not.

A model that has learnt how a series goes on gives each step its surprise, −log p(x_t | x_<t). It is large where
something unexpected happens.
"""

from datetime import datetime, timedelta
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

import throughtime as tt

random = np.random.default_rng(0)
hours = [datetime(2024, 1, 1) + timedelta(hours=hour) for hour in range(1200)]
daily = np.sin(2 * np.pi * np.arange(1200) / 24)
load = 50 + 10 * daily + random.normal(0, 0.5, 1200)

PLANTED = 1111
tampered = load.copy()
tampered[PLANTED] = 100 - load[PLANTED]  # within the range of the day, at the wrong hour

with TemporaryDirectory() as folder:
    training = tt.prepare(
        tt.read_series(pl.DataFrame({"time": hours, "load": load})),
        f"{folder}/run",
        task={"horizon": 12, "lookback": 60},
        family={"hidden_size": 16},
        training={"epochs": 4},
        optimizer={"learning_rate": 0.01},
    )
    training.fit()
    run = training.run
    surprise = run.surprise(run.read(pl.DataFrame({"time": hours, "load": tampered})))

worst = surprise.most(1).row(0, named=True)
ordinary = surprise.frame()["surprise"].median()
assert load.min() < tampered[PLANTED] < load.max()
assert worst["time"] == hours[PLANTED]
assert worst["surprise"] > ordinary + 5
print(f"most surprising: {worst['time']}, {worst['surprise']:.1f} nats against a median of {ordinary:.1f}")
