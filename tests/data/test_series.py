import gzip
import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from throughtime._errors import ArtifactError, ConfigurationError, DataError
from throughtime.data import SeriesLayout, Source, read_series
from throughtime.data.files import workspace as workspace_module

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SHARED_ABSENT = pytest.mark.skipif(not SHARED.exists(), reason="the shared data folder is not here")


def written(folder, content, name="a.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def days(count, start="2024-01-01"):
    return [str(day) for day in np.arange(count) + np.datetime64(start, "D")]


def table(times, values=None, header="date,y"):
    values = range(len(times)) if values is None else values
    return "\n".join([header, *(f"{t},{v}" for t, v in zip(times, values, strict=True))]) + "\n"


@pytest.mark.parametrize(
    ("cells", "second", "frequency"),
    [
        (["2024-01-01", "2024-01-02", "2024-01-03"], "2024-01-02", "1d"),
        (["2010/01/01 00:00:00", "2010/01/01 01:00:00", "2010/01/01 02:00:00"], "2010-01-01T01", "1h"),
        (
            ["2024-01-01T00:00:00.25", "2024-01-01T00:00:00.5", "2024-01-01T00:00:00.75"],
            "2024-01-01T00:00:00.5",
            "250ms",
        ),
        (["2024-01-01 0:00", "2024-01-01 0:15", "2024-01-01 0:30"], "2024-01-01T00:15", "15min"),
        (["2024-01-01T00:00:00Z", "2024-01-01T06:00:00Z", "2024-01-01T12:00:00Z"], "2024-01-01T06", "6h"),
        (["2024-01-01T09:00:00+09:00", "2024-01-01T10:00:00+09:00"], "2024-01-01T01", "1h"),
        (["19580329", "19580405", "19580412"], "1958-04-05", "1w"),
        (["2024010100", "2024010101"], "2024-01-01T01", "1h"),
        (["Jan 1 2000", "Feb 1 2000", "Mar 1 2000"], "2000-02-01", "1mo"),
        (["April 1 2000", "May 1 2000", "June 1 2000"], "2000-05-01", "1mo"),
        (["1949-01", "1949-02", "1949-03"], "1949-02-01", "1mo"),
        (["2024Q1", "2024Q2", "2024Q3"], "2024-04-01", "3mo"),
        (["1700", "1701", "1702"], "1701-01-01", "1y"),
        (["2024년 1월 3일", "2024년 1월 4일"], "2024-01-04", "1d"),
        (["2024년 1월 3일 9시", "2024년 1월 3일 10시"], "2024-01-03T10", "1h"),
        (["2024년 1월", "2024년 2월"], "2024-02-01", "1mo"),
        (["2024. 1. 3.", "2024. 1. 4."], "2024-01-04", "1d"),
        (["2024-01-03 오전 11:00", "2024-01-03 오후 12:00"], "2024-01-03T12", "1h"),
        (["13/01/2024", "14/01/2024"], "2024-01-14", "1d"),
        (["01/13/2024", "01/14/2024"], "2024-01-14", "1d"),
        (["31.01.2024", "29.02.2024", "31.03.2024"], "2024-02-29", "1mo"),
        (["1704067200", "1704067260"], "2024-01-01T00:01", "1min"),
        (["1704067200000", "1704067201000"], "2024-01-01T00:00:01", "1s"),
        (["2024-01-05", "2024-01-08", "2024-01-09", "2024-01-10", "2024-01-11", "2024-01-12"], "2024-01-08", "1b"),
    ],
)
def test_times_and_frequencies(tmp_path, cells, second, frequency):
    data = read_series(written(tmp_path, table(cells)))
    assert data.series[0].times[1] == np.datetime64(second, "us")
    assert data.frequency.name == frequency
    assert len(data.series[0]) == len(cells)


@pytest.mark.parametrize(
    ("start", "count", "frequency", "period"),
    [("2024-01-31", 14, "1mo", 12), ("2024-01-05", 9, "1b", 5), ("2024-02-28", 9, "1d", 7), ("2020-02-29", 3, "4y", 1)],
)
def test_the_times_after_go_on_as_the_times_did(start, count, frequency, period):
    ranges = {"1mo": "ME", "1b": "B", "1d": "D", "4y": pd.DateOffset(years=4)}
    times = pd.date_range(start, periods=count + 5, freq=ranges[frequency])
    frame = pd.DataFrame({"ds": times[:count], "y": range(count)})
    data = read_series(frame)
    assert data.frequency.name == frequency
    assert data.frequency.period == period
    assert (data.frequency.after(data.series[0].times, 5) == times[count:].to_numpy().astype("M8[us]")).all()


def test_a_counter_stays_one(tmp_path):
    data = read_series(written(tmp_path, table([0, 5, 10], header="time,y")))
    assert data.series[0].times.tolist() == [0, 5, 10]
    assert data.frequency.after(data.series[0].times, 2).tolist() == [15, 20]
    assert data.frequency.period == 1


@pytest.mark.parametrize("name", ["날짜", "일시", "DateTime", "ds", "Timestamp"])
def test_the_time_column_is_found_by_name_wherever_it_stands(tmp_path, name):
    content = f"판매량,{name},2001년\n1,2024-01-01,7\n2,2024-01-02,8\n3,2024-01-03,9\n"
    data = read_series(written(tmp_path, content))
    assert data.columns.time == name
    assert data.columns.targets == ("판매량", "2001년")
    assert data.series[0].observed.tolist() == [[1, 7], [2, 8], [3, 9]]


def test_without_a_time_column_rows_are_counted_and_it_is_said(tmp_path):
    data = read_series(written(tmp_path, "1.5,2.5\n1.75,2.25\n1.5,2.0\n", "a.txt"))
    assert data.columns.targets == ("column_1", "column_2")
    assert data.columns.time is None
    assert data.series[0].times.tolist() == [0, 1, 2]
    assert data.notes == (
        "no header: columns are named by position",
        "no time column was found: the rows are counted",
    )
    assert read_series(written(tmp_path, table(days(3))), time="none", targets="y").series[0].times.dtype.kind == "i"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encodings_line_ends_and_separators(tmp_path, encoding, ending, separator):
    content = f"날짜{separator}기온\n2024-01-01{separator}1\n2024-01-02{separator}-2.5e0\n\n".replace("\n", ending)
    data = read_series(written(tmp_path, content.encode(encoding)))
    assert data.columns.targets == ("기온",)
    assert data.series[0].observed[:, 0].tolist() == [1, -2.5]
    assert ("written in CP949" in data.notes) == (encoding == "cp949")


def test_quotes_may_hold_separators_and_line_breaks(tmp_path):
    content = '"date","a ""b"", c","text"\n"2024-01-01","1","x\ny, z"\n2024-01-02,2,\n'
    data = read_series(written(tmp_path, content))
    assert data.columns.targets == ('a "b", c',)
    assert data.series[0].observed[:, 0].tolist() == [1, 2]
    assert data.notes == ("column 'text' holds text and is left out",)


def test_a_nameless_column_that_counts_rows_is_left_out_with_a_note(tmp_path):
    data = read_series(written(tmp_path, ",date,y\n0,2024-01-01,5\n1,2024-01-02,6\n2,2024-01-03,7\n"))
    assert data.columns.targets == ("y",)
    assert data.notes == ("column 'column_1' has no name, counts the rows, and is left out",)


def test_blocks_make_no_difference(tmp_path, monkeypatch):
    from throughtime.data.series import delimited

    path = written(tmp_path, table(days(200), [f'"{value / 7}"' for value in range(200)]) + "\n\n\n")
    whole = read_series(path)
    for size in (7, 64, 1000):
        monkeypatch.setattr(delimited, "_BLOCK", size)
        assert (read_series(path).series[0].observed == whole.series[0].observed).all()


def test_gzip_and_parquet(tmp_path):
    content = table(days(5))
    whole = read_series(written(tmp_path, content))
    frame = pl.read_csv(content.encode(), try_parse_dates=True)
    frame.write_parquet(tmp_path / "a.parquet")
    for path in (written(tmp_path, gzip.compress(content.encode()), "a.csv.gz"), tmp_path / "a.parquet"):
        data = read_series(path)
        assert (data.series[0].observed == whole.series[0].observed).all()
        assert (data.series[0].times == whole.series[0].times).all()


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow"])
def test_frames(kind):
    columns = {"ds": [datetime(2024, 1, 1) + timedelta(hours=i) for i in range(4)], "y": [1, 2, 3, 4]}
    frame = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}[kind](columns)
    data = read_series(frame)
    assert data.frequency.name == "1h"
    assert data.series[0].observed[:, 0].tolist() == [1, 2, 3, 4]
    assert data.source is None


def long(rows):
    return "unique_id,ds,y\n" + "".join(f"{name},{day},{value}\n" for name, day, value in rows)


def test_a_long_file_is_ragged_and_may_come_in_turns(tmp_path):
    one = [("a", day, index) for index, day in enumerate(days(4))]
    two = [("b", day, 10 + index) for index, day in enumerate(days(3, "2023-05-01"))]
    rows = [row for pair in zip(one, two, strict=False) for row in pair] + [one[-1]]
    data = read_series(written(tmp_path, long(rows)))
    assert [series.name for series in data.series] == ["a", "b"]
    assert data.series[0].observed[:, 0].tolist() == [0, 1, 2, 3]
    assert data.series[1].observed[:, 0].tolist() == [10, 11, 12]
    assert data.series[1].times[0] == np.datetime64("2023-05-01")
    assert data.layout.shape == "long"


def test_unsorted_rows_are_sorted_and_it_is_said(tmp_path):
    order = [2, 0, 1, 3]
    data = read_series(written(tmp_path, table([days(4)[i] for i in order], order)))
    assert data.series[0].observed[:, 0].tolist() == [0, 1, 2, 3]
    assert data.notes == ("2 rows came after a row of a later time, and all were sorted by time",)


def test_covariates_stand_apart_from_targets(tmp_path):
    content = "date,price,load,wind\n" + "".join(f"{day},{i},{i + 10},{i + 20}\n" for i, day in enumerate(days(30)))
    path = written(tmp_path, content)
    data = read_series(path, targets="load", past="wind", future="price")
    assert data.columns.targets == ("load",)
    assert data.series[0].observed[3].tolist() == [13, 23]
    assert data.columns.calendar == ("day_of_week_sin", "day_of_week_cos")
    assert data.series[0].known.shape == (30, 3)
    assert data.series[0].known[3, 0] == 3
    ahead = pl.DataFrame({"date": days(3, "2024-01-31"), "price": [7.0, 8.0, 9.0]})
    known = data.known_after(data.series[0], ahead, 3)
    assert known[:, 0].tolist() == [7, 8, 9]
    np.testing.assert_allclose(known[:, 1:], data.series[0].known[2:5, 1:], atol=1e-12)
    with pytest.raises(DataError, match=r"reads 'price' of the future: give them for the 3 steps to come"):
        data.known_after(data.series[0], None, 3)
    with pytest.raises(DataError, match=r"does not cover the horizon: 'price' at 2024-02-03.* \(2 of 5 times\)"):
        data.known_after(data.series[0], ahead, 5)
    with pytest.raises(DataError, match=r"has no column 'price'; .*its columns: 'date', 'prize'"):
        data.known_after(data.series[0], ahead.rename({"price": "prize"}), 3)


def test_the_calendar_is_in_range_and_suits_the_frequency():
    def read(freq, periods, **how):
        return read_series(
            pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=periods, freq=freq), "y": 0.5}), **how
        )

    assert read("h", 24 * 30).layout.calendar == ("hour_of_day", "day_of_week")
    assert read("h", 30).layout.calendar == ()
    assert read("D", 800).layout.calendar == ("day_of_week", "day_of_year")
    assert read("W", 120).layout.calendar == ("week_of_year",)
    assert read("MS", 40).layout.calendar == ("month_of_year",)
    assert read("YS", 40).layout.calendar == ()
    assert read("h", 24 * 30, calendar="none").series[0].known.shape == (720, 0)
    chosen = read("h", 24 * 30, calendar="hour_of_day, month_of_year")
    assert chosen.layout.calendar == ("hour_of_day", "month_of_year")
    known = chosen.series[0].known
    assert np.abs(known).max() <= 1
    np.testing.assert_allclose(known[:, 0] ** 2 + known[:, 1] ** 2, 1)
    with pytest.raises(ConfigurationError, match="calendar='hour': did you mean 'hour_of_day'"):
        read("h", 30, calendar="hour")
    with pytest.raises(ConfigurationError, match="the times are a plain counter"):
        read_series(pl.DataFrame({"t": [1.5, 2.5, 3.0]}), calendar="hour_of_day")


@pytest.mark.parametrize(
    ("fill", "expected"),
    [("forward", [1, 1, 3, 3, 3, 6]), ("linear", [1, 2, 3, 4, 5, 6]), ("zero", [1, 0, 3, 0, 0, 6])],
)
def test_gaps_and_missing_values_are_mended_and_counted(tmp_path, fill, expected):
    kept = [days(6)[i] for i in (0, 1, 2, 5)]
    data = read_series(written(tmp_path, table(kept, ["1", "NA", "3", "6"])), fill=fill)
    assert data.series[0].observed[:, 0].tolist() == expected
    assert data.series[0].mended[:, 0].tolist() == [False, True, False, True, True, False]
    assert data.notes == (
        f"2 times were missing: added and filled ({fill})",
        f"1 missing value in 'y' was filled ({fill})",
    )


def test_repeated_rows_are_read_once_where_fill_allows(tmp_path):
    path = written(tmp_path, table(["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03"], [1, 2, 2, 3]))
    assert read_series(path, fill="linear").series[0].observed[:, 0].tolist() == [1, 2, 3]
    with pytest.raises(DataError, match=r"line 4: time 2024-01-02 stands in line 3 already \(1 repeat\)"):
        read_series(path)


GOOD = days(5)


@pytest.mark.parametrize(
    ("content", "how", "message"),
    [
        ("", {}, r"a\.csv is empty: 0 bytes"),
        ("\n\n", {}, r"a\.csv has no line with anything in it"),
        ("date,y\n", {}, r"a\.csv has a header and no row: date, y"),
        ("date,y\n2024-01-01,1\n", {}, r"a\.csv has one row: at least two"),
        (b"PNG\0\1\2\3,\n", {}, r"a\.csv is binary: a zero byte stands at position 3"),
        (b"date,y\n2024-01-01,\xff\xff\n", {}, r"is not UTF-8: byte 0xff at position 18; nor is it CP949"),
        ("a".encode("utf-16"), {}, r"is UTF-16"),
        ("date,y\n2024-01-01,1\n2024-01-02,1,9\n2024-01-03,2\n", {}, r"line 3 has 3 cells where the first line has 2"),
        ("date,y\n2024-01-01,1\n2024-01-02\n2024-01-03,2\n", {}, r"line 3 has 1 cells where the first line has 2"),
        ("date,y\n2024-01-01,1\n\n2024-01-03,2\n", {}, r"line 3 is blank: delete it"),
        ("date,y,y\n2024-01-01,1,2\n", {}, r"'y' is the name of columns 2, 3: rename"),
        (table(GOOD, [1, 2, "x", 4, "z"]), {}, r"line 4, column 'y': 'x' is not a number; 2 such cells"),
        (table(GOOD, [1, 2, '"1,234"', 4, 5]), {}, r"line 4, column 'y': '1,234' is not a number \(write numbers as"),
        (table(GOOD, [1, 2, 3, "inf", 5]), {}, r"line 5, column 'y': inf is not finite: mend the file"),
        (table(GOOD, [1, "NaN", "", 4, 5]), {}, r"line 3, column 'y' holds no value; 2 such cells .*fill='linear'"),
        (table(GOOD, [""] * 5), {}, r"column 'y' has no value in any of its 5 rows: leave it out"),
        (table(GOOD, [""] * 5), {"fill": "linear"}, r"column 'y' has no value in any of its 5 rows"),
        (
            table(GOOD, ["", 1, 2, 3, 4]),
            {"fill": "forward"},
            r"column 'y' starts without a value, .*use linear or zero",
        ),
        (table(GOOD[:2] + GOOD[3:]), {}, r"line 4: 2024-01-04 follows 2024-01-02, where every 1d is expected; times m"),
        (table([*GOOD[:3], GOOD[2], *GOOD[3:]]), {}, r"line 5: time 2024-01-03 stands in line 4 already \(1 repeat\)"),
        (
            table([*GOOD[:3], GOOD[2], *GOOD[3:]]),
            {"fill": "linear"},
            r"line 5: time 2024-01-03 stands in line 4 already .*: delete one of them; if the file holds several",
        ),
        (
            table(["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00", "2024-01-01 02:37"]),
            {},
            r"line 5: 2024-01-01 02:37:00 is not a whole number of steps of 1h after .*time='none'",
        ),
        (
            table(["2024-01-01", "2024-01-02", "03/01/2024"]),
            {},
            r"line 4, column 'date': '03/01/2024' is not written like '2024-01-01' \(%Y-%m-%d\) but like %d/%m/%Y: wri",
        ),
        (table(["2024-01-01", "2024-01-02", "soon"]), {}, r"line 4, column 'date': 'soon' is not .*, and is no time"),
        (table(["2024-01-01", "2024-02-30", "2024-03-01"]), {}, r"line 3, column 'date': '2024-02-30' .* is no time"),
        (table(["2024-01-01", "", "2024-01-03"]), {}, r"line 3: column 'date' holds no time"),
        (table(["yesterday", "today"]), {}, r"line 2: column 'date' holds 'yesterday', which is no time"),
        (
            table(["01/02/2024", "02/02/2024", "03/02/2024"]),
            {},
            r"'01/02/2024' may be day first or month first.*time_format='%d/%m/%Y' or '%m/%d/%Y' \(--time-format\)",
        ),
        (table(GOOD), {"targets": "Y"}, r"has no column 'Y'; did you mean 'y'\? its columns: 'date', 'y'"),
        (table(GOOD), {"time": "dat"}, r"has no column 'dat'; did you mean 'date'\?"),
        (table(GOOD), {"targets": "date", "time": "date"}, r"'date' is the time column: it cannot be a target"),
        (table(GOOD), {"targets": "y", "past": "y"}, r"column 'y' is named for two things"),
        (table(GOOD), {"past": "y"}, r"has no column of numbers beside its time and covariates"),
        (table(GOOD, list("abcde")), {}, r"has no column of numbers beside .*: 'y' hold text"),
        (table(GOOD, list("abcde")), {"targets": "y"}, r"line 2, column 'y': 'a' is not a number; 5 such cells"),
        (table(GOOD), {"time": "date", "time_format": "%Q"}, r"time_format='%Q' is none of those understood"),
        (long([("a", GOOD[0], 1), ("", GOOD[1], 1)]), {}, r"line 3: column 'unique_id' holds no series name"),
        (
            long([("a", day, 1) for day in GOOD] + [("b", day, 1) for day in (GOOD[0], GOOD[2])]),
            {},
            r"line 8: 2024-01-03 follows 2024-01-01 in series 'b'",
        ),
        (long([("a", GOOD[0], 1), ("b", GOOD[1], 1)]), {}, r"has one row in series 'a'"),
    ],
)
def test_refusals_name_the_place_and_the_remedy(tmp_path, content, how, message):
    with pytest.raises(DataError, match=message) as caught:
        read_series(written(tmp_path, content), **how)
    assert "\n" not in str(caught.value)


def test_refusals_of_what_is_no_table(tmp_path):
    with pytest.raises(ConfigurationError, match="fill='cubic': expected one of forward, linear, zero"):
        read_series(tmp_path, fill="cubic")
    with pytest.raises(DataError, match="is a folder: a CSV or Parquet file"):
        read_series(tmp_path)
    with pytest.raises(DataError, match="dict is neither a path nor a frame"):
        read_series({"y": [1, 2]})
    with pytest.raises(DataError, match="the frame has no row; its columns: y"):
        read_series(pl.DataFrame({"y": []}))
    with pytest.raises(DataError, match="is no whole Parquet file"):
        read_series(written(tmp_path, b"PAR1 and no more", "a.parquet"))
    with pytest.raises(DataError, match="row 2, column 'y': inf is not finite"):
        read_series(pl.DataFrame({"y": [1.0, float("inf")]}))


def test_day_or_month_first_is_settled_by_a_row_or_by_name(tmp_path):
    path = written(tmp_path, table(["01/02/2024", "02/02/2024", "03/02/2024"]))
    assert read_series(path, time_format="%d/%m/%Y").frequency.name == "1d"
    assert read_series(path, time_format="%m/%d/%Y").frequency.name == "1mo"
    assert read_series(written(tmp_path, table(["12/02/2024", "13/02/2024"]))).series[0].times[0] == np.datetime64(
        "2024-02-12"
    )


def test_a_layout_reads_the_next_file_alike(tmp_path):
    content = "date,extra,load,wind\n" + "".join(f"{day},{i},{i + 10},{i + 20}\n" for i, day in enumerate(days(30)))
    data = read_series(written(tmp_path, content), targets="load", past="wind", fill="linear")
    layout = SeriesLayout.from_dict(json.loads(json.dumps(data.layout.to_dict())))
    assert layout == data.layout
    shorter = "load,wind,date\n" + "".join(f"{i},{i},{day}\n" for i, day in enumerate(days(9, "2025-01-01")))
    again = read_series(written(tmp_path, shorter), layout=layout)
    assert again.layout == layout
    assert again.series[0].known.shape[1] == data.series[0].known.shape[1]
    assert again.series[0].observed[2].tolist() == [2, 2]
    with pytest.raises(DataError, match=r"has no column 'wind'"):
        read_series(written(tmp_path, shorter.replace("wind", "wound")), layout=layout)
    hourly = pl.DataFrame(
        {"date": [datetime(2024, 1, 1) + timedelta(hours=i) for i in range(9)], "load": 1.0, "wind": 2.0}
    )
    with pytest.raises(DataError, match="has a row every 1h, where every 1d is expected"):
        read_series(hourly, layout=layout)


def test_a_series_a_row(tmp_path):
    header = ",".join(f"V{i}" for i in range(1, 31))
    rows = [",".join([f"H{k}", *map(str, range(20 + k)), *[""] * (9 - k)]) for k in range(1, 4)]
    data = read_series(written(tmp_path, "\n".join([header, *rows])))
    assert [series.name for series in data.series] == ["H1", "H2", "H3"]
    assert [len(series) for series in data.series] == [21, 22, 23]
    assert data.layout.shape == "rows"
    again = read_series(written(tmp_path, "\n".join([header, *rows])), layout=data.layout)
    assert len(again.series) == 3
    broken = "\n".join([header, *rows]).replace("5,6,7", "5,,7")
    with pytest.raises(DataError, match="line 2, column 'V8': series 'H1' has no value there and goes on after it"):
        read_series(written(tmp_path, broken))


def test_a_source_knows_whether_it_changed(tmp_path):
    path = written(tmp_path, table(GOOD))
    source = read_series(path).source
    assert source.verified() == path
    path.write_text(table(GOOD[:3]))
    with pytest.raises(ArtifactError, match="has changed since it was read"):
        source.verified()
    path.unlink()
    with pytest.raises(ArtifactError, match="is gone"):
        source.verified()
    assert Source.from_dict(source.to_dict()) == source


def test_large_files_are_kept_on_disk_with_the_same_numbers(tmp_path, monkeypatch):
    content = table(days(500))
    whole = read_series(written(tmp_path, content))
    rows = [(name, day, 1) for name in "ab" for day in days(50)]
    monkeypatch.setattr(workspace_module, "IN_MEMORY", 100)
    space = tmp_path / "space"
    space.mkdir()
    data = read_series(tmp_path / "a.csv", workspace=space)
    assert not list(space.iterdir())
    one, same = data.series[0], whole.series[0]
    assert all(isinstance(part, np.memmap) for part in (one.times, one.observed, one.known))
    assert all((getattr(one, name) == getattr(same, name)).all() for name in ("times", "observed", "known"))
    assert [len(series) for series in read_series(written(tmp_path, long(rows)), workspace=space).series] == [50, 50]
    with pytest.raises(DataError, match="its series come in turns, and the file is too large"):
        read_series(written(tmp_path, long(rows[::-7] + rows)), workspace=space)
    with pytest.raises(DataError, match="line 3: a time comes before that of the row above"):
        read_series(written(tmp_path, table(days(50)[::-1])), workspace=space)


@SHARED_ABSENT
@pytest.mark.parametrize(
    ("file", "how", "rows", "frequency", "columns"),
    [
        ("ett/ETTh1.csv", {}, 17420, "1h", 7),
        ("stat/AirPassengers.csv", {}, 144, "1mo", 1),
        ("stat/co2.csv", {"fill": "linear"}, 2284, "1w", 1),
        ("stat/sunspots.csv", {}, 309, "1y", 1),
        ("stat/sf-temps.csv", {"fill": "linear"}, 8760, "1h", 1),
        ("stat/stocks.csv", {"id": "symbol"}, 123, "1mo", 1),
        ("exchange_rate/exchange_rate.txt.gz", {}, 7588, "1", 8),
        ("m4/Hourly-test.csv", {}, 48, "1", 1),
        ("nab/data/nyc_taxi.csv", {}, 10320, "30min", 1),
    ],
)
def test_public_files(file, how, rows, frequency, columns):
    data = read_series(SHARED / file, **how)
    assert data.series[0].observed.shape == (rows, columns)
    assert data.frequency.name == frequency


@SHARED_ABSENT
def test_public_files_that_need_a_word(tmp_path):
    with pytest.raises(DataError, match=r"line 8, column 'co2' holds no value; 59 such cells"):
        read_series(SHARED / "stat/co2.csv")
    with pytest.raises(DataError, match=r"437 repeats.*name the column that tells them apart \(id=, --id\)"):
        read_series(SHARED / "stat/stocks.csv")
    with pytest.raises(DataError, match="a MATLAB file; write its series as CSV"):
        read_series(SHARED / "jsb_chorales/JSB_Chorales.mat")
    with pytest.raises(DataError, match="UCR/UEA archive"):
        read_series(SHARED / "ucr/GunPoint/GunPoint_TRAIN.ts")


def test_notes_count_in_words(tmp_path):
    rows = [("2024-01-01", 1), ("2024-01-03", 3), ("2024-01-02", 2), ("2024-01-03", 3), ("2024-01-05", 5)]
    notes = read_series(written(tmp_path, table(*zip(*rows, strict=True))), fill="linear").notes
    assert notes == (
        "1 row came after a row of a later time, and all were sorted by time",
        "1 row that repeats another word for word was read once",
        "1 time was missing: added and filled (linear)",
    )


def test_rows_of_frames_and_parquet_are_counted_from_one(tmp_path):
    frame = pl.DataFrame({"ds": ["2024-01-01", "2024-01-02"], "y": ["x", "2"]})
    frame.write_parquet(tmp_path / "a.parquet")
    for source in (frame, tmp_path / "a.parquet"):
        with pytest.raises(DataError, match="row 1, column 'y': 'x' is not a number"):
            read_series(source, targets="y")


@pytest.mark.parametrize(("fill", "foreseen"), [("linear", [1, 3]), ("forward", []), ("zero", [])])
def test_rows_filled_from_later_ones_are_known(tmp_path, fill, foreseen):
    series = read_series(written(tmp_path, table(days(5), [1, "", 3, "", 5])), fill=fill).series[0]
    assert np.flatnonzero(series.foreseen).tolist() == foreseen
    assert np.flatnonzero(series.before(3).foreseen).tolist() == foreseen[:1]
