"""How far a forecast is from what came to be. Plain numpy, time first; every figure is a mean over all entries."""

from __future__ import annotations

import math

import numpy as np

from .._errors import ConfigurationError, DataError, ShapeError


def mae(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Mean absolute error, mean |y − f|, in the unit of the data. Least for the median of what may come.

    Args:
        truth: what came to be, [time, …].
        forecast: what was forecast, of the same shape.

    Raises:
        ShapeError: if the shapes differ; nothing is broadcast.
        DataError: if a value is missing or infinite, or if there is none.

    Example:
        >>> mae(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0]))
        1.0
    """
    truth, forecast = _alike(truth=truth, forecast=forecast)
    return float(np.abs(truth - forecast).mean())


def mse(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Mean squared error, mean (y − f)², in the unit of the data squared. Least for the mean of what may come.

    Arguments and errors are those of `mae`.

    Example:
        >>> mse(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
        2.0
    """
    truth, forecast = _alike(truth=truth, forecast=forecast)
    return float(np.square(truth - forecast).mean())


def rmse(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Root of the mean squared error over all entries, in the unit of the data.

    Arguments and errors are those of `mae`.

    Example:
        >>> rmse(np.array([0.0, 0.0]), np.array([5.0, 5.0]))
        5.0
    """
    return math.sqrt(mse(truth, forecast))


def mase(truth: np.ndarray, forecast: np.ndarray, history: np.ndarray, period: int = 1) -> float:
    """Mean absolute scaled error: the absolute error over that of the seasonal naive forecast in the training part.

    mean |y − f| / mean |h_t − h_{t−m}| for each column of the training part h, then the mean over the columns. It has
    no unit; below 1 a forecast errs less than its seasonal naive does one step (m = 1) or one season ahead.

    Args:
        truth: what came to be, [time, …].
        forecast: what was forecast, of the same shape.
        history: the training part, [time, …] with the same columns.
        period: the length m of a season in steps, 1 where there is none.

    Returns:
        The figure, or nan where a column of the training part repeats itself exactly, so that there is no scale.

    Raises:
        ShapeError: if the columns differ.
        ConfigurationError: if the training part is no longer than the period.
        DataError: if a value is missing or infinite, or if there is none.

    Example:
        >>> mase(np.array([5.0]), np.array([8.0]), history=np.array([0.0, 2.0, 1.0, 4.0]))
        1.5

    References:
        Hyndman and Koehler, "Another look at measures of forecast accuracy", International Journal of Forecasting
        22 (2006) 679-688.
    """
    truth, forecast = _alike(truth=truth, forecast=forecast)
    (history,) = _alike(history=history)
    if history.shape[1:] != truth.shape[1:]:
        raise ShapeError(
            f"history is {list(history.shape)} but truth is {list(truth.shape)}: "
            "after time both must have the same columns"
        )
    if period < 1 or len(history) <= period:
        raise ConfigurationError(
            f"period {period} with {len(history)} steps of history: a period is at least 1 and shorter than the history"
        )
    scale = seasonal_step(history, period)
    error = np.abs(truth - forecast).mean(axis=0)
    return float(np.mean(error / scale)) if np.all(scale > 0) else math.nan


def seasonal_step(history: np.ndarray, period: int) -> np.ndarray:
    """The mean of |h_t − h_{t−m}| over [time, …], by which `mase` divides; steps from or to a NaN are left out.

    Example:
        >>> float(seasonal_step(np.array([0.0, 2.0, np.nan, 4.0, 5.0]), 1))
        1.5
    """
    steps = np.abs(history[period:] - history[:-period])
    present = np.isfinite(steps)
    total, count = np.where(present, steps, 0).sum(axis=0), present.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), math.nan)


def smape(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Symmetric mean absolute percentage error as the M4 competition defines it, in percent from 0 to 200.

    mean 200 |y − f| / (|y| + |f|), where an entry with y = f = 0 counts 0. Arguments and errors are those of `mae`.

    Example:
        >>> smape(np.array([1.0, 0.0]), np.array([3.0, 0.0]))
        50.0

    References:
        Makridakis, Spiliotis and Assimakopoulos, "The M4 Competition: 100,000 time series and 61 forecasting methods",
        International Journal of Forecasting 36 (2020) 54-74.
    """
    truth, forecast = _alike(truth=truth, forecast=forecast)
    size = np.abs(truth) + np.abs(forecast)
    return float(np.mean(200 * np.abs(truth - forecast) / np.where(size > 0, size, 1)))


def quantile_loss(truth: np.ndarray, forecast: np.ndarray, level: float) -> float:
    """Pinball loss, mean max(q (y − f), (q − 1)(y − f)), in the unit of the data. Least for the q-quantile.

    At q = ½ it is half the mean absolute error.

    Args:
        truth: what came to be, [time, …].
        forecast: the forecast of the quantile, of the same shape.
        level: which quantile, q between 0 and 1.

    Raises:
        ConfigurationError: if the level is not strictly between 0 and 1.
        ShapeError, DataError: as `mae`.

    Example:
        >>> quantile_loss(np.array([10.0, 10.0]), np.array([8.0, 12.0]), level=0.75)
        1.0

    References:
        Koenker and Bassett, "Regression quantiles", Econometrica 46 (1978) 33-50.
    """
    if not 0 < level < 1:
        raise ConfigurationError(f"level {level}: a quantile lies strictly between 0 and 1")
    truth, forecast = _alike(truth=truth, forecast=forecast)
    error = truth - forecast
    return float(np.maximum(level * error, (level - 1) * error).mean())


def coverage(truth: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """The share of entries inside their interval, ends included, from 0 to 1.

    A central interval of 80 % that is honest covers 0.8.

    Args:
        truth: what came to be, [time, …].
        lower: lower ends of the intervals, of the same shape.
        upper: upper ends, of the same shape.

    Raises:
        DataError: if a lower end is above its upper end.
        ShapeError, DataError: as `mae`.

    Example:
        >>> coverage(np.array([1.0, 2.0, 9.0, 4.0]), np.zeros(4), np.full(4, 4.0))
        0.75
    """
    truth, lower, upper = _alike(truth=truth, lower=lower, upper=upper)
    if np.any(lower > upper):
        place = np.argwhere(lower > upper)[0].tolist()
        raise DataError(f"lower is above upper at {place}: the ends of the intervals look swapped")
    return float(np.mean((lower <= truth) & (truth <= upper)))


def crps(truth: np.ndarray, paths: np.ndarray) -> float:
    """Continuous ranked probability score of sampled futures, in the unit of the data. The fair estimator.

    mean_i |x_i − y| − ½ mean_{i≠j} |x_i − x_j| over the m paths x_i of each entry. Pairs of a path with itself are left
    out, so that its expectation is the score of the distribution itself, whatever m is, and it may be compared with
    `crps_normal`; for few paths it can fall below 0. For paths that all agree it is the mean absolute error; so
    it is for a single path, which is a point forecast. Sorting makes it O(m log m).

    Args:
        truth: what came to be, [time, …].
        paths: sampled futures, [sample, time, …].

    Raises:
        ShapeError: if a path has another shape than the truth.
        DataError: if a value is missing or infinite, or if there is none.

    Example:
        >>> crps(np.array([0.0]), np.array([[-1.0], [1.0], [3.0]]))
        0.333...

    References:
        Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", Journal of the American
        Statistical Association 102 (2007) 359-378. Ferro, "Fair scores for ensemble forecasts", Quarterly Journal of
        the Royal Meteorological Society 140 (2014) 1917-1923.
    """
    (truth,), (paths,) = _alike(truth=truth), _alike(paths=paths)
    if paths.shape[1:] != truth.shape:
        expected = ", ".join(["sample", *map(str, truth.shape)])
        raise ShapeError(f"paths are {list(paths.shape)} but truth is {list(truth.shape)}: expected [{expected}]")
    # Differences between paths are those between their errors, which keep their digits far from zero.
    errors = np.sort(paths - truth, axis=0)
    distance = np.abs(errors).mean(axis=0)
    count = len(paths)
    if count == 1:
        return float(distance.mean())
    ranks = np.arange(1 - count, count, 2, dtype=np.float64)
    spread = np.tensordot(ranks, errors, axes=1) * 2 / (count * (count - 1))
    return float((distance - spread / 2).mean())


def crps_normal(truth: np.ndarray, mean: np.ndarray, standard_deviation: np.ndarray) -> float:
    """Continuous ranked probability score of normal forecasts in closed form, in the unit of the data.

    mean σ (z (2Φ(z) − 1) + 2φ(z) − 1/√π) with z = (y − μ)/σ, and |y − μ| where σ = 0.

    Args:
        truth: what came to be, [time, …].
        mean: means μ of the forecasts, of the same shape.
        standard_deviation: their standard deviations σ ≥ 0, of the same shape.

    Raises:
        DataError: if a standard deviation is negative.
        ShapeError, DataError: as `mae`.

    Example:
        >>> crps_normal(np.zeros(1), np.zeros(1), np.ones(1))
        0.2336...

    References:
        Gneiting and Raftery, as for `crps`, equation 21 and below.
    """
    truth, mean, sigma = _alike(truth=truth, mean=mean, standard_deviation=standard_deviation)
    if np.any(sigma < 0):
        raise DataError(f"standard deviation {sigma.min():g} is negative; give σ, not a log or a variance with a sign")
    error = np.abs(truth - mean)
    z = error / np.where(sigma > 0, sigma, 1)
    twice_phi = np.array([math.erf(value / math.sqrt(2)) for value in z.ravel()]).reshape(z.shape)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    score = sigma * (z * twice_phi + 2 * density - 1 / math.sqrt(math.pi))
    return float(np.where(sigma > 0, score, error).mean())


def _alike(**arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays in float64, refused unless they are of one shape, not empty, and finite."""
    (first, reference), *_ = arrays.items()
    for name, array in arrays.items():
        if array.shape != reference.shape:
            raise ShapeError(
                f"{name} is {list(array.shape)} but {first} is {list(reference.shape)}: both must have the same shape"
            )
        if array.ndim == 0 or array.size == 0:
            raise DataError(f"{name} is {list(array.shape)}: there is nothing to measure")
        if not np.isfinite(array).all():
            wrong = np.argwhere(~np.isfinite(array))
            raise DataError(
                f"{name} has {len(wrong)} values that are missing or infinite, the first at {wrong[0].tolist()}: "
                "fill them or leave these steps out"
            )
    return [np.asarray(array, dtype=np.float64) for array in arrays.values()]
