"""The calibration of a run: measured once on its training data, and kept in its folder."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .._errors import ArtifactError
from ..data import MusicData, Series, SeriesData, SoundData, TextData, columns_of
from . import store
from .calibration import Calibration
from .configuration import SymbolTask
from .music import MusicRun
from .run import Run
from .series import SeriesRun
from .symbols import SymbolRun

CALIBRATION = "calibration.json"
_FORMAT = 1
_MOST_STEPS = 1 << 16
_WARM_UP = 2048
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def calibrated(run: Run, progress: Callable[[float], None] = lambda share: None) -> Calibration:
    """What surprise is usual for a run: as `keep` has written it, else measured on its training data.

    A calibration of other weights than the present ones is measured anew.

    Args:
        run: a trained run.
        progress: is told the share that is done.

    Raises:
        ArtifactError: where it has to be measured and the training data is gone, or the one kept is damaged.
    """
    if (kept := _kept(run)) is not None:
        return kept
    try:
        data = run.read()
    except ArtifactError as error:
        raise ArtifactError(
            f"{run.folder} has no {CALIBRATION}, and what surprise is usual is measured on the training data: {error}; "
            "or score without alarms: --false-alarms none"
        ) from None
    return measured(run, data, progress)


def keep(run: Run, calibration: Calibration) -> None:
    """Write a calibration into the folder of its run, unless it is there; a read-only folder is left as it is."""
    if _kept(run) is not None:
        return
    content = {"format": _FORMAT, "weights": _fingerprint(run), **calibration.to_dict()}
    try:
        store.write_json(run.folder / CALIBRATION, content)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise


def _kept(run: Run) -> Calibration | None:
    """The calibration in the run folder, if it is one of the present weights."""
    path = run.folder / CALIBRATION
    if not path.exists():
        return None
    kept = store.read_json(path)
    try:
        if (kept["format"], kept["weights"]) == (_FORMAT, _fingerprint(run)):
            return Calibration.from_dict(kept)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged: {error}; delete it, and it is measured anew") from None
    return None


def measured(
    run: Run,
    data: SeriesData | TextData | SoundData | MusicData,
    progress: Callable[[float], None] = lambda share: None,
) -> Calibration:
    """The calibration of a run by its training data: its validation part, or where there is none its training part.

    At most 65,536 steps are kept, the last ones of each series. The state comes from the steps before them.
    """
    task = run.configuration.task
    part = "validation" if task.split.validation else "training"
    if isinstance(run, SymbolRun):
        assert isinstance(data, (TextData, SoundData))
        assert isinstance(task, SymbolTask)
        begin, end = _bounds(task.split.bounds(len(data.tokens)), _MOST_STEPS)
        first = max(0, begin - _WARM_UP)
        return Calibration({"": _rounded(run.score(data.tokens[first:end])[max(0, begin - first - 1) :])}, part)
    if isinstance(run, MusicRun):
        assert isinstance(data, MusicData)
        learnt, chosen, _ = run.parts(data)
        return Calibration({one.name: _rounded(run.score(one.roll)[one.begin :]) for one in chosen or learnt}, part)
    assert isinstance(run, SeriesRun)
    assert isinstance(data, SeriesData)
    surprise: dict[str, np.ndarray] = {}
    most = max(1, _MOST_STEPS // len(data.series))
    for index, series in enumerate(data.series):
        begin, end = _bounds(run.task.split.bounds(len(series)), most)
        first = max(0, begin - _WARM_UP - run.task.lookback)
        stretch = _stretch(series, first, end)
        found = run.score(stretch) - run.units(series.name, run.scaler, stretch.observed[1:])
        found = found[max(0, begin - first - 1) :]
        surprise[series.name] = _rounded(found[np.isfinite(found)])
        progress((index + 1) / len(data.series))
    if not any(map(len, surprise.values())):
        raise ArtifactError(f"{run.folder}: every value of the {part} part was filled in: there is nothing to measure")
    return Calibration(surprise, part, columns_of(data.source.path) if data.source else ())


def _bounds(ends: tuple[int, int, int], most: int) -> tuple[int, int]:
    """Where the part begins and ends whose last `most` steps count."""
    train_end, validation_end, _ = ends
    begin = train_end if validation_end > train_end else 0
    return max(begin, validation_end - most), validation_end


def _stretch(series: Series, first: int, end: int) -> Series:
    part = slice(first, end)
    mended = None if series.mended is None else series.mended[part]
    return replace(
        series, times=series.times[part], observed=series.observed[part], known=series.known[part], mended=mended
    )


def _rounded(surprise: np.ndarray) -> np.ndarray:
    """As it is written down, so that what was kept equals what was measured."""
    return np.array([float(f"{value:.6g}") for value in surprise])


def _fingerprint(run: Run) -> str:
    return hashlib.sha256((run.folder / store.WEIGHTS).read_bytes()).hexdigest()
