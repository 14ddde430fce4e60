"""The figures of a forecaster, from all that it said of values that were observed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import metrics


@dataclass(frozen=True)
class Scores:
    """Errors of one forecaster, averaged over origins, steps, targets and series; `coverage` by interval."""

    mae: float
    mse: float
    rmse: float
    mase: float
    smape: float
    crps: float
    coverage: dict[str, float]
    error_by_step: tuple[float, ...]


@dataclass(frozen=True)
class Outcome:
    """What one forecaster said of one series, beside what came to be; only of values that were observed.

    Args:
        truth, point: what came to be, and what was forecast, [value] each.
        step: how many steps ahead each value was, from 0, [value].
        scale: the seasonal step of the training part that MASE divides by, [value].
        crps: the mean over the values.
        intervals: lower and upper ends, [value] each, by level.
    """

    truth: np.ndarray
    point: np.ndarray
    step: np.ndarray
    scale: np.ndarray
    crps: float
    intervals: dict[float, tuple[np.ndarray, np.ndarray]]


def scores(outcomes: list[Outcome], horizon: int) -> Scores:
    """One forecaster's figures over all series, every value counting once; NaN for a step of which none was observed.

    MASE is NaN where a column repeats itself exactly in its training part.
    """
    truth, point, step, scale = (
        np.concatenate([getattr(one, name) for one in outcomes]) for name in ("truth", "point", "step", "scale")
    )
    error = np.abs(truth - point)
    count = np.bincount(step, minlength=horizon)
    by_step = np.where(count > 0, np.bincount(step, error, minlength=horizon) / np.maximum(count, 1), np.nan)
    ends = {
        level: [np.concatenate([one.intervals[level][side] for one in outcomes]) for side in (0, 1)]
        for level in outcomes[0].intervals
    }
    return Scores(
        mae=metrics.mae(truth, point),
        mse=metrics.mse(truth, point),
        rmse=metrics.rmse(truth, point),
        mase=float(np.mean(error / scale)) if np.all(scale > 0) else np.nan,
        smape=metrics.smape(truth, point),
        crps=float(np.average([one.crps for one in outcomes], weights=[len(one.truth) for one in outcomes])),
        coverage={f"{level * 100:.0f}": metrics.coverage(truth, *between) for level, between in ends.items()},
        error_by_step=tuple(by_step.tolist()),
    )
