"""NeuralForecast's LSTM, GRU and NHITS, in an environment of its own."""

from __future__ import annotations

import logging
import os
import time
import warnings

started = time.perf_counter()
warnings.simplefilter("ignore")
os.environ["NIXTLA_ID_AS_COL"] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from job import Forecaster, Job, serve  # noqa: E402
from neuralforecast import NeuralForecast, __version__  # noqa: E402
from neuralforecast.models import GRU, LSTM, NHITS  # noqa: E402

MODELS = {"LSTM": LSTM, "GRU": GRU, "NHITS": NHITS}
QUIET = {"enable_progress_bar": False, "logger": False, "enable_checkpointing": False, "enable_model_summary": False}


def fit(job: Job) -> Forecaster:
    question, effort = job.question, job.effort
    given = {} if effort.budget is None else {"max_steps": effort.budget}
    if effort.lookback is not None:
        given["input_size"] = effort.lookback
    trainer = QUIET | {"accelerator": "cpu", "max_time": {"seconds": effort.cap}}
    model = MODELS[effort.model](h=question.horizon, random_seed=effort.seed, **trainer, **given)
    engine = NeuralForecast(models=[model], freq=question.frequency)
    rows = zip(job.names, job.starts, job.training, strict=True)
    engine.fit(pd.concat(frame(name, start, values, question.frequency) for name, start, values in rows))

    def forecast() -> np.ndarray:
        places = [
            frame(f"{place:06d}", context.start, context.values, question.frequency)
            for place, context in enumerate(job.contexts)
        ]
        found = engine.predict(pd.concat(places)).sort_values(["unique_id", "ds"])
        return found[effort.model].to_numpy().reshape(len(places), question.horizon)

    return forecast


def frame(name: str, start: str, values: np.ndarray, frequency: str) -> pd.DataFrame:
    times = pd.date_range(start, periods=len(values), freq=frequency)
    return pd.DataFrame({"unique_id": name, "ds": times, "y": values})


if __name__ == "__main__":
    for name in ("pytorch_lightning", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    serve(fit, f"NeuralForecast {__version__}", started)
