"""Whether a gradient arrives: the thresholds, and the sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._profile import LagProfile, by_lag, ratio_interval

if TYPE_CHECKING:
    from .gradient_flow import LayerFlow

VANISHING, EXPLODING = 1e-3, 1e3
"""What is left of a gradient at the lag in question, beside lag 0, below or above which it is called so."""
_FEWEST, _UNCERTAIN = 4, 3.0
"""With fewer losses and sequences than that a bootstrap says nothing: then this factor, either way, stands for it."""


@dataclass(frozen=True)
class Verdict:
    """Whether a gradient arrives.

    Args:
        word: "vanishing", "exploding", "healthy" or "inconclusive".
        sentence: what was found, with the thresholds.
        lag: at which it is judged.
        ratio: exp(φ(lag) − φ(first)), what is left of the gradient at that lag; `None` where it is not measured.
        low, high: the 95 % interval of the ratio; of fewer than four losses and sequences, a factor of 3 either way.
        layer: whose gradient it is.
    """

    word: str
    sentence: str
    lag: int
    ratio: float | None
    low: float | None
    high: float | None
    layer: str


def usual_lag(profile: LagProfile) -> int:
    """The longest lag that half of the measurements reach."""
    return int(np.flatnonzero(profile.count >= profile.count.max() / 2)[-1])


def judge(layer: LayerFlow, anchors: Sequence[int], lag: int) -> Verdict:
    """The verdict on one layer."""
    profile, name = layer.profile, layer.name
    thresholds = f"vanishing below {VANISHING:g}, exploding above {EXPLODING:g}"
    blown = _first_blown(layer, anchors)
    if blown is not None:
        step, anchor = blown
        sentence = (
            f"exploding: on its way from the loss of step {anchor} the gradient of {name} is not finite at step {step}"
        )
        return Verdict("exploding", sentence, lag, math.inf, None, None, name)
    if not profile.count.any():
        sentence = f"inconclusive: no loss that was followed sends any gradient to {name}"
        return Verdict("inconclusive", sentence, lag, None, None, None, name)
    if lag <= profile.first:
        sentence = f"inconclusive: no loss of {name} reaches further back than lag {lag}; give more steps"
        return Verdict("inconclusive", sentence, lag, None, None, None, name)
    if lag > profile.longest:
        sentence = f"inconclusive: lag {lag} is not reached, the longest measured is {profile.longest}; give more steps"
        return Verdict("inconclusive", sentence, lag, None, None, None, name)
    first = profile.first
    change = profile.change[lag]
    if not math.isfinite(change):
        reason = "is zero, or below what its numbers can express"
        if layer.parts == ("x",):
            reason = (
                f"is zero: no loss reads more than {int(np.flatnonzero(np.isfinite(profile.change))[-1]) + 1} steps"
            )
        sentence = f"vanishing: {lag} steps back the gradient of {name} {reason}"
        return Verdict("vanishing", sentence, lag, 0.0, 0.0, 0.0, name)
    low, high = ratio_interval(by_lag(layer.norms, anchors, layer.reverse), first, lag)
    ratio, low, high = (_exp(value) for value in (change, low, high))
    if profile.count[lag] < _FEWEST:
        low, high = ratio / _UNCERTAIN, ratio * _UNCERTAIN
    back = f"{lag} step{'s' if lag > 1 else ''} back"
    left = f"{back} {ratio:.2g} of the gradient of {name} is left"
    word = "vanishing" if ratio < VANISHING else "exploding" if ratio > EXPLODING else "healthy"
    if word == "exploding":
        beyond = np.flatnonzero(profile.change > math.log(EXPLODING))
        left = f"{left}, above {EXPLODING:g} from lag {beyond[0]} on"
    if any(low < threshold < high for threshold in (VANISHING, EXPLODING)):
        word, left = "inconclusive", f"{left}, and its 95 % interval [{low:.2g}, {high:.2g}] contains a threshold"
    return Verdict(word, f"{word}: {left} ({thresholds})", lag, ratio, low, high, name)


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _first_blown(layer: LayerFlow, anchors: Sequence[int]) -> tuple[int, int] | None:
    """The step and the loss at which a gradient first stops being finite, on its shortest way."""
    places = np.argwhere(np.isinf(layer.norms).any(2))
    if not len(places):
        return None
    lags = np.abs(np.array([anchors[row] for row in places[:, 0]]) - places[:, 1])
    row, step = places[lags.argmin()]
    return int(step), anchors[row]


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """That on the whole model."""
    for word in ("exploding", "healthy"):
        for verdict in reversed(verdicts):
            if verdict.word == word:
                return verdict
    return max(verdicts, key=lambda verdict: -1.0 if verdict.ratio is None else verdict.ratio)
