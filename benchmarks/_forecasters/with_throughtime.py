"""This library, as it is: nothing is chosen but the horizon, and the season where the times do not tell it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

started = time.perf_counter()

import os  # noqa: E402

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402
import torch  # noqa: E402
from job import Forecaster, Job, moments, serve  # noqa: E402

import throughtime as tt  # noqa: E402
from throughtime.artifacts import SeriesRun  # noqa: E402

SAMPLES = 200


def fit(job: Job) -> Forecaster:
    effort = job.effort
    folder = tempfile.TemporaryDirectory()
    training = {"seed": effort.seed, "time_budget": effort.cap}
    if effort.budget is not None:
        training["epochs"] = effort.budget
    data, task = series(job, job.training), {"horizon": job.question.horizon}
    prepared = tt.prepare(data, Path(folder.name) / "run", task=task, training=training)
    prepared.fit()
    run = prepared.run
    assert isinstance(run, SeriesRun)

    def forecast() -> np.ndarray:
        with folder:
            if job.question.origins == (0,):
                found = run.forecast(data, samples=SAMPLES, seed=effort.seed)
                return np.stack([one.median[:, 0] for one in found.series])
            return rolling(job, run)

    return forecast


def rolling(job: Job, run: SeriesRun) -> np.ndarray:
    """Forecasts at many origins of the same series."""
    data = series(job, tuple(map(np.concatenate, zip(job.training, job.later, strict=True))))
    found = []
    for one, training in zip(data.series, job.training, strict=True):
        origins = len(training) + np.array(job.question.origins)
        horizon, seed = job.question.horizon, job.effort.seed
        paths = run.paths_at(one, one.known, origins, horizon, SAMPLES, seed)
        found.append(np.median(paths, axis=0)[:, :, 0].T)
    return np.concatenate(found)


def series(job: Job, parts: tuple[np.ndarray, ...]):
    """Long rows as they would be read from a file."""
    rows = {"unique_id": [], "ds": [], "y": []}
    for name, start, values in zip(job.names, job.starts, parts, strict=True):
        rows["unique_id"] += [name] * len(values)
        rows["ds"] += moments(start, job.question.frequency, 0, len(values))
        rows["y"] += values.tolist()
    return tt.read_series(pl.DataFrame(rows).with_columns(pl.col("ds").str.to_datetime()), id="unique_id", targets="y")


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    serve(fit, f"throughtime {tt.__version__}", started)
