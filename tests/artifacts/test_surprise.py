import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_hex

from throughtime._errors import ConfigurationError
from throughtime.artifacts import Calibration, Scored, Scores, judged

STEPS = 300


def made(name="", *, spikes=(100, 103, 200), values=True, window=1):
    """Scores of one series with some spikes of growing height."""
    detector = Calibration({"": np.random.default_rng(0).exponential(size=1000)}).detector(window, 0.001)
    surprise = np.random.default_rng(1).uniform(0, 2, size=STEPS)
    for height, step in enumerate(spikes, 20):
        surprise[step] = height
    times = np.datetime64("2024-01-01", "us") + np.arange(STEPS).astype("m8[h]")
    seen = np.sin(np.arange(STEPS))[:, None] if values else None
    return Scored(name, times, surprise, detector.judge("", surprise), detector.thresholds(""), seen), detector


def test_alarms_are_merged_and_the_rarest_comes_first():
    one, detector = made(spikes=(100, 101, 200))
    alarms = Scores((one,), detector, targets=("y",)).alarms()
    assert alarms.select("first", "last", "side").rows() == [(201, 201, "high"), (101, 102, "high")]
    assert alarms["begin"].to_list() == one.labels[[200, 100]].tolist()
    assert alarms["peak"].to_list() == one.labels[[200, 101]].tolist()
    assert alarms["probability"].is_sorted()
    assert alarms["surprise"].to_list() == [22.0, 21.0]


def test_no_alarm_is_an_empty_table():
    one, detector = made(spikes=())
    scores = Scores((one,), detector)
    assert scores.alarms().height == scores.alarmed == 0
    assert scores.plot().axes


def test_a_table_has_a_row_a_step(tmp_path):
    scores = Scores((made("a")[0], made("b")[0]), made()[1], targets=("y",))
    frame = scores.frame()
    assert frame.columns == ["series", "step", "time", "surprise", "probability", "alarm"]
    assert (frame.height, scores.steps, scores.alarmed) == (2 * STEPS, 2 * STEPS, 6)
    assert scores.mean == pytest.approx(frame["surprise"].mean())
    assert scores.most(2)["surprise"].to_list() == [22.0, 22.0]
    for name in ("scores.csv", "scores.parquet", "scores.png"):
        scores.write(tmp_path / name)
    assert pl.read_parquet(tmp_path / "scores.parquet").equals(frame)
    assert pl.read_csv(tmp_path / "scores.csv")["alarm"].sum() == 6
    with pytest.raises(ConfigurationError, match=r"\.csv, \.parquet or \.png"):
        scores.write(tmp_path / "scores.json")


def test_the_picture_shows_the_series_its_surprise_the_threshold_and_the_alarms():
    one, detector = made(window=4)
    above, below = Scores((one,), detector, targets=("y",)).plot().axes
    assert one.values is not None
    np.testing.assert_array_equal(above.lines[0].get_ydata(), one.values[:, 0])
    np.testing.assert_array_equal(below.lines[0].get_ydata(), one.verdict.smoothed)
    assert [np.asarray(line.get_ydata())[0] for line in below.lines[1:3]] == list(reversed(one.thresholds))
    for axes in (above, below):
        assert len([part for part in axes.patches if to_hex(part.get_facecolor()) == "#e69f00"]) == 2


def test_of_many_series_the_worst_are_shown():
    calm = [made(f"calm {number}", spikes=())[0] for number in range(6)]
    scores = Scores((*calm, made("wild")[0]), made()[1], targets=("y",))
    titles = [axes.get_title(loc="left") for axes in scores.plot(most=2).axes[::2]]
    assert len(titles) == 2
    assert titles[-1] == "wild · 3 alarms"


def test_a_long_series_is_drawn_by_its_extremes():
    labels = np.arange(20_000)
    surprise = np.random.default_rng(2).exponential(size=len(labels))
    surprise[[777, 15_000]] = 90, np.nan
    detector = Calibration({"": surprise[1000:3000]}).detector(1)
    one = Scored("", labels, surprise, detector.judge("", surprise), detector.thresholds(""))
    line = Scores((one,), detector, unit="symbol").plot().axes[0].lines[0]
    assert len(np.asarray(line.get_xdata())) < 5000
    assert np.nanmax(line.get_ydata()) == 90
    assert (np.diff(line.get_xdata()) >= 0).all()


def test_a_text_tells_the_symbols_of_an_alarm(text_run, tmp_path):
    (tmp_path / "odd.txt").write_text("the quick brown fox jumps over\n" * 4 + "zzzzzzzzzz\n" + "the lazy dog.\n" * 4)
    detector = Calibration({"": np.random.default_rng(3).uniform(0, 3, size=1000)}).detector(4, 0.001)
    alarms = judged(text_run, text_run.read(tmp_path / "odd.txt"), detector).alarms()
    assert "zzzz" in alarms["symbols"][0]
