"""Intervals of differences, beside those that scipy and simulation give."""

import math

import numpy as np
import pytest
from scipy import stats

from throughtime import ShapeError
from throughtime.evaluation import difference


def test_one_seed_each_is_the_paired_t_interval() -> None:
    chance = np.random.default_rng(0)
    one, other = chance.normal(1, 1, (2, 1, 17))
    found = difference(one, other, confidence=0.9)
    wanted = stats.ttest_rel(one[0], other[0]).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-10)
    assert found.mean == pytest.approx(one.mean() - other.mean())


def test_parts_that_do_not_differ_leave_welchs_interval() -> None:
    chance = np.random.default_rng(1)
    one, other = chance.normal(0, 1, (4, 1)), chance.normal(0, 3, (6, 1))
    found = difference(np.repeat(one, 5, 1), np.repeat(other, 5, 1))
    wanted = stats.ttest_ind(one[:, 0], other[:, 0], equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-10)


def test_the_interval_holds_the_difference_as_often_as_it_says() -> None:
    chance = np.random.default_rng(2)
    held = 0
    for _ in range(500):
        hardness = chance.normal(0, 2, 20)  # of each stretch, for both alike
        one, other = (
            mean + hardness + chance.normal(0, 0.3, (3, 1)) + chance.normal(0, 0.5, (1, 20)) for mean in (0.2, 0.0)
        )
        found = difference(one, other)
        held += found.low <= 0.2 <= found.high
    assert 0.9 <= held / 500 <= 0.98  # Welch and Satterthwaite: three seeds tell little of their spread


def test_ties_and_what_cannot_be_told() -> None:
    same = np.arange(6.0).reshape(1, 6)
    assert difference(same, same) == difference(same, same.copy())
    assert difference(same, same).tie
    assert not difference(same + 1, same).tie  # by the same amount everywhere
    alone = difference(np.ones((1, 1)), np.zeros((1, 1)))
    assert alone.mean == 1
    assert math.isnan(alone.low)
    assert alone.tie
    with pytest.raises(ShapeError, match=r"\[1, 6\] and \[1, 5\]"):
        difference(same, same[:, :5])
