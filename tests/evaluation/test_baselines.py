import bz2
import math
import zlib

import numpy as np
import pytest

from throughtime._errors import ConfigurationError, DataError
from throughtime.evaluation.baselines import Drift, Naive, SeasonalNaive, compressor, unigram
from throughtime.evaluation.metrics import coverage

ALL = [Naive(), SeasonalNaive(1), SeasonalNaive(3), Drift()]


def test_naive_worked_by_hand() -> None:
    # Steps 1, 3, -2: a mean square of 14/3.
    point, deviation = Naive().forecast(np.array([1.0, 2.0, 5.0, 3.0]), 3)
    assert point.tolist() == [3, 3, 3]
    assert deviation == pytest.approx(np.sqrt([14 / 3, 28 / 3, 14]))


def test_seasonal_naive_worked_by_hand() -> None:
    # Seasonal steps 3, -1, 1, 4: a mean square of 27/4.
    point, deviation = SeasonalNaive(2).forecast(np.array([1.0, 5.0, 4.0, 4.0, 5.0, 8.0]), 5)
    assert point.tolist() == [5, 8, 5, 8, 5]
    assert deviation == pytest.approx(np.sqrt(27 / 4 * np.array([1, 1, 2, 2, 3])))


def test_drift_worked_by_hand() -> None:
    # A slope of 2; residuals -1, 1, -1, 1; four of them less one degree of freedom.
    point, deviation = Drift().forecast(np.array([0.0, 1.0, 4.0, 5.0, 8.0]), 2)
    assert point == pytest.approx([10, 12])
    assert deviation == pytest.approx([math.sqrt(4 / 3 * 1 * (1 + 1 / 4)), math.sqrt(4 / 3 * 2 * (1 + 2 / 4))])


@pytest.mark.parametrize(("baseline", "drift"), [(Naive(), 0.0), (Drift(), 0.5)])
def test_intervals_of_a_random_walk_are_honest(baseline, drift: float) -> None:
    walks = np.cumsum(np.random.default_rng(0).normal(drift, 1, size=(600, 120)), axis=1)
    point, deviation = (np.array(part) for part in zip(*(baseline.forecast(w[:100], 20) for w in walks), strict=True))
    inside = coverage(walks[:, 100:], point - 1.2816 * deviation, point + 1.2816 * deviation)
    assert inside == pytest.approx(0.8, abs=0.03)


def test_seasonal_naive_is_exact_on_what_repeats() -> None:
    wave = np.tile([3.0, 1.0, 2.0], 8)
    point, deviation = SeasonalNaive(3).forecast(wave[:16], 8)
    assert np.array_equal(point, wave[16:])
    assert not deviation.any()


@pytest.mark.parametrize("baseline", ALL)
def test_names_and_shapes(baseline) -> None:
    point, deviation = baseline.forecast(np.arange(10, dtype=np.float32), 4)
    assert point.shape == deviation.shape == (4,)
    assert baseline.name in ("naive", "seasonal_naive", "drift")


@pytest.mark.parametrize("baseline", ALL)
def test_what_cannot_be_forecast_from_is_refused(baseline) -> None:
    with pytest.raises(ConfigurationError, match="horizon 0"):
        baseline.forecast(np.arange(10.0), 0)
    with pytest.raises(DataError, match="steps of history; there are 1"):
        baseline.forecast(np.ones(1), 1)
    with pytest.raises(DataError, match=r"history is \[5, 2\]"):
        baseline.forecast(np.ones((5, 2)), 1)
    with pytest.raises(DataError, match="1 missing or infinite values, the first at step 3"):
        baseline.forecast(np.array([1.0, 2.0, 3.0, np.nan, 5.0]), 1)


def test_a_season_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="period 0"):
        SeasonalNaive(0)


def test_unigram_worked_by_hand() -> None:
    # Counts 3, 1, 0 raised by one: 4/7, 2/7, 1/7.
    nats = unigram(np.array([0, 0, 1, 0]), np.array([2, 0]), symbols=3)
    assert nats == pytest.approx(-(math.log(1 / 7) + math.log(4 / 7)) / 2)


def test_unigram_knowing_nothing_is_uniform() -> None:
    assert unigram(np.array([], dtype=np.uint8), np.array([4, 0, 7], dtype=np.uint8), symbols=8) == pytest.approx(
        math.log(8)
    )


def test_unigram_of_much_text_is_its_entropy() -> None:
    probabilities = np.array([0.5, 0.25, 0.25])
    tokens = np.random.default_rng(0).choice(3, size=100_000, p=probabilities).astype(np.uint16)
    assert unigram(tokens[:50_000], tokens[50_000:], symbols=3) == pytest.approx(1.5 * math.log(2), abs=0.01)


def test_unigram_refusals() -> None:
    with pytest.raises(DataError, match="test part is empty"):
        unigram(np.array([1]), np.array([], dtype=int), symbols=2)
    with pytest.raises(DataError, match="test part has tokens from 0 to 5; a vocabulary of 5 has 0 to 4"):
        unigram(np.array([1]), np.array([0, 5]), symbols=5)


def test_compressor_is_the_least_difference() -> None:
    generator = np.random.default_rng(0)
    training, test = (bytes(generator.choice(list(b"abcd"), size=size).tolist()) for size in (4000, 1000))
    best = compressor(training, test)
    for pack in (zlib.compress, bz2.compress):
        difference = len(pack(training + test, 9)) - len(pack(training, 9))
        assert best.bits_per_character <= 8 * difference / 1000
    # Four symbols at random hold two bits each, and no compressor gets below.
    assert 1.95 < best.bits_per_character < 2.5


def test_compressor_uses_what_it_has_read() -> None:
    noise = np.random.default_rng(0).bytes(5000)
    assert compressor(noise, noise).bits_per_character < 0.2
    assert compressor(b"", noise).bits_per_character > 7.9
    assert compressor(noise, noise, most=0).bits_per_character > 7.9


def test_compressor_counts_characters_not_bytes() -> None:
    text = "가나다라마바사" * 30
    by_byte = compressor(b"", text.encode())
    assert compressor(b"", text.encode(), len(text)).bits_per_character == pytest.approx(3 * by_byte.bits_per_character)


def test_compressor_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="test part is empty"):
        compressor(b"abc", b"")


@pytest.mark.parametrize("baseline", ALL)
@pytest.mark.parametrize("line", [0.0, 1e6])
def test_many_origins_at_once_are_as_one_by_one(baseline, line) -> None:
    history = np.random.default_rng(0).normal(size=300).cumsum() + line * np.arange(300) + 1e5
    origins = np.array([4, 50, 51, 299, 7, 300])
    point, deviation = baseline.forecasts(history, origins, 5)
    assert point.shape == deviation.shape == (6, 5)
    for index, origin in enumerate(origins):
        alone = baseline.forecast(history[:origin], 5)
        np.testing.assert_allclose(point[index], alone[0], rtol=1e-12)
        np.testing.assert_allclose(deviation[index], alone[1], rtol=1e-6)


@pytest.mark.parametrize("baseline", ALL)
def test_many_origins_read_the_history_once(baseline, monkeypatch) -> None:
    squared = []
    square = np.square
    monkeypatch.setattr(np, "square", lambda values: squared.append(np.size(values)) or square(values))
    baseline.forecasts(np.arange(1000.0), np.arange(500, 1000), 3)
    assert sum(squared) <= 2 * 1000


@pytest.mark.parametrize("baseline", ALL)
def test_an_origin_knows_nothing_later(baseline) -> None:
    history = np.random.default_rng(0).normal(size=60)
    later = np.concatenate([history[:40], np.full(20, 1e9)])
    for one, other in zip(*(baseline.forecasts(h, np.array([40, 60]), 4) for h in (history, later)), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
