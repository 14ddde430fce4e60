"""What a model has to beat: forecasts and codes that need no training worth the name."""

from __future__ import annotations

import bz2
import lzma
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from .._errors import ConfigurationError, DataError


class Baseline(ABC):
    """A forecast from the history alone."""

    name: ClassVar[str]
    """What tables call it."""

    @abstractmethod
    def forecasts(self, history: np.ndarray, origins: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Normal forecasts from several origins, each from the rows before it alone, in one pass over the history.

        Args:
            history: [time].
            origins: the first row of each forecast, [origin].
            horizon: steps ahead.

        Returns:
            Means and standard deviations, each [origin, horizon], in the unit of the history.
        """

    def forecast(self, history: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations after the end of the history, each [horizon]."""
        point, deviation = self.forecasts(history, np.array([len(history)]), horizon)
        return point[0], deviation[0]


@dataclass(frozen=True)
class Naive(Baseline):
    """Tomorrow is as today: y_{T+h} = y_T, σ_h = σ̂ √h. Right for a random walk.

    σ̂ is the root of the mean square of the steps y_t − y_{t−1} of the history.

    Raises:
        DataError: if the history has fewer than 2 steps, or a value is missing or infinite.
        ConfigurationError: if the horizon is below 1.

    Example:
        >>> point, standard_deviation = Naive().forecast(np.array([0.0, 2.0, 4.0, 2.0]), horizon=4)
        >>> point, standard_deviation[[0, 3]]
        (array([2., 2., 2., 2.]), array([2., 4.]))

    References:
        Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd edition (2021), sections 5.2 and 5.5.
    """

    name = "naive"

    def forecasts(self, history: np.ndarray, origins: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations, each [origin, horizon]."""
        return SeasonalNaive(1).forecasts(history, origins, horizon)


@dataclass(frozen=True)
class SeasonalNaive(Baseline):
    """As a season ago: y_{T+h} = y_{T+h−m(k+1)} with k = ⌊(h−1)/m⌋, and σ_h = σ̂ √(k+1).

    σ̂ is the root of the mean square of y_t − y_{t−m} over the history.

    Args:
        period: the length m of a season in steps.

    Raises:
        DataError: if the history is no longer than the period, or a value is missing or infinite.
        ConfigurationError: if the horizon or the period is below 1.

    Example:
        >>> point, _ = SeasonalNaive(2).forecast(np.array([1.0, 5.0, 2.0, 6.0]), horizon=3)
        >>> point
        array([2., 6., 2.])

    References:
        As for `Naive`.
    """

    period: int
    name = "seasonal_naive"

    def __post_init__(self) -> None:
        if self.period < 1:
            raise ConfigurationError(f"period {self.period}: a season has at least 1 step")

    def forecasts(self, history: np.ndarray, origins: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations, each [origin, horizon]."""
        who = f"seasonal naive of period {self.period}"
        history, origins, steps = _checked(history, origins, horizon, self.period + 1, who)
        seasons = (steps - 1) // self.period
        point = history[origins - self.period + (steps - 1) % self.period]
        squares = np.cumsum(np.square(history[self.period :] - history[: -self.period]))
        count = origins - self.period
        return point, np.sqrt(squares[count - 1] / count) * np.sqrt(seasons + 1)


@dataclass(frozen=True)
class Drift(Baseline):
    """On along the line from the first value to the last: y_{T+h} = y_T + h d with d = (y_T − y_1)/(T − 1).

    σ_h = σ̂ √(h (1 + h/(T − 1))), where σ̂² is the sum of the squares of y_t − y_{t−1} − d over T − 2, one degree of
    freedom being spent on d.

    Raises:
        DataError: if the history has fewer than 3 steps, or a value is missing or infinite.
        ConfigurationError: if the horizon is below 1.

    Example:
        >>> point, standard_deviation = Drift().forecast(np.array([1.0, 2.0, 3.0]), horizon=2)
        >>> point, standard_deviation
        (array([4., 5.]), array([0., 0.]))

    References:
        As for `Naive`.
    """

    name = "drift"

    def forecasts(self, history: np.ndarray, origins: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations, each [origin, horizon]."""
        history, origins, steps = _checked(history, origins, horizon, 3, "drift")
        last = origins - 1
        slope = (history[last] - history[0]) / last
        # Σ (step − d)² = Σ (step − r)² − n (d − r)²; with r near every d, the difference keeps its digits.
        reference = slope.flat[int(origins.argmin())]
        squares = np.cumsum(np.square(np.diff(history) - reference))
        residual = squares[last - 1] - last * np.square(slope - reference)
        sigma = np.sqrt(np.maximum(residual, 0) / (last - 1))
        return history[last] + steps * slope, sigma * np.sqrt(steps * (1 + steps / last))


def _checked(
    history: np.ndarray, origins: np.ndarray, horizon: int, least: int, who: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What came before the last origin in float64, origins [origin, 1], and the steps 1 … horizon; or refused."""
    if horizon < 1:
        raise ConfigurationError(f"horizon {horizon}: a forecast has at least 1 step")
    if history.ndim != 1:
        raise DataError(f"history is {list(history.shape)}: a baseline forecasts one column, [time]")
    if origins.min() < least:
        raise DataError(f"{who} needs at least {least} steps of history; there are {origins.min()}")
    history = history[: origins.max()]
    wrong = np.flatnonzero(~np.isfinite(history))
    if len(wrong):
        raise DataError(f"history has {len(wrong)} missing or infinite values, the first at step {wrong[0]}: fill them")
    return np.asarray(history, dtype=np.float64), origins[:, None], np.arange(1, horizon + 1)


def unigram(training: np.ndarray, test: np.ndarray, symbols: int) -> float:
    """Nats per symbol of the test part under the frequencies of the training part, each count raised by one.

    −mean log p(s) with p(s) = (n_s + 1)/(N + V): what a model scores that knows the alphabet and no order. The one that
    is added (Laplace's rule of succession) leaves a symbol never seen some probability.

    Args:
        training: tokens of the training part, [time], integers below `symbols`.
        test: tokens of the test part, [time].
        symbols: the size V of the vocabulary.

    Raises:
        DataError: if the test part is empty, or a token is outside the vocabulary.

    Example:
        >>> nats = unigram(np.array([0, 0, 1]), np.array([0, 1]), symbols=2)
        >>> round(float(np.exp(-2 * nats)), 4)  # 3/5 times 2/5
        0.24
    """
    if len(test) == 0:
        raise DataError("the test part is empty: there is nothing to measure")
    for part, tokens in (("training", training), ("test", test)):
        if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < symbols:
            raise DataError(
                f"the {part} part has tokens from {tokens.min()} to {tokens.max()}; a vocabulary of {symbols} has "
                f"0 to {symbols - 1}"
            )
    counts = np.bincount(training, minlength=symbols) + 1
    occurrences = np.bincount(test, minlength=symbols)
    return float(-(occurrences * np.log(counts / counts.sum())).sum() / len(test))


class Compressed(NamedTuple):
    """What the best compressor makes of a text: its name, and bits per character."""

    name: str
    bits_per_character: float


COMPRESSORS = {
    "zlib": lambda text: zlib.compress(text, 9),
    "bz2": lambda text: bz2.compress(text, 9),
    "lzma": lambda text: lzma.compress(text, preset=9 | lzma.PRESET_EXTREME),
}
"""Compressors of the standard library, each at its strongest."""


def compressor(training: bytes, test: bytes, characters: int | None = None, *, most: int = 1 << 22) -> Compressed:
    """Bits per character that a compressor spends on the test part once it has read the training part.

    8 (|C(training + test)| − |C(training)|) / characters, with C the one of zlib, bz2 and lzma for which it is
    least, each at its strongest. Of the training part only the last `most` bytes are read, 4 MiB unless told otherwise,
    to bound the time; zlib remembers 32 KiB of them, bz2 900 kB, lzma all.

    Args:
        training: the training part, encoded.
        test: the test part, encoded the same way.
        characters: how many characters the test part has; one a byte unless given.
        most: how many bytes of the training part to read at most.

    Raises:
        DataError: if the test part is empty.

    Example:
        >>> text = b"to be, or not to be: that is the question. " * 50
        >>> compressor(text, text).bits_per_character < 0.1
        True
    """
    characters = len(test) if characters is None else characters
    if characters < 1 or not test:
        raise DataError("the test part is empty: there is nothing to measure")
    context = training[max(0, len(training) - most) :]
    sizes = {name: len(pack(context + test)) - len(pack(context)) for name, pack in COMPRESSORS.items()}
    # A block that closes earlier with the test part than without it makes the difference meaningless.
    sizes = {name: size if size > 0 else len(COMPRESSORS[name](test)) for name, size in sizes.items()}
    best = min(sizes, key=sizes.__getitem__)
    return Compressed(best, 8 * sizes[best] / characters)
