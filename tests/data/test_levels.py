"""When a model should see logarithms, and what a scaler makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import default_rng

from throughtime import DataError
from throughtime.data import Scaler, grows_with_level

SEASON = np.tile(np.sin(2 * np.pi * np.arange(12) / 12), 12)
GROWTH = np.exp(np.linspace(0, 1.5, 144))


@pytest.mark.parametrize("period", [12, 1])
def test_swings_that_grow_with_the_level_are_told_from_those_that_do_not(period: int) -> None:
    noise = default_rng(0).normal(size=144)
    assert grows_with_level([100 * GROWTH * (1 + 0.2 * SEASON + 0.02 * noise)], period)
    assert not grows_with_level([100 * GROWTH + 10 * SEASON + noise], period)


def test_what_tells_nothing() -> None:
    growing = GROWTH * (2 + SEASON)
    assert not grows_with_level([3 + SEASON], 12)  # one level
    assert not grows_with_level([growing[:36]], 12)  # three seasons
    assert not grows_with_level([growing - growing.min()], 12)  # a zero
    assert not grows_with_level([np.arange(1.0, 145.0)], 12)  # no swing
    assert not grows_with_level([], 12)


def test_most_series_decide() -> None:
    growing, even = GROWTH * (2 + SEASON), 10 * GROWTH + SEASON
    assert grows_with_level([growing, growing, even, 3 + SEASON], 12)
    assert not grows_with_level([growing, even, 3 + SEASON], 12)


def test_logarithms_go_there_and_back() -> None:
    values = np.exp(default_rng(1).normal(size=(50, 3)))
    scaler = Scaler.fit({"a": values}, logs=(0, 2))
    scaled = scaler.transform("a", values)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(0), 1)
    logged = np.log(values[:, 0])
    np.testing.assert_allclose(scaled[:, 0], (logged - logged.mean()) / logged.std())
    np.testing.assert_allclose(scaled[:, 1], (values[:, 1] - values[:, 1].mean()) / values[:, 1].std())
    np.testing.assert_allclose(scaler.inverse("a", scaled), values)
    np.testing.assert_array_equal(scaler.view("a", values)[5:9], scaled[5:9])
    again = Scaler.from_dict(scaler.to_dict())
    np.testing.assert_array_equal(again.transform("a", values), scaled)
    np.testing.assert_allclose(again.extend("b", values[:9]).inverse("b", again.extend("b", values[:9]).transform(
        "b", values)), values)  # fmt: skip


def test_the_spread_is_the_slope_of_the_inverse() -> None:
    values = np.exp(default_rng(2).normal(size=(50, 2)))
    scaler = Scaler.fit({"a": values}, logs=(1,))
    scaled, step = scaler.transform("a", values), 1e-6
    slope = (scaler.inverse("a", scaled + step) - scaler.inverse("a", scaled - step)) / (2 * step)
    np.testing.assert_allclose(scaler.spread("a", values), slope, rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, -2.5, np.nan])
def test_a_value_without_a_logarithm_is_named(value: float) -> None:
    scaler = Scaler.fit({"a": np.array([[1.0], [2.0]])}, logs=(0,))
    with pytest.raises(DataError, match=rf"the value {value:g} has no logarithm, .*--transform none"):
        scaler.transform("a", np.array([[1.0], [value]]))
