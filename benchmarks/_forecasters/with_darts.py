"""Darts' recurrent, convolutional and NHiTS models, and exponential smoothing, in an environment of its own."""

from __future__ import annotations

import logging
import os
import time
import warnings

started = time.perf_counter()
warnings.simplefilter("ignore")

import darts  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from darts import TimeSeries  # noqa: E402
from darts.dataprocessing.transformers import Scaler  # noqa: E402
from darts.models import ExponentialSmoothing, NHiTSModel, RNNModel, TCNModel  # noqa: E402
from job import Forecaster, Job, serve  # noqa: E402

QUIET = {"enable_progress_bar": False, "logger": False, "enable_checkpointing": False, "enable_model_summary": False}


def fit(job: Job) -> Forecaster:
    question, effort = job.question, job.effort
    training = [
        series(start, values, question.frequency) for start, values in zip(job.starts, job.training, strict=True)
    ]
    if effort.model == "ExponentialSmoothing":
        return smoothed(training, question.horizon, question.period)
    scaler = Scaler().fit(training)
    model = network(job)
    model.fit(scaler.transform(training))

    def forecast() -> np.ndarray:
        contexts = job.contexts
        places = [context.series for context in contexts]
        rows = [series(context.start, context.values, question.frequency) for context in contexts]
        scaled = scaler.transform(rows, series_idx=places)
        found = model.predict(question.horizon, series=scaled, verbose=False)
        return np.stack([one.values()[:, 0] for one in scaler.inverse_transform(found, series_idx=places)])

    return forecast


def network(job: Job):
    """The model at its defaults; of those that must be told how much to read, a forecast's length is told too."""
    horizon, effort = job.question.horizon, job.effort
    lookback = effort.lookback or 2 * horizon
    given = {} if effort.budget is None else {"n_epochs": effort.budget}
    trainer = QUIET | {"accelerator": "cpu", "max_time": {"seconds": effort.cap}}
    given |= {"input_chunk_length": lookback, "random_state": effort.seed, "pl_trainer_kwargs": trainer}
    if effort.model == "RNNModel (LSTM)":
        return RNNModel(model="LSTM", training_length=lookback + horizon, **given)
    return {"TCNModel": TCNModel, "NHiTSModel": NHiTSModel}[effort.model](output_chunk_length=horizon, **given)


def smoothed(training: list[TimeSeries], horizon: int, period: int) -> Forecaster:
    """A fit a series, each of which forecasts what follows it."""
    models = [ExponentialSmoothing(seasonal_periods=period).fit(one) for one in training]
    return lambda: np.stack([model.predict(horizon).values()[:, 0] for model in models])


def series(start: str, values: np.ndarray, frequency: str) -> TimeSeries:
    times = pd.date_range(start, periods=len(values), freq=frequency)
    return TimeSeries.from_times_and_values(times, values.astype(np.float32))


if __name__ == "__main__":
    for name in ("pytorch_lightning", "lightning", "darts"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    serve(fit, f"Darts {darts.__version__}", started)
