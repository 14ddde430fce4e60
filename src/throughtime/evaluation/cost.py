"""What a model costs in use: seconds a step of a density, and of a sample."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..artifacts import Run, SeriesRun, SymbolRun
from ..data import SeriesData, SoundData, TextData
from ..models import DirectForecaster, device_of

_DENSITY_STEPS, _SAMPLED_STEPS = 256, 64
_REPEATS = 5


@torch.inference_mode()
def density_seconds(run: Run, data: SeriesData | TextData | SoundData) -> float:
    """Seconds a step to tell the density of one sequence that is there, all steps at hand: the median of 5."""
    x, known = _beginning(run, data)
    model: Any = run.model
    if isinstance(model, DirectForecaster):
        rows = torch.cat([x, *known.values()], -1)
        return _seconds(lambda: model.next_step(rows)[0].log_prob(x)) / len(x)
    return _seconds(lambda: model.log_prob(x, **known)) / len(x)


@torch.inference_mode()
def sampling_seconds(run: Run, data: SeriesData | TextData | SoundData) -> float:
    """Seconds a step to draw one sequence, each step fed back for the next: the median of 5."""
    x, known = _beginning(run, data)
    model: Any = run.model
    if isinstance(model, DirectForecaster):
        steps = model.horizon
        known = {name: torch.cat([part, part[-1:].expand(steps, -1, -1)]) for name, part in known.items()}
        draw = partial(model.forecast, x, steps, samples=1, **known)
    else:
        steps = min(len(x), _SAMPLED_STEPS)
        draw = partial(model.sample, steps, **{name: part[:steps] for name, part in known.items()})
    with torch.random.fork_rng(devices=[]):
        return _seconds(draw) / steps


def _beginning(run: Run, data: SeriesData | TextData | SoundData) -> tuple[Tensor, dict[str, Any]]:
    """The first steps of the data, [time, 1, …], as the model reads them, and what is known of them in advance."""
    device = device_of(run.model.eval())
    if isinstance(run, SymbolRun):
        assert not isinstance(data, SeriesData)
        symbols = np.asarray(data.tokens[:_DENSITY_STEPS]).astype(np.int64)
        return torch.as_tensor(symbols, device=device)[:, None], {}
    assert isinstance(run, SeriesRun)
    assert isinstance(data, SeriesData)
    series = data.series[0]
    values = run.scaler_of(series, run.task.lookback).view(series.name, series.observed)
    x, known = (
        torch.as_tensor(np.ascontiguousarray(part[:_DENSITY_STEPS]), dtype=torch.float32, device=device)[:, None]
        for part in (values, series.known)
    )
    return x, {"known": known} if known.shape[-1] else {}


def _seconds(work: Callable[[], Tensor]) -> float:
    work().sum().item()
    taken = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        work().sum().item()  # which waits for what runs beside Python
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)
