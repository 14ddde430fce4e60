"""Calibration by one temperature."""

import numpy as np
import pytest
from scipy.special import softmax

from throughtime import DataError
from throughtime.artifacts import Temperature, calibration_error, reliability


def drawn(cases=4000, classes=4, seed=0):
    """Logits, and classes drawn by their probabilities."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(0, 2, (cases, classes))
    probabilities = softmax(logits, axis=1)
    return logits, (probabilities.cumsum(1) > chance.random((cases, 1))).argmax(1)


@pytest.mark.parametrize("sureness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_logits_too_sure(sureness):
    logits, classes = drawn()
    found = Temperature.fit(sureness * logits, classes)
    assert found.value == pytest.approx(sureness, rel=0.08)
    assert found.after < 0.025
    assert found.cases == 4000
    if sureness != 1:
        assert found.before > 2 * found.after


def test_few_right_cases_prove_no_certainty():
    logits = np.array([[2.0, 0.0]] * 5)
    assert 0.6 < Temperature.fit(logits, np.zeros(5, int)).value < 1
    with pytest.raises(DataError, match="no case was given"):
        Temperature.fit(logits[:0], np.zeros(0, int))


def test_verdicts_stay_as_they_were():
    logits, _ = drawn(50)
    assert (Temperature(3.0).probabilities(logits).argmax(1) == logits.argmax(1)).all()


def test_calibration_error_by_hand():
    # Two bins of ten: .95 claimed of 4 cases, 3 right; .55 claimed of 2, both right.
    probabilities = np.array([[0.95, 0.05]] * 4 + [[0.55, 0.45]] * 2)
    classes = np.array([0, 0, 0, 1, 0, 0])
    assert calibration_error(probabilities, classes, bins=10) == pytest.approx((4 * 0.2 + 2 * 0.45) / 6)
    counts, claimed, right = reliability(probabilities, classes, bins=10)
    assert counts.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 4]
    assert (claimed[9], right[9]) == (pytest.approx(0.95), 0.75)
    assert np.isnan(right[0])


def test_certainty_falls_into_the_last_bin():
    counts, _, _ = reliability(np.array([[1.0, 0.0]]), np.array([0]), bins=15)
    assert counts[-1] == 1
