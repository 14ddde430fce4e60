"""Whether two models differ: by what each lost on the same stretches of the test part, with each of its seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._errors import ShapeError


@dataclass(frozen=True)
class Difference:
    """The mean of one model's figure less that of another, with its interval.

    Args:
        mean: the difference.
        low, high: where it lies with the given confidence; NaN where there is nothing to tell it by.
    """

    mean: float
    low: float
    high: float

    @property
    def tie(self) -> bool:
        """Whether the interval does not exclude that there is none."""
        return not (self.low > 0 or self.high < 0)


def difference(
    one: np.ndarray, other: np.ndarray, confidence: float = 0.95, sizes: Sequence[int] | None = None
) -> Difference:
    """Student's t interval of the difference between two models.

    Its variance is that of the difference from stretch to stretch of the test part, where both are paired, plus that of
    each model from seed to seed, where they are not; its degrees of freedom are Welch and Satterthwaite's. A model of
    one seed is taken as it is: the interval then does not tell of another training.

    Args:
        one, other: [seed, part]: the figures of each model on the same stretches; they may have different seeds.
        confidence: how often such an interval holds the difference.
        sizes: what each part counts; `None` counts all alike.

    Raises:
        ShapeError: where the stretches are not the same.

    Example:
        >>> found = difference(np.array([[2.0, 3.0, 5.0]]), np.array([[1.0, 2.1, 3.9]]))
        >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3), found.tie
        (1.0, 0.752, 1.248, False)

    References:
        Welch, "The generalization of 'Student's' problem when several different population variances are involved",
        Biometrika 34 (1947) 28-35.
    """
    count = one.shape[-1] if sizes is None else len(sizes)
    if one.ndim != 2 or other.ndim != 2 or not one.shape[1] == other.shape[1] == count:
        raise ShapeError(
            f"the figures are {list(one.shape)} and {list(other.shape)}, with {count} sizes: "
            "expected [seed, part] of the same parts"
        )
    shares = np.full(count, 1 / count) if sizes is None else np.asarray(sizes) / np.sum(sizes)
    paired = one.mean(0) - other.mean(0)
    mean = float(paired @ shares)
    sources = [(paired, shares)]
    sources += [(each @ shares, np.full(len(each), 1 / len(each))) for each in (one, other)]
    parts = [_variance(*source) for source in sources if len(source[0]) > 1]
    variance = sum(part for part, _ in parts)
    if not len(paired) > 1 or not math.isfinite(variance):
        return Difference(mean, math.nan, math.nan)
    if variance == 0:
        return Difference(mean, mean, mean)
    freedom = variance**2 / sum(part**2 / count for part, count in parts)
    from scipy.stats import t  # takes a second, which not everyone should wait

    half = float(t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(variance)
    return Difference(mean, mean - half, mean + half)


def _variance(values: np.ndarray, shares: np.ndarray) -> tuple[float, int]:
    """Of the weighted mean of independent values, as a ratio estimate (Cochran 1977), and its degrees of freedom."""
    freedom = len(values) - 1
    squares = (shares * (values - values @ shares)) ** 2
    return float(squares.sum()) * len(values) / freedom, freedom
