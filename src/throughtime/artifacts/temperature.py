"""Probabilities that mean what they say: one temperature, fitted on cases that the model was not trained on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from .._errors import DataError

BINS = 15
"""Into how many the range of probabilities is divided."""

_DEVIATION = 0.5
_FARTHEST = 3.0


@dataclass(frozen=True)
class Temperature:
    """By what logits are divided before they are made probabilities, and what came of it on the same cases.

    Args:
        value: above 1 a model was surer than it is right.
        cases: how many it was fitted on.
        before, after: the calibration error there, of the model itself and with the temperature.
    """

    value: float = 1.0
    cases: int = 0
    before: float | None = None
    after: float | None = None

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """[case, class], of logits [case, class]; which class is likeliest stays as it was."""
        return torch.from_numpy(logits / self.value).softmax(-1).numpy()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return asdict(self)

    @classmethod
    def fit(cls, logits: np.ndarray, classes: np.ndarray) -> Temperature:
        """The temperature that makes the labels likeliest, kept near 1 where few cases speak against it.

        What is least is Σ −ln p(class) + (ln temperature)² / (2 · 0.5²): ln temperature is normal before any case is
        seen, as few cases that are all told rightly prove no certainty.

        Args:
            logits: [case, class].
            classes: the true ones, [case].

        Raises:
            DataError: without a case.

        Example:
            >>> logits = np.array([[4.0, 0.0]] * 10)  # always as sure, 3 times in 10 wrong
            >>> found = Temperature.fit(logits, np.array([0] * 7 + [1] * 3))
            >>> bool(found.value > 2), round(found.before, 2), bool(found.after < found.before)
            (True, 0.28, True)

        References:
            Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks" (2017),
            https://arxiv.org/abs/1706.04599.
        """
        if not len(logits):
            raise DataError("no case was given to calibrate on: at least one is expected")
        from scipy.optimize import minimize_scalar  # takes a second, which not everyone should wait

        rows = np.arange(len(classes))

        def cost(exponent: float) -> float:
            surprise = -torch.from_numpy(logits / math.exp(exponent)).log_softmax(-1)[rows, classes]
            return float(surprise.sum() + 0.5 * (exponent / _DEVIATION) ** 2)

        lowest: Any = minimize_scalar(cost, bounds=(-_FARTHEST, _FARTHEST), method="bounded")
        found = math.exp(lowest.x)
        before, after = (calibration_error(cls(value).probabilities(logits), classes) for value in (1.0, found))
        return cls(found, len(classes), before, after)


def calibration_error(probabilities: np.ndarray, classes: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: how far the share of right verdicts is from what was claimed, on average.

    Cases are put into `bins` of equal width by the probability of their likeliest class; the error is
    Σ share of a bin · |accuracy there − mean probability there|.

    Args:
        probabilities: [case, class].
        classes: the true ones, [case].
        bins: how many.

    Example:
        >>> calibration_error(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
        0.0

    References:
        Naeini, Cooper & Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    counts, claimed, right = reliability(probabilities, classes, bins)
    filled = counts > 0
    return float((counts[filled] * np.abs(right[filled] - claimed[filled])).sum() / counts.sum())


def reliability(
    probabilities: np.ndarray, classes: np.ndarray, bins: int = BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bin of the likeliest class's probability its cases, their mean probability, and how many were right.

    Returns:
        Counts, mean probability and accuracy, [bin] each; the last two are nan where there is no case.
    """
    sure = probabilities.max(axis=-1)
    right = probabilities.argmax(axis=-1) == classes
    places = np.minimum((sure * bins).astype(int), bins - 1)
    counts = np.bincount(places, minlength=bins)
    with np.errstate(invalid="ignore"):
        claimed = np.bincount(places, sure, bins) / counts
        accuracy = np.bincount(places, right, bins) / counts
    return counts, claimed, accuracy
