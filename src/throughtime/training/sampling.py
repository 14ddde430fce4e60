"""A batch of a run's own kind, to look at gradients on."""

from __future__ import annotations

from .._errors import DataError
from .._types import Batch
from ..artifacts import LabelRun, MusicRun, Run, SeriesRun, SymbolRun
from ..data import Excerpt, Labelled, MusicData, Sequences, SeriesData, SoundData, TextData, Verdicts, shifted
from ..gradients import Truncated, strategy_named
from ..models import DirectForecaster
from .series import steps_of, windows_of
from .symbols import streams_of


def first_batch(
    run: Run, data: SeriesData | TextData | SoundData | Labelled | MusicData, steps: int | None = None
) -> Batch:
    """The first sequences of `data` side by side, as the run reads them in training.

    Args:
        data: read by the run.
        steps: how many steps each has; by default as many as in training, of music the first stretch where it is
            trained in stretches. Labelled sequences and pieces of music have them at most.

    Raises:
        DataError: where the data is shorter than that.
    """
    if isinstance(run, LabelRun):
        assert isinstance(data, Labelled)
        return _verdicts(run, data, steps)
    if isinstance(run, MusicRun):
        assert isinstance(data, MusicData)
        return _pieces(run, data, steps)
    if isinstance(run, SeriesRun):
        assert isinstance(data, SeriesData)
        whole = steps_of(run)
        if isinstance(run.model, DirectForecaster) and steps not in (None, whole):
            raise DataError(f"{steps} steps are asked for, a direct forecast reads {whole}, no more or less")
        steps = whole if steps is None else steps
        pairs = [
            shifted(run.scaler_of(series, run.task.lookback).view(series.name, series.observed), series.known)
            for series in data.series
        ]
        long_enough = [pair for pair in pairs if len(pair) >= steps]
        if not long_enough or steps < 2:
            longest = max(map(len, pairs))
            raise DataError(f"the longest series has {longest} steps, {steps} are asked for: ask for fewer, 2 at least")
        return next(windows_of(run, long_enough, steps).batches(0))
    assert isinstance(run, SymbolRun)
    assert isinstance(data, (TextData, SoundData))
    steps = run.task.steps if steps is None else steps
    if not 1 <= steps < len(data.tokens):
        raise DataError(f"the data has {len(data.tokens) - 1} steps, {steps} are asked for: 1 at least")
    return next(streams_of(run.task, data.tokens, steps).batches(0))


def _verdicts(run: LabelRun, data: Labelled, steps: int | None) -> Batch:
    """The first cases, each with so many steps at most, and the loss at the last of them."""
    few = data.take(range(min(len(data), run.task.batch_size)))
    longest = max(map(len, few.sequences))
    if steps is not None and not 2 <= steps <= longest:
        raise DataError(
            f"the longest of the first {len(few)} cases has {longest} steps, {steps} are asked for: from 2 to {longest}"
        )
    return next(Verdicts([one[:steps] for one in run.inputs(few)], run.scaled_targets(few), len(few)).batches(0))


def _pieces(run: MusicRun, data: MusicData, steps: int | None) -> Batch:
    few = [one.roll for one in run.excerpts(data)[: run.task.batch_size]]
    longest = max(map(len, few))
    if steps is not None and not 1 <= steps <= longest:
        raise DataError(
            f"the longest of the first {len(few)} pieces has {longest} frames, {steps} are asked for: ask for fewer"
        )
    strategy = strategy_named(run.configuration.training.strategy)
    if steps is None and isinstance(strategy, Truncated):
        steps = strategy.k1
    return next(Sequences([Excerpt("", piece[:steps]).pair for piece in few], len(few)).batches(0))
