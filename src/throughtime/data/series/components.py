"""A series taken apart into trend, season and remainder, and whether there is a season at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

_CYCLES = 7
_SIGNIFICANT = 4.5


@dataclass(frozen=True, eq=False)
class Components:
    """An additive decomposition; NaN where the moving average does not reach, [time] each.

    Args:
        trend: the moving average over whole periods.
        seasonal: what comes round, changing slowly; zeros without a period.
        remainder: what is left.
        period: in steps; None where no season was found.
    """

    trend: np.ndarray
    seasonal: np.ndarray
    remainder: np.ndarray
    period: int | None

    @property
    def trend_strength(self) -> float:
        """From 0 (none) to 1: 1 − Var(R) / Var(T + R) (Wang, Smith & Hyndman 2006)."""
        return _strength(self.remainder, self.trend)

    @property
    def seasonal_strength(self) -> float:
        """From 0 (none) to 1: 1 − Var(R) / Var(S + R) (Wang, Smith & Hyndman 2006)."""
        return 0.0 if self.period is None else _strength(self.remainder, self.seasonal)


def decompose(values: np.ndarray, period: int | None) -> Components:
    """Take a series apart by moving averages: over a period for the trend, over seven cycles for each phase.

    Example:
        >>> t = np.arange(240.0)
        >>> parts = decompose(t + 10 * np.sin(2 * np.pi * t / 12), 12)
        >>> round(parts.trend_strength, 3), round(parts.seasonal_strength, 3)
        (1.0, 1.0)
    """
    span = max(7, len(values) // 10) if period is None else period * -(-7 // period)
    trend = _moving_average(values, min(span, max(1, len(values) // 2)))
    detrended = values - trend
    seasonal = np.zeros(len(values)) if period is None else _seasonal(detrended, period)
    seasonal[np.isnan(trend)] = np.nan
    return Components(trend, seasonal, detrended - seasonal, period)


def find_period(values: np.ndarray, expected: Iterable[int]) -> int | None:
    """The period of a series in steps, if one is beyond doubt.

    The series is differenced and whitened by a first-order autoregression, so that neither a trend nor a random walk
    passes for a season. Periods that the calendar suggests, and the highest peaks of the periodogram, are tried by an
    analysis of variance over their phases; the shortest that explains nearly as much as the best one is taken.

    Args:
        values: [time], finite.
        expected: periods that the frequency suggests.
    """
    noise = _whitened(values)
    if noise is None:
        return None
    tried = {period for period in (*expected, *_peaks(noise)) if 2 <= period <= len(noise) // 3}
    explained = {}
    for period in sorted(tried):
        score, share = _by_phase(noise, period)
        if score > _SIGNIFICANT and share > 0.02:
            explained[period] = share
    if not explained:
        return None
    return min(period for period, share in explained.items() if share >= 0.8 * max(explained.values()))


def _strength(remainder: np.ndarray, component: np.ndarray) -> float:
    present = ~np.isnan(remainder)
    whole = np.var((component + remainder)[present]) if present.any() else 0.0
    if whole <= 1e-24 * max(1.0, float(np.mean(np.square(component[present]))) if present.any() else 1.0):
        return 0.0
    return float(np.clip(1 - np.var(remainder[present]) / whole, 0, 1))


def _moving_average(values: np.ndarray, span: int) -> np.ndarray:
    """Centred; an even span takes half of each end, as is usual. NaN where it does not reach."""
    weights = np.ones(span) if span % 2 else np.concatenate([[0.5], np.ones(span - 1), [0.5]])
    half = len(weights) // 2
    result = np.full(len(values), np.nan)
    if len(values) >= len(weights):
        sums = np.concatenate([[0.0], np.cumsum(values - values.mean())])
        inner = sums[len(weights) :] - sums[: -len(weights)]
        if span % 2 == 0:
            centred = values - values.mean()
            inner -= (centred[: len(inner)] + centred[len(weights) - 1 :]) / 2
        result[half : half + len(inner)] = inner / span + values.mean()
    return result


def _seasonal(detrended: np.ndarray, period: int) -> np.ndarray:
    cycles = -(-len(detrended) // period)
    table = np.full(cycles * period, np.nan)
    table[: len(detrended)] = detrended
    table = table.reshape(cycles, period)
    present = ~np.isnan(table)
    sums = np.concatenate([np.zeros((1, period)), np.cumsum(np.where(present, table, 0), axis=0)])
    counts = np.concatenate([np.zeros((1, period)), np.cumsum(present, axis=0)])
    low = np.clip(np.arange(cycles) - _CYCLES // 2, 0, max(cycles - _CYCLES, 0))
    high = np.minimum(low + _CYCLES, cycles)
    means = (sums[high] - sums[low]) / np.maximum(counts[high] - counts[low], 1)
    return (means - means.mean(axis=1, keepdims=True)).reshape(-1)[: len(detrended)]


def _whitened(values: np.ndarray) -> np.ndarray | None:
    steps = np.diff(values)
    if len(steps) < 8:
        return None
    middle = np.median(steps)
    spread = 1.4826 * np.median(np.abs(steps - middle)) or steps.std()
    if spread <= 1e-12 * np.abs(values).max():
        return None
    steps = np.clip(steps - middle, -8 * spread, 8 * spread)
    steps -= steps.mean()
    carried = float((steps[1:] * steps[:-1]).sum() / (steps * steps).sum())
    return steps[1:] - carried * steps[:-1]


def _peaks(noise: np.ndarray) -> list[int]:
    """The periods of the highest peaks of the periodogram that white noise would hardly have (Fisher 1929)."""
    power = np.square(np.abs(np.fft.rfft(noise - noise.mean())))[1:]
    high = power > power.mean() * np.log(len(power) / 1e-3)
    best = [place for place in np.argsort(power)[::-1][:5] if high[place]]
    return [round(len(noise) / (place + 1)) for place in best]


def _by_phase(noise: np.ndarray, period: int) -> tuple[float, float]:
    """How many standard deviations of evidence for different means by phase (Paulson 1942), and the adjusted R²."""
    phases = np.arange(len(noise)) % period
    counts = np.bincount(phases, minlength=period)
    means = np.bincount(phases, noise, minlength=period) / counts
    total = np.square(noise - noise.mean()).sum()
    within = np.square(noise - means[phases]).sum()
    between_freedom, within_freedom = period - 1, len(noise) - period
    if within <= 1e-12 * total:
        return np.inf, 1.0
    ratio = ((total - within) / between_freedom) / (within / within_freedom)
    a, b = 2 / (9 * between_freedom), 2 / (9 * within_freedom)
    root = np.cbrt(ratio)
    score = ((1 - b) * root - (1 - a)) / np.sqrt(b * root**2 + a)
    return float(score), float(1 - (within / within_freedom) / (total / (len(noise) - 1)))
