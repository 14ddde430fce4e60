"""GluonTS' DeepAR, in PyTorch, in an environment of its own."""

from __future__ import annotations

import logging
import os
import time
import warnings

started = time.perf_counter()
warnings.simplefilter("ignore")

import gluonts  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from gluonts.dataset.common import ListDataset  # noqa: E402
from gluonts.torch.model.deepar import DeepAREstimator  # noqa: E402
from job import Forecaster, Job, serve  # noqa: E402
from lightning.pytorch import seed_everything  # noqa: E402

FREQUENCIES = {"MS": "M", "h": "h"}
QUIET = {"enable_progress_bar": False, "logger": False, "enable_model_summary": False}


def fit(job: Job) -> Forecaster:
    question, effort = job.question, job.effort
    frequency = FREQUENCIES[question.frequency]
    seed_everything(effort.seed, workers=True)
    trainer = QUIET | {"accelerator": "cpu", "max_time": {"seconds": effort.cap}}
    if effort.budget is not None:
        trainer["max_epochs"] = effort.budget
    estimator = DeepAREstimator(
        freq=frequency, prediction_length=question.horizon, context_length=effort.lookback, trainer_kwargs=trainer
    )
    predictor = estimator.train(dataset(zip(job.names, job.starts, job.training, strict=True), frequency))

    def forecast() -> np.ndarray:
        rows = ((str(place), context.start, context.values) for place, context in enumerate(job.contexts))
        return np.stack([found.quantile(0.5) for found in predictor.predict(dataset(rows, frequency))])

    return forecast


def dataset(rows, frequency: str) -> ListDataset:
    return ListDataset(
        [{"item_id": name, "start": pd.Period(start, frequency), "target": values} for name, start, values in rows],
        freq=frequency,
    )


if __name__ == "__main__":
    for name in ("pytorch_lightning", "lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    serve(fit, f"GluonTS {gluonts.__version__}", started)
