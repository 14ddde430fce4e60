"""How rare a value is, beyond the greatest of a sample too: its distribution, and a law of extremes for the tail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LEAST_LOG = np.log(1e-300)
"""A probability is never quite zero, so that alarms can be told apart by it on any machine."""
_SHARE_OF_PEAKS = 0.05
_FEWEST_PEAKS = 30
_LEAST_SCALE = 0.01
_LEAST_SHAPE = -0.5


@dataclass(frozen=True, eq=False)
class Tail:
    """P(X ≥ x): by the sample up to a high threshold u, by a generalised Pareto law of what exceeds it above.

    Above u, where a share S(u) of the sample lies,

        P(X ≥ x) = S(u) (1 + ξ (x − u) / σ)^(−1/ξ),

    the one limit that the excesses of almost any distribution have (peaks over threshold). u has a twentieth of the
    sample above it, or 30 values, but not more than a quarter. ξ and σ are those of greatest likelihood where ξ is
    above 1/k, k being the number of excesses, of which those that follow each other count as one. Otherwise σ is their
    mean and ξ = 1/k: what follows from k values of an exponential law whose scale is not known. An end beyond which
    nothing can lie, ξ < 0, is assumed only of what is said to be bounded.

    Args:
        values: the sample's different values up to u, ascending.
        survival: P(X ≥ x) at each of them, falling.
        scale: σ.
        shape: ξ, not 0.

    Example:
        >>> tail = Tail.of(np.random.default_rng(0).exponential(size=2000))
        >>> [f"{p:.0e}" for p in tail.probability(np.array([0.7, 7.0, 20.0]))]
        ['5e-01', '1e-03', '3e-08']

    References:
        Siffer, Fouque, Termier and Largouet, "Anomaly detection in streams with extreme value theory", KDD 2017,
        doi:10.1145/3097983.3098144; Pickands, "Statistical inference using extreme order statistics", Annals of
        Statistics 1975, doi:10.1214/aos/1176343003.
    """

    values: np.ndarray
    survival: np.ndarray
    scale: float
    shape: float

    @classmethod
    def of(cls, sample: np.ndarray, *, bounded: bool = False) -> Tail:
        """Fitted to a sample [step] of at least one finite value.

        Args:
            sample: in the order of time.
            bounded: whether there may be a greatest value possible.
        """
        ordered = np.sort(sample)
        count = len(ordered)
        peaks = min(max(_FEWEST_PEAKS, round(_SHARE_OF_PEAKS * count)), count // 4)
        threshold = ordered[count - peaks - 1]
        values, first = np.unique(ordered[: count - peaks], return_index=True)
        survival = (count - first) / (count + 1)
        exceeds = sample > threshold
        groups = int(np.count_nonzero(exceeds[1:] & ~exceeds[:-1]) + exceeds[0])
        return cls(values, survival, *_law_of(ordered[count - peaks :] - threshold, groups, bounded))

    def log_probability(self, values: np.ndarray) -> np.ndarray:
        """log P(X ≥ x) for each of `values`, NaN for NaN."""
        threshold = self.values[-1]
        below = np.log(np.interp(values, self.values, self.survival))
        excess = np.maximum(values - threshold, 0.0)
        with np.errstate(divide="ignore"):
            growth = np.log1p(np.maximum(self.shape * excess / self.scale, -1.0))
        above = np.log(self.survival[-1]) - growth / self.shape
        known = np.where(np.isnan(values), np.nan, below)
        return np.maximum(np.where(values > threshold, above, known), _LEAST_LOG)

    def probability(self, values: np.ndarray) -> np.ndarray:
        """P(X ≥ x) for each of `values`, NaN for NaN."""
        return np.exp(self.log_probability(values))

    def value_at(self, probability: float) -> float:
        """The x whose P(X ≥ x) is so much; the least of the sample where all of it lies above."""
        if probability < self.survival[-1]:
            ratio = self.survival[-1] / probability
            return float(self.values[-1] + self.scale * np.expm1(self.shape * np.log(ratio)) / self.shape)
        return float(np.interp(-probability, -self.survival, self.values))


def _law_of(excesses: np.ndarray, groups: int, bounded: bool) -> tuple[float, float]:
    """(σ, ξ) of what exceeds the threshold, in so many groups that follow each other."""
    mean = max(float(excesses.mean()), _LEAST_SCALE) if len(excesses) else 1.0
    plain = mean, 1 / max(groups, 1)
    if groups < _FEWEST_PEAKS or mean == _LEAST_SCALE:
        return plain
    from scipy.stats import genpareto  # takes a second, which not everyone should wait

    shape, _, scale = genpareto.fit(excesses, floc=0, scale=mean)
    likely = plain[1] < shape < 1 or (bounded and _LEAST_SHAPE < shape < 0)
    return (float(scale), float(shape)) if likely and scale > 0 else plain
