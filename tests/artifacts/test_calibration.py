import errno
import json
import shutil

import numpy as np
import pytest

from throughtime._errors import ArtifactError, ConfigurationError
from throughtime.artifacts import Calibration, calibrated, keep, load
from throughtime.artifacts.detector import smoothed
from throughtime.artifacts.tails import Tail

RNG = np.random.default_rng


@pytest.fixture
def copied(folder, tmp_path):
    """Copies a run, so that what is kept in it concerns no other test."""

    def copy(name):
        shutil.copytree(folder / name, tmp_path / name, ignore=shutil.ignore_patterns("calibration.json"))
        return load(tmp_path / name)

    return copy


def test_a_tail_is_that_of_the_distribution():
    sample = RNG(0).exponential(size=20_000)
    tail = Tail.of(sample)
    for x in (0.1, 1.0, 3.0, 6.0, 9.0, 14.0):
        assert tail.log_probability(np.array([x]))[0] == pytest.approx(-x, abs=0.2 + 0.05 * x)
        assert tail.value_at(np.exp(-x)) == pytest.approx(x, abs=0.2 + 0.05 * x)


def test_a_heavy_tail_is_recognised():
    sample = RNG(1).pareto(3, size=20_000)
    tail = Tail.of(sample)
    assert tail.shape == pytest.approx(1 / 3, abs=0.1)
    assert tail.log_probability(np.array([50.0]))[0] == pytest.approx(-3 * np.log(51), rel=0.15)


@pytest.mark.parametrize("size", [10, 100, 1000])
def test_few_values_promise_no_more_than_they_can(size):
    """Over many samples the share of false alarms is what was asked for, beyond the sample's end too."""
    draws = RNG(2).exponential(size=(300, size))
    fresh = RNG(3).exponential(size=20_000)
    shares = [np.mean(Tail.of(sample).probability(fresh) < 0.005) for sample in draws]
    assert np.mean(shares) == pytest.approx(0.005, rel=0.4)


def test_probability_falls_from_one_side_to_the_other_and_is_never_zero():
    tail = Tail.of(RNG(4).normal(size=500))
    found = tail.probability(np.linspace(-5, 1e6, 100_000))
    assert (np.diff(found) <= 0).all()
    assert found[0] > 0.99
    assert found[-1] > 0
    assert np.isnan(tail.probability(np.array([np.nan]))).all()


@pytest.mark.parametrize("sample", [[2.0], [1.0, 1.0], [3.0] * 200])
def test_a_sample_that_says_little_is_taken(sample):
    tail = Tail.of(np.array(sample))
    high, at = tail.probability(np.array([sample[0] + 5, sample[0]]))
    assert 0 < high < at < 1


def test_the_window_is_the_mean_of_observed_steps_and_is_carried_on():
    surprise = RNG(5).normal(size=200)
    surprise[[3, 50, 51, 120]] = np.nan
    whole = smoothed(surprise, 5)
    observed = surprise[np.isfinite(surprise)]
    wanted = [observed[k - 4 : k + 1].mean() for k in range(4, len(observed))]
    np.testing.assert_allclose(whole[np.isfinite(whole)], wanted)
    assert np.isnan(whole[[0, 1, 2, 3, 4, 50, 51, 120]]).all()
    detector = Calibration({"": observed}).detector(5)
    before, parts = np.empty(0), []
    for part in np.split(surprise, [1, 2, 3, 40, 51, 52, 130]):
        parts.append(detector.judge("", part, before).probability)
        before = detector.carried(part, before)
        assert len(before) <= 4
    np.testing.assert_allclose(np.concatenate(parts), detector.judge("", surprise).probability)


@pytest.mark.parametrize("window", [1, 8])
def test_false_alarms_are_as_many_as_were_asked_for(window):
    detector = Calibration({"": RNG(6).exponential(size=5000)}).detector(window, 0.01)
    share = detector.judge("", RNG(7).exponential(size=100_000)).alarm.mean()
    assert share == pytest.approx(0.01, rel=0.35)


def test_a_spike_a_change_that_lasts_and_a_sensor_that_is_stuck_are_told():
    usual = RNG(8).chisquare(1, size=5000) / 2
    detector = Calibration({"": usual}).detector(8)
    values = usual[:900].copy()
    values[300], values[500:520], values[700:730] = 30, 2.5, 0
    verdict = detector.judge("", values)
    places = np.flatnonzero(verdict.alarm)
    assert {300, 515, 715} <= set(places.tolist())
    assert verdict.quiet[715]
    assert not verdict.quiet[[300, 515]].any()
    single = Calibration({"": usual}).detector(1).judge("", values)
    assert single.alarm[300]
    assert not single.alarm[700:730].any()


def test_series_are_pooled_around_their_own_medians():
    rng = RNG(9)
    usual = {"calm": rng.exponential(size=300), "noisy": 5 + rng.exponential(size=300), "short": np.array([50.0])}
    detector = Calibration(usual).detector(1)
    assert detector.levels["noisy"] - detector.levels["calm"] == pytest.approx(5, abs=0.3)
    assert detector.levels["short"] == detector.level
    low, high = detector.thresholds("noisy", units=2.0)
    assert low is None
    assert high == pytest.approx(detector.thresholds("calm")[1] + 7, abs=0.3)
    for name in ("calm", "noisy"):
        fresh = detector.levels[name] + np.array([0.0, 20.0])
        assert detector.judge(name, fresh).alarm.tolist() == [False, True]
        assert detector.judge(name, fresh + 3.0, units=3.0).probability == pytest.approx(
            detector.judge(name, fresh).probability
        )


def test_thresholds_are_where_alarms_begin():
    detector = Calibration({"": RNG(10).exponential(size=1000)}).detector(4, 0.01)
    low, high = detector.thresholds("")
    assert low is not None
    for level, alarm in ((low - 1e-6, True), (low + 1e-3, False), (high - 1e-3, False), (high + 1e-6, True)):
        assert detector.judge("", np.full(4, level)).alarm[-1] == alarm


def test_many_short_series_are_judged_step_by_step():
    short = Calibration({str(name): RNG(name).exponential(size=6) for name in range(60)})
    assert short.detector(false_alarms=0.1).window == 1
    assert Calibration({"": RNG(0).exponential(size=300)}).detector().window == 8


def test_what_is_no_window_and_no_share_is_refused():
    calibration = Calibration({"": np.ones(30), "b": np.ones(5)})
    for window in (0, 31):
        with pytest.raises(ConfigurationError, match=rf"--window {window}: .* at most 30 steps"):
            calibration.detector(window)
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="between 0 and 1"):
            calibration.detector(1, share)


def test_a_run_is_calibrated_on_its_validation_part(copied):
    run = copied("series")
    calibration = calibrated(run)
    data = run.read()
    (series,) = data.series
    train_end, validation_end, _ = run.task.split.bounds(len(series))
    part = slice(train_end, validation_end)
    wanted = run.score(series)[train_end - 1 : validation_end - 1] - run.units("", run.scaler, series.observed[part])
    np.testing.assert_allclose(calibration.surprise[""], wanted, rtol=1e-5, atol=1e-5)
    assert calibration.part == "validation"
    assert calibration.columns == ("time", "y", "wind")


def test_a_run_of_text_is_calibrated_on_its_validation_part(copied):
    run = copied("text")
    tokens = run.read().tokens
    train_end, validation_end, _ = run.task.split.bounds(len(tokens))
    wanted = run.score(tokens)[train_end - 1 : validation_end - 1]
    np.testing.assert_allclose(calibrated(run).surprise[""], wanted, rtol=1e-5, atol=1e-5)


def test_only_the_last_steps_of_a_long_part_are_kept(copied, monkeypatch):
    run = copied("series")
    whole = calibrated(run).surprise[""]
    monkeypatch.setattr("throughtime.artifacts.calibrating._MOST_STEPS", 7)
    np.testing.assert_allclose(calibrated(run).surprise[""], whole[-7:], rtol=1e-4)


def test_what_was_measured_is_kept_and_needs_no_data_again(copied, monkeypatch):
    run = copied("series")
    first = calibrated(run)
    keep(run, first)
    monkeypatch.setattr(type(run), "read", lambda *_: pytest.fail("the data was read"))
    again = calibrated(run)
    np.testing.assert_array_equal(again.surprise[""], first.surprise[""])
    assert (again.part, again.columns) == (first.part, first.columns)


def test_other_weights_are_calibrated_anew(copied):
    run = copied("series")
    first = calibrated(run)
    keep(run, first)
    run.model.head.linear.bias.data += 1
    run.save_weights()
    assert calibrated(run).surprise[""].tolist() != first.surprise[""].tolist()


def test_without_the_data_there_is_an_error_in_words(copied):
    run = copied("series")
    run.data["source"]["path"] = "/nowhere/a.csv"
    with pytest.raises(ArtifactError, match=r"no calibration.json, .* is gone: put it back.*--false-alarms none"):
        calibrated(run)


@pytest.mark.parametrize("damage", ['{"format": 1}', '{"format": 1, "weights": "W"}', "[]"])
def test_a_damaged_calibration_is_told_of(copied, damage):
    run = copied("series")
    keep(run, calibrated(run))
    path = run.folder / "calibration.json"
    path.write_text(damage.replace("W", json.loads(path.read_text())["weights"]))
    with pytest.raises(ArtifactError, match=r"calibration.json"):
        calibrated(run)


def test_a_folder_that_cannot_be_written_is_left_as_it_is(copied, monkeypatch):
    run = copied("series")

    def refuse(path, content):
        raise OSError(errno.EROFS, "read-only file system", str(path))

    monkeypatch.setattr("throughtime.artifacts.store.write_json", refuse)
    keep(run, calibrated(run))
    assert not (run.folder / "calibration.json").exists()
