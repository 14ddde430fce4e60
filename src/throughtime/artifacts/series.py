"""Runs over series: forecasts and surprise in the data's own units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._errors import ConfigurationError, DataError, ShapeError, UnsupportedError
from .._types import State
from ..data import Scaler, Series, SeriesData, SeriesLayout, read_series, read_sound
from ..models import DirectForecaster, SequenceModel, device_of
from .configuration import SeriesTask
from .features import Track, windows
from .forecast import Forecast, SeriesForecast
from .paths import sample_paths
from .run import Run
from .surprise import Surprise
from .walking import walk

_STEPS_AT_ONCE, _WINDOWS_AT_ONCE = 4096, 256


def called(series: Series) -> str:
    """What an error calls a series; one that is alone in its file has no name."""
    return f"series {series.name!r}" if series.name else "the series"


class SeriesRun(Run):
    """A trained model of series."""

    layout: SeriesLayout
    scaler: Scaler
    task: SeriesTask

    def _restore(self) -> None:
        assert isinstance(self.configuration.task, SeriesTask)
        self.task = self.configuration.task
        self.layout = SeriesLayout.from_dict(self.data["layout"])
        self.scaler = Scaler.from_dict(self.data["scaler"])
        columns, model = self.layout.columns, self.configuration.model
        observed = len(columns.targets) + len(columns.past)
        known = len(columns.future) + len(columns.calendar)
        for what, found, wanted in (
            ("observed columns", observed, getattr(model, "observed", None)),
            ("columns known in advance", known, getattr(model, "known", None)),
        ):
            if found != wanted:
                raise ValueError(f"it has {found} {what}, the model {wanted}")

    def read(self, source: Any = None) -> SeriesData:
        """Read a CSV, Parquet or frame with the columns and rules of the training data."""
        path = self.source.verified() if source is None else source
        if self.layout.shape == "sound":
            return read_sound(path, encoding="real", sample_rate=self.layout.sample_rate).series()
        return read_series(path, layout=self.layout)

    def scaler_of(self, series: Series, rows: int) -> Scaler:
        """The scaler of training; a series not met there is scaled by its own first `rows`."""
        return self.scaler if series.name in self.scaler else self.scaler.extend(series.name, series.observed[:rows])

    def paths_at(
        self,
        series: Series,
        known: np.ndarray,
        origins: np.ndarray,
        horizon: int,
        samples: int,
        seed: int,
        progress: Callable[[float], None] = lambda share: None,
    ) -> np.ndarray:
        """Sampled futures after several origins of one series.

        Args:
            series: what was observed.
            known: what is known in advance, [time, known], reaching `horizon` rows past the last origin.
            origins: the first row of each future, [window]; the rows before it are read, `lookback` at most.
            horizon, samples, seed, progress: as in `sample_paths`.

        A series not met in training is scaled by its rows before the first origin.

        Returns:
            [sample, horizon, window, target]
        """
        self._check_horizon(horizon)
        lookback = min(self.task.lookback, int(origins.min()))
        if lookback < 1:
            raise DataError(f"{called(series)} has no row before the forecast: at least one is needed")
        scaler = self.scaler_of(series, int(origins.min()))
        values = scaler.view(series.name, series.observed)
        observed = np.stack([values[origin - lookback : origin] for origin in origins], 1)
        ahead = np.stack([known[origin - lookback : origin + horizon] for origin in origins], 1)
        assert isinstance(self.model, (SequenceModel, DirectForecaster))
        paths = sample_paths(self.model, observed, ahead, samples, seed, progress)
        return scaler.inverse(series.name, paths)[..., : len(self.layout.columns.targets)]

    def forecast(
        self,
        data: SeriesData,
        horizon: int | None = None,
        *,
        future: Any = None,
        hold_out: bool = False,
        samples: int = 200,
        seed: int = 0,
        progress: Callable[[float], None] = lambda share: None,
    ) -> Forecast:
        """Forecast what follows each series, or its last `horizon` rows if these are held out to compare with.

        Args:
            data: the series, read by `read`.
            horizon: steps to forecast; the one trained for by default.
            future: a file or frame with the future covariates of the horizon, where the model reads any.
            hold_out: forecast the last `horizon` rows from those before them; the truth is shown beside.
            samples: sampled futures.
            seed: of the draws.
            progress: is told the share that is done.

        Raises:
            DataError: if a series is too short, or future covariates do not cover the horizon.
            ConfigurationError: if future covariates are given to a model that reads none.
        """
        steps = self.task.horizon if horizon is None else horizon
        self._check_horizon(steps)
        if future is not None and not self.layout.columns.future:
            raise ConfigurationError("--future is given, but the model reads no columns of the future: leave it out")
        done = []
        for index, series in enumerate(data.series):
            done.append(self._forecast_one(data, series, steps, future, hold_out, samples, seed))
            progress((index + 1) / len(data.series))
        return Forecast(tuple(done), self.layout.columns.targets)

    def _check_horizon(self, horizon: int) -> None:
        if horizon < 1:
            raise ShapeError(f"horizon {horizon}: at least one step must be forecast")
        if isinstance(self.model, DirectForecaster) and horizon > self.model.horizon:
            raise UnsupportedError(
                f"horizon {horizon}: {self.folder} forecasts its {self.model.horizon} steps at once, no more; train "
                "with a longer --horizon, or one step after the other"
            )

    def _forecast_one(
        self, data: SeriesData, series: Series, horizon: int, future: Any, hold_out: bool, samples: int, seed: int
    ) -> SeriesForecast:
        targets = len(self.layout.columns.targets)
        end = len(series.observed)
        if hold_out:
            if end <= horizon:
                raise DataError(f"{called(series)} has {end} rows: holding out {horizon} leaves none to read")
            origin, known, times = end - horizon, series.known, series.times[-horizon:]
            truth = series.observed[-horizon:, :targets]
        else:
            known = np.concatenate([series.known, data.known_after(series, future, horizon)])
            origin, times, truth = end, data.frequency.after(series.times, horizon), None
        history = series.before(origin)
        paths = self.paths_at(history, known, np.array([origin]), horizon, samples, seed)[:, :, 0]
        return SeriesForecast(series.name, history.times, history.observed[:, :targets], times, paths, truth)

    @property
    def steps_at_once(self) -> int:
        """How many steps are scored at once: a direct forecast reads a whole window for each."""
        return _WINDOWS_AT_ONCE if isinstance(self.model, DirectForecaster) else _STEPS_AT_ONCE

    def surprise(self, data: SeriesData) -> Surprise:
        """The surprise of every row of every series, from the second on."""
        return Surprise(tuple((series.name, series.times[1:], self.score(series)) for series in data.series))

    def score(self, series: Series) -> np.ndarray:
        """The surprise −log p(x_t | x_<t) of each row from the second on, in nats and the data's own units, [time − 1].

        The state travels through the whole series; only targets count, not past covariates. A series not met in
        training is scaled by its first `lookback` rows. The surprise is NaN where a target was filled in, and where the
        row before was filled from later ones.
        """
        if len(series) < 2:
            raise DataError(f"{called(series)} has {len(series)} row: the first surprise is that of the second row")
        targets = len(self.layout.columns.targets)
        scaler = self.scaler_of(series, self.task.lookback)
        values, inputs = scaler.view(series.name, series.observed), self._inputs(series, scaler)
        self.model.eval()

        def read(part: slice, state: State) -> tuple[np.ndarray, State]:
            following = slice(part.start + 1, part.stop + 1)
            found, state = self.surprise_of(inputs(part), values[following], state)
            return found + self.units(series.name, scaler, series.observed[following]), state

        parts = [found for _, found in walk(read, len(series) - 1, self.steps_at_once)]
        surprise = np.concatenate(parts)
        if series.mended is not None:
            surprise[series.mended[1:, :targets].any(axis=1) | series.foreseen[:-1]] = np.nan
        return surprise

    @torch.inference_mode()
    def surprise_of(self, inputs: Tensor | np.ndarray, following: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """−log p of the targets of rows in nats, [time], and the state after the last one; all on the model's scale.

        Args:
            inputs: what is read before each of these rows, a tensor [time, 1, feature] or an array [time, feature].
            following: the rows, [time, target + past].
            state: before the first of them, of a model in evaluation; `None` begins a series.
        """
        read = inputs if isinstance(inputs, Tensor) else self._tensor(inputs)
        model: Any = self.model.next_step if isinstance(self.model, DirectForecaster) else self.model
        distribution, state = model(read, state)
        values = distribution.base_dist.log_prob(self._tensor(following))[:, 0, : len(self.layout.columns.targets)]
        return -values.sum(-1).double().cpu().numpy(), state

    def units(self, name: str, scaler: Scaler, rows: np.ndarray) -> np.ndarray:
        """What the data's own units add to the surprise of rows [time, target + past] of a series, in nats, [time]."""
        return np.log(scaler.spread(name, rows)[:, : len(self.layout.columns.targets)]).sum(1)

    def _tracks(self, data: SeriesData) -> list[Track]:
        """Each series, without its last row where the model reads future columns of the one after it."""
        return [self._track(series, self._known_after(data, series)) for series in data.series]

    def _known_after(self, data: SeriesData, series: Series) -> np.ndarray | None:
        """What is known of the row after the last one, [1, known]; `None` where only a file of the future knows it."""
        if not self.layout.columns.future:
            return data.known_after(series, None, 1)
        if len(series) < 2:
            raise DataError(f"{called(series)} has 1 row: the model reads it with the future columns of the next one")
        return None

    def _track(self, series: Series, after: np.ndarray | None) -> Track:
        steps = len(series) - (after is None)
        filled = None
        if series.mended is not None:
            filled = series.mended[:, : len(self.layout.columns.targets)].any(axis=1) | series.foreseen
        inputs = self._inputs(series, self.scaler_of(series, self.task.lookback), after)
        return Track(series.name, steps, "time", inputs, series.times.__getitem__, windows(steps, steps), filled)

    def _inputs(self, series: Series, scaler: Scaler, after: np.ndarray | None = None) -> Callable[[slice], Tensor]:
        """What the model reads at some rows, [time, 1, feature]: their values, and what is known of the next ones.

        Args:
            after: what is known of the row after the last one, [1, known]; without it, that cannot be read.
        """
        values = scaler.view(series.name, series.observed)

        def inputs(part: slice) -> Tensor:
            known = series.known[part.start + 1 : part.stop + 1]
            if after is not None and part.stop == len(series):
                known = np.concatenate([known, after])
            return self._tensor(np.concatenate([values[part], known], axis=1))

        return inputs

    def _tensor(self, values: np.ndarray) -> Tensor:
        """float32 [time, 1, feature], where the model is."""
        return torch.as_tensor(values, dtype=torch.float32).unsqueeze(1).to(device_of(self.model))
