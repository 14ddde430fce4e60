"""A batch of a run's own kind, to look at gradients on."""

from __future__ import annotations

from .._errors import DataError
from .._types import Batch
from ..artifacts import Run, SeriesRun, SymbolRun
from ..data import SeriesData, SoundData, TextData, Windows, shifted
from .symbols import streams_of


def first_batch(run: Run, data: SeriesData | TextData | SoundData, steps: int | None = None) -> Batch:
    """The first sequences of `data` side by side, as the run reads them in training.

    Args:
        data: read by the run.
        steps: how many steps each has; as many as in training by default.

    Raises:
        DataError: where the data is shorter than that.
    """
    if isinstance(run, SeriesRun):
        assert isinstance(data, SeriesData)
        task = run.task
        steps = task.lookback + task.horizon if steps is None else steps
        pairs = [
            shifted(run.scaler_of(series, task.lookback).view(series.name, series.observed), series.known)
            for series in data.series
        ]
        long_enough = [pair for pair in pairs if len(pair) >= steps]
        if not long_enough or steps < 2:
            longest = max(map(len, pairs))
            raise DataError(f"the longest series has {longest} steps, {steps} are asked for: ask for fewer, 2 at least")
        return next(Windows(long_enough, steps - 1, 1, task.batch_size, count_lookback=True).batches(0))
    assert isinstance(run, SymbolRun)
    assert not isinstance(data, SeriesData)
    steps = run.task.steps if steps is None else steps
    if not 1 <= steps < len(data.tokens):
        raise DataError(f"the data has {len(data.tokens) - 1} steps, {steps} are asked for: 1 at least")
    return next(streams_of(run.task, data.tokens, steps).batches(0))
