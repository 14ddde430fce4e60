"""ETTh1, the load and oil temperature of a transformer by the hour: all seven columns, 96 to 720 hours ahead."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch
from _common import DATA

from throughtime import prepare, read_series
from throughtime.artifacts import SeriesRun
from throughtime.data import Split
from throughtime.models import DirectForecaster

from .protocol import Protocol

FILE = "ett/ETTh1.csv"
MONTH = 30 * 24
FAMILIES = {"SegRNN": {"name": "segrnn", "hidden_size": 256, "segment": 48, "dropout": 0.5}}
_WINDOWS_AT_ONCE = 256
HORIZONS = (96, 192, 336, 720)
_PAPER = "Lin et al., SegRNN, 2023, <https://arxiv.org/abs/2308.11200>"
SOURCES = {
    720: f"{_PAPER}, table 2",
    96: f"{_PAPER}; the figures of its repository, the last batch of the test included",
}
PUBLISHED = {
    720: {
        "SegRNN": ((0.351, 0.392), (0.392, 0.414), (0.423, 0.433), (0.466, 0.472)),
        "PatchTST": ((0.375, 0.404), (0.418, 0.430), (0.462, 0.460), (0.495, 0.497)),
        "DLinear": ((0.381, 0.407), (0.419, 0.430), (0.454, 0.456), (0.499, 0.512)),
        "GRU": ((1.135, 0.844), (1.123, 0.814), (1.080, 0.807), (1.089, 0.822)),
    },
    96: {"SegRNN": ((0.368, 0.395), (0.408, 0.419), (0.444, 0.440), (0.446, 0.457))},
}
"""By the hours that are read, then at each horizon."""


@torch.inference_mode()
def errors(run: SeriesRun, values: np.ndarray, start: int) -> dict[str, float]:
    """Mean squared and absolute error of the medians, over all windows whose first target is row `start` or later."""
    assert isinstance(run.model, DirectForecaster)
    model, horizon = run.model.eval(), run.task.horizon
    scaled = torch.as_tensor(run.scaler.transform("", values), dtype=torch.float32)
    squared = absolute = count = 0.0
    origins = range(start, len(values) - horizon + 1)
    for first in range(origins.start, origins.stop, _WINDOWS_AT_ONCE):
        rows = range(first, min(first + _WINDOWS_AT_ONCE, origins.stop))
        seen = torch.stack([scaled[row - run.task.lookback : row] for row in rows], 1)
        truth = torch.stack([scaled[row : row + horizon] for row in rows], 1)
        error = (model.distribution(seen, horizon).base_dist.loc - truth).double()
        squared, absolute = squared + float(error.square().sum()), absolute + float(error.abs().sum())
        count += error.numel()
    return {"MSE": squared / count, "MAE": absolute / count}


def run(lookback: int, horizon: int, model: str, seed: int, folder: Path) -> dict[str, float]:
    frame = pl.read_csv(DATA / FILE).drop("date").head(20 * MONTH)
    training = prepare(
        read_series(frame, calendar="none"),
        folder / "run",
        task={"horizon": horizon, "lookback": lookback, "batch_size": 64, "windows": 12 * MONTH, "period": 24,
              "transform": "none", "split": Split(1, validation=4 * MONTH, test=4 * MONTH)},
        family=FAMILIES[model],
        training={"epochs": 10, "patience": 3, "seed": seed},
        optimizer={"learning_rate": 1e-3},
    )  # fmt: skip
    training.fit()
    return errors(training.run, frame.to_numpy(), 16 * MONTH)


def protocol_of(lookback: int, horizon: int) -> Protocol:
    place = HORIZONS.index(horizon)
    return Protocol(
        name=f"ett-{horizon}" if lookback == 720 else f"ett-{horizon}-from-{lookback}",
        title=f"ETTh1 at {horizon} hours from {lookback}",
        data=(FILE,),
        words=f"""Twelve months to train on, four to choose the epoch with, four to test on, all seven columns
        standardised by the training part, and the errors taken so. {lookback} hours are read; every window of the test
        part is forecast, the last ones too, {4 * MONTH - horizon + 1:,} in all. Trained by the continuous ranked
        probability score; the forecast is the median. That score was chosen before the likelihood by the validation
        part at 96 hours from 720, in trials that printed the test figures beside it; the size was not searched.""",
        metrics=("MSE", "MAE"),
        published={
            name: dict(zip(("MSE", "MAE"), figures[place], strict=True))
            for name, figures in PUBLISHED[lookback].items()
        },
        source=SOURCES[lookback],
        models=tuple(FAMILIES),
        run=partial(run, lookback, horizon),
    )


PROTOCOLS = tuple(protocol_of(lookback, horizon) for lookback in PUBLISHED for horizon in HORIZONS)
