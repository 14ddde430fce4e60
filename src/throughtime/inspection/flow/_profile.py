"""How a gradient fades with the lag: its mean logarithm, a line through it, and what the line says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._numbers import plain

_REPLICATES = 400
LEAST_R_SQUARED = 0.8
"""Below it a line is no description, and none is reported."""
HORIZON_SHARE = 0.01
REACH_SHARE = 0.95


@dataclass(frozen=True)
class Slope:
    """A line through φ, by least squares.

    Args:
        value: nats a step.
        low, high: its 95 % interval, by a bootstrap over sequences and blocks of neighbouring anchors.
        r_squared: the share of φ's variance that the line explains.
        lags: the number of lags it was fitted to, from 0 on.
    """

    value: float
    low: float
    high: float
    r_squared: float
    lags: int


@dataclass(frozen=True)
class LagProfile:
    """φ(k): the mean over anchors and sequences of ln ‖∂ℓ_s/∂z_{s−k}‖.

    Args:
        mean: φ by lag, from 0 on; NaN where nothing is measured, −∞ where half of them and more are zero.
        low, high: the 10 and 90 % quantiles of the logarithms.
        change: φ(k) − φ(first), both over the anchors and sequences that reach lag k: what is left, and no difference
            between early losses and late ones.
        count: how many anchors and sequences reach each lag.
        zero: of these, how many norms are zero: below what the numbers can express, or cut by the model itself.
        fit: the line through φ; `None` where it explains less than 80 % of φ.
        horizon: the largest lag k with `change` ≥ ln .01: further back less than 1 % is left.
        reach: the smallest K such that lags 0 … K hold 95 % of the summed norms.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    change: np.ndarray
    count: np.ndarray
    zero: np.ndarray
    fit: Slope | None
    horizon: int
    reach: int

    @property
    def longest(self) -> int:
        """The longest lag measured."""
        return int(np.flatnonzero(self.count)[-1]) if self.count.any() else 0

    @property
    def first(self) -> int:
        """The lag that others are compared with: 0, or the first that has a gradient where the loss reads no state."""
        return int(np.flatnonzero(np.isfinite(self.mean))[0]) if np.isfinite(self.mean).any() else 0

    @property
    def half_life(self) -> float | None:
        """Steps in which the gradient halves; negative, those in which it doubles; `None` where the slope may be 0."""
        if self.fit is None or self.fit.low <= 0 <= self.fit.high:
            return None
        return float(np.log(2) / -self.fit.value)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers; what is not finite becomes `None`."""
        series = {name: plain(getattr(self, name)) for name in ("mean", "low", "high", "change")}
        fit = None if self.fit is None else dict(vars(self.fit))
        return {
            **series,
            "count": self.count.tolist(),
            "zero": self.zero.tolist(),
            "fit": fit,
            "half_life": self.half_life,
            "horizon": self.horizon,
            "reach": self.reach,
        }


def by_lag(norms: np.ndarray, anchors: Sequence[int], reverse: bool) -> np.ndarray:
    """Norms [anchor, time, batch] as [anchor, batch, lag]; NaN where there is none."""
    steps = norms.shape[1]
    found = np.full((len(anchors), norms.shape[2], steps), np.nan)
    for row, anchor in enumerate(anchors):
        series = norms[row, anchor:] if reverse else norms[row, anchor::-1]
        found[row, :, : len(series)] = series.T
    return found


def lag_profile(lagged: np.ndarray, *, seed: int = 0) -> LagProfile:
    """The profile of norms [anchor, batch, lag]; losses without any gradient are left out."""
    lagged = np.where((np.nan_to_num(lagged) > 0).any(2, keepdims=True), lagged, np.nan)
    measured = ~np.isnan(lagged)
    count = measured.sum((0, 1))
    zero = (measured & (lagged == 0)).sum((0, 1))
    logs = _logarithms(lagged)
    usable = np.isfinite(logs)
    few = usable.sum((0, 1))
    mean, low, high, change = (np.full(len(count), np.nan) for _ in range(4))
    first = int(np.flatnonzero((few > 0) & (2 * zero < count))[0]) if few.any() else 0
    relative = logs - logs[..., first, None]
    mean[(count > 0) & (2 * zero >= count)] = change[(count > 0) & (2 * zero >= count)] = -np.inf
    for lag in np.flatnonzero((few > 0) & (2 * zero < count)):
        values = logs[..., lag][usable[..., lag]]
        mean[lag] = values.mean()
        low[lag], high[lag] = np.quantile(values, (0.1, 0.9))
        paired = relative[..., lag][np.isfinite(relative[..., lag])]
        change[lag] = paired.mean() if len(paired) else np.nan
    exploded = np.isposinf(lagged).any((0, 1))
    fitted = np.flatnonzero((few >= max(1, few.max() / 2)) & (zero == 0) & ~exploded)
    fit = _slope(relative, change, fitted[np.isfinite(change[fitted])], seed)
    within = np.flatnonzero(change >= np.log(HORIZON_SHARE))
    horizon = int(within[-1]) if len(within) else 0
    return LagProfile(mean, low, high, change, count, zero, fit, horizon, _reach(lagged))


def ratio_interval(lagged: np.ndarray, first: int, lag: int, *, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the change from `first` to `lag`, in nats, by the bootstrap."""
    logs = _logarithms(lagged)
    means = _replicates((logs[..., lag] - logs[..., first])[..., None], seed)
    return tuple(np.nanquantile(means[:, 0], (0.025, 0.975)).tolist())


def _logarithms(lagged: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        logs = np.log(lagged)
    return np.where(np.isfinite(logs), logs, np.nan)


def _replicates(logs: np.ndarray, seed: int) -> np.ndarray:
    """Bootstrap means [replicate, lag] of [anchor, batch, lag]: sequences, and blocks of anchors, drawn anew."""
    generator = np.random.default_rng(seed)
    anchors, batch, lags = logs.shape
    length = max(1, round(anchors**0.5))
    blocks = -(-anchors // length)
    weights = np.zeros((_REPLICATES, anchors, batch))
    for replicate in weights:
        starts = generator.integers(0, anchors - length + 1, blocks)
        rows = (starts[:, None] + np.arange(length)).reshape(-1)[:anchors]
        columns = generator.integers(0, batch, batch)
        replicate += np.outer(np.bincount(rows, minlength=anchors), np.bincount(columns, minlength=batch))
    flat, usable = logs.reshape(-1, lags), np.isfinite(logs).reshape(-1, lags)
    weights = weights.reshape(_REPLICATES, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights @ np.where(usable, flat, 0)) / (weights @ usable)


def _slope(logs: np.ndarray, mean: np.ndarray, lags: np.ndarray, seed: int) -> Slope | None:
    if len(lags) < 4:
        return None
    centred = lags - lags.mean()
    line = centred / (centred**2).sum()
    values = mean[lags]
    value = float(line @ values)
    spread = ((values - values.mean()) ** 2).sum()
    rest = ((values - values.mean() - value * centred) ** 2).sum()
    r_squared = float(1 - rest / spread) if spread > 0 else 1.0
    if r_squared < LEAST_R_SQUARED:
        return None
    slopes = _replicates(logs[..., lags], seed) @ line
    low, high = np.nanquantile(slopes, (0.025, 0.975)).tolist()
    return Slope(value, low, high, r_squared, len(lags))


def _reach(lagged: np.ndarray) -> int:
    measured = np.where(np.isfinite(lagged), lagged, np.nan)
    counted = np.isfinite(measured).sum((0, 1))
    sums = np.nansum(measured, (0, 1)) / np.maximum(counted, 1)
    total = sums.sum()
    if not np.isfinite(total) or total == 0:
        return 0
    return int(np.searchsorted(np.cumsum(sums), REACH_SHARE * total * (1 - 1e-12)))
