"""One model trained on the rows that a fold gives it, and scored on those that it does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from .._errors import ConfigurationError, DataError, ThroughtimeError
from ..artifacts import Run, SeriesRun, called, store
from ..data import Series, SeriesData, Split
from ..training import prepare
from .backtest import Backtest, backtest
from .comparison import Metric
from .folds import Fold, Scheme
from .scores import Scores

FIGURES = {
    "mae": Metric("MAE", 1),
    "rmse": Metric("RMSE", 1),
    "mase": Metric("MASE", 1),
    "smape": Metric("sMAPE %", 1),
    "crps": Metric("CRPS", 1),
    "log_likelihood": Metric("log p", -1),
}
"""What is measured of each fold, by name; as `backtest` does."""

_SCORES = "scores.json"


@dataclass(frozen=True)
class FoldScores:
    """What one training came to on the test part of its fold.

    Args:
        fold: its number, from 1.
        seed: of training, and of the draws of the forecasts.
        origins: how many forecasts were made.
        figures: by metric: mae, rmse, mase, smape, crps, and log_likelihood, in nats a row, one step ahead.
        baselines: by name, the figures of what costs nothing; no log_likelihood.
    """

    fold: int
    seed: int
    origins: int
    figures: dict[str, float]
    baselines: dict[str, dict[str, float]]


@dataclass(frozen=True, eq=False)
class FoldTrials:
    """Trainings in the folds of the same data.

    Args:
        data: all of it.
        scheme: how each series is cut, by its own rows.
        stride, samples: of `backtest`.
        device: where to compute.
    """

    data: SeriesData
    scheme: Scheme
    stride: int | None = None
    samples: int = 100
    device: torch.device | str = "cpu"

    @cached_property
    def folds(self) -> tuple[tuple[Fold, ...], ...]:
        """Those of each series.

        Raises:
            DataError: naming the first series that is too short for them.
        """
        return tuple(map(self._folds, self.data.series))

    def _folds(self, series: Series) -> tuple[Fold, ...]:
        try:
            return self.scheme.split(len(series))
        except DataError as error:
            raise DataError(f"{called(series)}: {error}") from None

    @property
    def split(self) -> Split:
        """Of `past`."""
        return Split(1, self.scheme.validation, 0)

    def past(self, fold: int) -> SeriesData:
        """The rows that a fold trains and chooses by, and no more, as they would have been read at their end.

        A value that was interpolated from a row beyond them is the last one that was observed.
        """
        return self._cut(fold, lambda rows: range(rows.train.start, rows.validation.stop), _without_foresight)

    def score(
        self,
        fold: int,
        seed: int,
        settings: Mapping[str, Any],
        folder: Path,
        progress: Callable[[float], None] = lambda share: None,
    ) -> FoldScores:
        """Train in one fold, counted from 0, and measure; a folder that is there already is not written again.

        Args:
            fold, seed: which training it is.
            settings: for `prepare`.
            folder: of the run; it appears when all is done.
            progress: is told the share that is done.

        Raises:
            ConfigurationError: where the folder holds a fold of other settings or other data.
            KeyboardInterrupt: at Ctrl-C.
        """
        try:
            with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
                return self._score(fold, seed, settings, Path(temporary) / "run", folder, progress)
        except ThroughtimeError as error:
            raise type(error)(f"fold {fold + 1}, seed {seed}: {error}") from error

    def _score(
        self,
        fold: int,
        seed: int,
        settings: Mapping[str, Any],
        place: Path,
        folder: Path,
        progress: Callable[[float], None],
    ) -> FoldScores:
        given = {"task": settings["task"] | {"split": self.split}, "training": settings["training"] | {"seed": seed}}
        training = prepare(self.past(fold), place, **{**settings, **given}).to(self.device)
        whole = self._cut(fold, lambda rows: range(rows.train.start, rows.test.stop))
        identity = self._identity(training.run, whole)
        if folder.exists():
            return _read(folder, identity)

        def learning(event: str, record: Mapping[str, Any]) -> None:
            if event == "step":
                progress(record["share"] / 2)

        training.observers = [learning]
        if training.fit() == "interrupted":
            raise KeyboardInterrupt
        run = training.run
        assert isinstance(run, SeriesRun)
        found = backtest(
            run,
            whole,
            stride=self.stride,
            samples=self.samples,
            seed=seed,
            # What lies between training and test is of neither: validation and gap.
            split=Split(1, self.scheme.validation + self.scheme.gap, self.scheme.test),
            progress=lambda share: progress((1 + share) / 2),
        )
        scores = _scores(fold + 1, seed, found)
        store.write_json(place / _SCORES, {"of": identity, "scores": asdict(scores)})
        place.rename(folder)
        return scores

    def _cut(
        self, fold: int, rows: Callable[[Fold], range], mend: Callable[[Series], Series] = lambda series: series
    ) -> SeriesData:
        spans = [rows(folds[fold]) for folds in self.folds]
        series = (mend(_cut(one, span)) for one, span in zip(self.data.series, spans, strict=True))
        return SeriesData(tuple(series), self.data.layout)

    def _identity(self, run: Run, data: SeriesData) -> dict[str, Any]:
        """All that decides the scores of a fold, as plain data."""
        digest = hashlib.sha256()
        for series in data.series:
            digest.update(series.name.encode())
            for array in (series.times, series.observed, series.known, series.mended):
                digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
        return {
            "configuration": run.configuration.model_dump(mode="json"),
            "gap": self.scheme.gap,
            "test": self.scheme.test,
            "stride": self.stride,
            "samples": self.samples,
            "sha256": digest.hexdigest(),
        }


@contextmanager
def keeping(folder: str | Path | None) -> Iterator[Path]:
    """A folder for runs; where none is named, one that is gone at the end. One that stays empty is not left behind."""
    if folder is None:
        with TemporaryDirectory(prefix="throughtime-") as temporary:
            yield Path(temporary)
        return
    folder = Path(folder)
    fresh = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except BaseException:
        if fresh:
            with suppress(OSError):
                folder.rmdir()
        raise


def _cut(series: Series, rows: range) -> Series:
    part = slice(rows.start, rows.stop)
    mended = None if series.mended is None else series.mended[part]
    return replace(
        series, times=series.times[part], observed=series.observed[part], known=series.known[part], mended=mended
    )


def _without_foresight(series: Series) -> Series:
    if series.mended is None or not series.interpolated or not series.mended[-1].any():
        return series
    observed = np.array(series.observed)
    for column, mended in enumerate(series.mended.T):
        found = np.flatnonzero(~mended)
        if not len(found):
            raise DataError(
                f"{called(series)} has a column of which none of the {len(series)} rows before the test part was "
                "observed: leave it out, or use fewer folds"
            )
        observed[found[-1] :, column] = observed[found[-1], column]
    return replace(series, observed=observed)


def _read(folder: Path, identity: dict[str, Any]) -> FoldScores:
    record = store.read_json(folder / _SCORES)
    if record.get("of") != json.loads(json.dumps(identity)):
        raise ConfigurationError(f"{folder} holds a fold with other settings or data: name another folder")
    return FoldScores(**record["scores"])


def _scores(fold: int, seed: int, found: Backtest) -> FoldScores:
    def figures(of: Scores) -> dict[str, float]:
        return {name: getattr(of, name) for name in FIGURES if name != "log_likelihood"}

    model = figures(found.model) | {"log_likelihood": found.log_likelihood}
    return FoldScores(fold, seed, found.origins, model, {name: figures(one) for name, one in found.baselines.items()})
