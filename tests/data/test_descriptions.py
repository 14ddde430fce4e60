import json
import re
import warnings

import numpy as np
import polars as pl
import pytest
from matplotlib import font_manager
from rich.console import Console

from throughtime import DataError, _plotting
from throughtime.data import (
    Frequency,
    mu_law_encode,
    read_series,
    read_sound,
    read_text,
    read_unmended,
    write_sound,
)
from throughtime.data.series.components import decompose, find_period


def printed(description):
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(description.table())
        return console.export_text()


def season(length=400, period=12, noise=0.5, slope=0.02, seed=0):
    t = np.arange(length)
    return 3 * np.sin(2 * np.pi * t / period) + slope * t + noise * np.random.default_rng(seed).normal(size=length)


def test_strengths_follow_their_definition():
    values = season()
    parts = decompose(values, 12)
    inner = ~np.isnan(parts.trend)
    np.testing.assert_allclose((parts.trend + parts.seasonal + parts.remainder)[inner], values[inner])
    left, trend, seasonal = parts.remainder[inner], parts.trend[inner], parts.seasonal[inner]
    assert parts.trend_strength == pytest.approx(1 - left.var() / (left + trend).var())
    assert parts.seasonal_strength == pytest.approx(1 - left.var() / (left + seasonal).var())


def test_strengths_are_high_and_low_where_they_should_be():
    strong = decompose(season(noise=0.05, slope=0.2), 12)
    assert strong.trend_strength > 0.99
    assert strong.seasonal_strength > 0.99
    weak = decompose(np.random.default_rng(1).normal(size=2000), None)
    assert weak.trend_strength < 0.05
    assert weak.seasonal_strength == 0
    assert decompose(np.full(50, 3.0), 12).seasonal_strength == 0
    assert decompose(np.full(50, 3.0), None).trend_strength == 0


@pytest.mark.parametrize("period", [4, 7, 12, 24, 53])
def test_a_period_is_found_whether_it_is_expected_or_not(period):
    values = season(period * 20, period)
    assert find_period(values, ()) == period
    assert find_period(values, (period, 2 * period)) == period


def test_a_period_is_not_claimed_of_noise_trends_or_random_walks():
    claimed = 0
    for seed in range(60):
        noise = np.random.default_rng(seed).normal(size=400)
        claimed += find_period(noise, (7, 12, 24)) is not None
        claimed += find_period(np.cumsum(noise), (7, 12, 24)) is not None
        claimed += find_period(np.arange(400) + noise, (7, 12, 24)) is not None
    assert claimed == 0
    assert find_period(np.zeros(100), (7,)) is None
    assert find_period(np.arange(6.0), (2,)) is None


def hourly(length=24 * 40, gap=False):
    times = np.datetime64("2024-01-01", "us") + np.arange(length) * np.timedelta64(1, "h")
    values = season(length, 24)
    keep = np.ones(length, bool)
    keep[100:120] = not gap
    return pl.DataFrame({"ds": times[keep], "load": values[keep], "flat": np.full(keep.sum(), 5.0)})


def test_series_are_described():
    description = read_series(hourly(gap=True), fill="linear").describe()
    record = json.loads(json.dumps(description.to_dict(), allow_nan=False))
    assert record["rows"] == 960
    assert record["frequency"] == "1h"
    assert record["columns"][0]["period"] == description.period == 24
    assert 0.9 < record["columns"][0]["seasonality"] <= 1
    assert record["columns"][1]["constant"]
    assert record["columns"][1]["period"] is None
    assert record["notes"][-1] == "column 'flat' is constant (5)"
    assert "20 times were missing: added and filled (linear)" in record["notes"]
    text = printed(description)
    for part in ("load", "960", "2024-01-01 to 2024-02-09 23:00:00", "hour_of_day", "note: column 'flat' is constant"):
        assert part in text


def test_the_picture_of_series_shows_gaps_as_gaps_and_bars_from_zero(tmp_path):
    figure = read_series(hourly(gap=True), fill="linear").describe().plot()
    drawn = figure.axes[0].lines[0].get_ydata()
    assert np.isnan(drawn[100:120]).all()
    assert np.isfinite(np.delete(drawn, np.s_[100:120])).all()
    for axes in figure.axes:
        assert all(bar.get_y() == 0 for bar in axes.patches)
    figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_many_series_are_described_together():
    frames = [
        pl.DataFrame({"ds": np.arange(60 + k), "y": season(60 + k, 6), "unique_id": f"s{k:02}"}) for k in range(60)
    ]
    description = read_series(pl.concat(frames)).describe()
    assert description.series == 60
    assert (description.shortest, description.longest) == (60, 119)
    assert description.period == 6
    assert "60 to 119 rows each" in printed(description)
    assert "medians over 48 of the 60 series" in description.notes[-1]
    assert len(description.lines) == 6


def test_text_is_described(tmp_path):
    (tmp_path / "a.txt").write_text("aab\n" * 100)
    description = read_text(tmp_path / "a.txt").describe()
    assert description.entropy == pytest.approx(1.5)
    assert description.frequencies == (("a", 200), ("\n", 100), ("b", 100))
    record = json.loads(json.dumps(description.to_dict(), allow_nan=False))
    assert record["vocabulary"] == 3
    text = printed(description)
    assert "↵" in text
    assert "1.500 bits" in text
    axes = description.plot().axes[0]
    assert axes.get_ylim()[0] == 0
    assert [bar.get_height() for bar in axes.patches] == [50, 25, 25]


def test_every_symbol_can_be_drawn(tmp_path):
    (tmp_path / "a.txt").write_text("".join(map(chr, range(32, 127))) + "\x01\n\t$x$")
    figure = read_text(tmp_path / "a.txt").describe().plot()
    figure.savefig(tmp_path / "a.png")  # a dollar sign begins a formula, if nothing is done about it
    drawn = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert drawn[:2] == [r"\$", "x"]
    assert len(set(drawn)) == len(figure.axes[0].patches)


def test_sound_is_described(tmp_path):
    wave = 0.5 * np.sin(np.arange(8000) / 10)
    write_sound(tmp_path / "a.wav", mu_law_encode(wave), 8000)
    description = read_sound(tmp_path / "a.wav").describe()
    assert description.seconds == 1
    assert description.peak == pytest.approx(0.5, abs=0.02)
    assert description.loudness == pytest.approx(0.5 / np.sqrt(2), abs=0.02)
    json.dumps(description.to_dict(), allow_nan=False)
    assert "8,000 a second: 1.00 s" in printed(description)
    description.plot().savefig(tmp_path / "a.png")


def test_a_letter_without_a_font_is_a_warning_in_words(tmp_path):
    _plotting._warn_of_fonts.cache_clear()
    figure = _plotting.figure(3, 1)
    figure.add_subplot().set_title("\U00012000")  # a cuneiform sign
    has = any("cuneiform" in font.name.lower() for font in font_manager.fontManager.ttflist)
    if has:
        pytest.skip("a font here has cuneiform")
    with pytest.warns(UserWarning, match="no installed font has every letter"):
        figure.savefig(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(tmp_path / "b.png")


def test_the_style_leaves_no_trace():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    with _plotting.style():
        assert mpl.rcParams["axes.grid"]
    assert dict(mpl.rcParams) == before


def test_a_value_between_gaps_is_a_dot():
    axes = _plotting.figure(3, 1).add_subplot()
    _plotting.gapped(axes, np.arange(5), np.array([1.0, np.nan, 2.0, np.nan, 3.0]))
    assert axes.lines[1].get_xdata().tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ("frequency", "name", "period"),
    [
        (Frequency("us", 1000), "1ms", 60000),
        (Frequency("us", 1_000_000), "1s", 3600),
        (Frequency("us", 300_000_000), "5min", 288),
        (Frequency("us", 7 * 3_600_000_000), "7h", 1),
        (Frequency("us", 7 * 86_400_000_000), "1w", 52),
        (Frequency("mo", 3), "3mo", 4),
        (Frequency("mo", 12), "1y", 1),
        (Frequency("b", 1), "1b", 5),
        (Frequency("count", 1), "1", 1),
    ],
)
def test_frequencies_by_name(frequency, name, period):
    assert frequency.name == name
    assert frequency.period == period
    assert Frequency.from_dict(json.loads(json.dumps(frequency.to_dict()))) == frequency


def test_gaps_and_missing_values_are_described_as_they_are():
    frame = hourly(gap=True).with_columns(
        load=pl.when(pl.int_range(pl.len()).is_in([5, 6, 300])).then(None).otherwise("load")
    )
    with pytest.raises(DataError, match="holds no value"):
        read_series(frame)
    description = read_unmended(frame).describe()
    record = json.loads(json.dumps(description.to_dict(), allow_nan=False))
    assert record["gaps"] == {"count": 1, "times": 20, "first": "2024-01-05 03:00:00 to 2024-01-06"}
    assert [column["missing"] for column in record["columns"]] == [3, 0]
    assert record["columns"][1]["mean"] == 5
    assert record["columns"][0]["minimum"] == frame["load"].min()
    assert record["columns"][0]["period"] == 24
    text = printed(description)
    assert "gaps       1: 20 times are missing, the first from 2024-01-05 03:00:00 to 2024-01-06" in text
    assert "missing    3 in 'load'\n" in re.sub(" +\n", "\n", text)
    assert not any("filled" in note for note in record["notes"])
    drawn = description.plot().axes[0].lines[0].get_ydata()
    assert np.flatnonzero(np.isnan(drawn)).tolist() == [5, 6, *range(100, 120), 320]
    filled = read_series(frame, fill="zero").describe()
    assert filled.gaps == description.gaps
    assert [column.missing for column in filled.columns] == [3, 0]


def test_nothing_missing_is_said_so():
    description = read_series(hourly()).describe()
    assert "gaps       none" in printed(description)
    assert "missing    no value" in printed(description)
    assert description.to_dict()["gaps"] == {"count": 0, "times": 0, "first": None}


def test_other_faults_are_refused_in_a_description_too():
    times = pl.Series("ds", ["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03"])
    for values, message in (
        ([1.0, 2.0, 2.0, 3.0], "row 3: time 2024-01-02 stands in row 2 already"),
        ([1.0, 2.0, float("inf"), 3.0], "row 3, column 'y': inf"),
        ([None] * 4, "column 'y' has no value in any of its 4 rows"),
    ):
        with pytest.raises(DataError, match=message):
            read_unmended(pl.DataFrame({"ds": times, "y": pl.Series(values, dtype=pl.Float64)}), targets="y")
    far = ["2024-01-01 00:00:00", "2024-01-01 00:00:01", "2024-01-01 00:00:02", "2026-09-27 00:00:02"]
    with pytest.raises(DataError, match="times missing: 86399999"):
        read_unmended(pl.DataFrame({"ds": far, "y": [1.0, 2.0, 3.0, 4.0]}))


def test_a_series_without_any_value_is_bridged_by_nothing():
    frame = pl.DataFrame(
        {"unique_id": ["a"] * 9 + ["b"] * 9, "ds": [*range(9)] * 2, "y": [None] * 9 + [*map(float, range(9))]}
    )
    column = read_unmended(frame).describe().columns[0]
    assert (column.missing, column.minimum, column.maximum, column.mean) == (9, 0, 8, 4)
