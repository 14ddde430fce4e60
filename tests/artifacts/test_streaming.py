import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from throughtime._errors import DataError, UnsupportedError
from throughtime.artifacts import Calibration, SeriesRun, Stream, judged, load
from throughtime.artifacts.streaming import _SeriesLines
from throughtime.data import SeriesLayout, read_series
from throughtime.training import prepare

CALIBRATION = Calibration({"": np.random.default_rng(0).exponential(size=500)})
COLUMNS = ("time", "y", "wind")


def streamed(run, content, *, pieces=(), detector=None, columns=COLUMNS):
    """The answers to bytes that come in pieces, and what was told."""
    told = []
    bounds = [0, *pieces, len(content)]
    chunks = [content[begin:end] for begin, end in pairwise(bounds)]
    stream = Stream(run, detector or CALIBRATION.detector(3, 0.05), columns, told.append)
    return [answer for answers in stream.answers(iter(chunks)) for answer in answers], told


def batch(run, source, detector=None):
    scores = judged(run, run.read(source), detector or CALIBRATION.detector(3, 0.05))
    return scores.frame()


def agree(answers, frame):
    np.testing.assert_allclose(
        [answer.surprise for answer in answers], frame["surprise"].to_numpy(), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        [answer.probability for answer in answers], frame["probability"].to_numpy(), rtol=1e-4, atol=1e-12
    )
    assert [answer.alarm for answer in answers] == frame["alarm"].to_list()


@pytest.mark.parametrize("pieces", [(), (1, 10, 25, 26, 300, 301), tuple(range(7, 2000, 61))])
def test_a_stream_gives_what_the_file_gives(series_run, written, waves, pieces):
    waves[60] += 20
    path = written("odd.csv", waves[:100])
    answers, told = streamed(series_run, path.read_bytes(), pieces=pieces)
    assert told == []
    assert [answer.line for answer in answers] == list(range(2, 102))
    assert np.isnan(answers[0].surprise)
    frame = batch(series_run, path)
    assert frame["alarm"].any()
    agree(answers[1:], frame)
    assert np.array([answer.label for answer in answers[1:]]).tolist() == frame["time"].to_list()


def test_lines_without_a_header_are_read_as_in_training(series_run, written, waves):
    content = written("odd.csv", waves[:50]).read_bytes()
    with_header, _ = streamed(series_run, content)
    without, told = streamed(series_run, content.split(b"\n", 1)[1])
    assert told == []
    assert [answer.surprise for answer in without[1:]] == [answer.surprise for answer in with_header[1:]]
    assert without[0].line == 1


def test_a_header_may_have_another_order_and_come_again(series_run, written, waves):
    header, *rows = written("odd.csv", waves[:50]).read_bytes().splitlines()
    plain, _ = streamed(series_run, b"\n".join([header, *rows]))
    turned = [b";".join([b"x", *reversed(row.split(b","))]) for row in rows]
    head = b"note;wind;y;time"
    found, told = streamed(series_run, b"\xef\xbb\xbf" + b"\r\n".join([head, *turned[:20], head, b"", *turned[20:]]))
    assert told == []
    np.testing.assert_array_equal([a.surprise for a in found], [a.surprise for a in plain])
    assert found[20].line == 24


def test_lines_that_are_none_are_told_of_and_left_out(series_run, written, waves):
    header, *rows = written("odd.csv", waves[:40]).read_bytes().splitlines()
    bad = [
        b"2024-01-01 10:00,many,1",
        b"1,2",
        b"yesterday,1,2",
        b"2024-01-01T10:00,inf,1",
        b"2024-01-01T10:00,1,\xff\xfe",
    ]
    found, told = streamed(series_run, b"\n".join([header, *rows[:10], *bad, *rows[10:]]) + b"\n")
    plain, _ = streamed(series_run, b"\n".join([header, *rows]))
    assert [answer.surprise for answer in found[1:]] == pytest.approx(
        [answer.surprise for answer in plain[1:]], rel=1e-5
    )
    assert len(told) == 5
    for line, said in zip(range(12, 17), told, strict=True):
        assert f"line {line}" in said


def test_rows_out_of_order_and_off_the_grid_are_left_out(series_run, written, waves):
    header, *rows = written("odd.csv", waves[:40]).read_bytes().splitlines()
    plain, _ = streamed(series_run, b"\n".join([header, *rows]))
    off = rows[9].replace(b":00,", b":30,")
    found, told = streamed(series_run, b"\n".join([header, *rows[:10], rows[9], rows[3], off, *rows[10:]]))
    assert [answer.surprise for answer in found[1:]] == pytest.approx(
        [answer.surprise for answer in plain[1:]], rel=1e-5
    )
    assert [("line 12" in told[0]), ("line 13" in told[1]), ("line 14" in told[2])] == [True] * 3
    assert "does not come after" in told[0]
    assert len(told) == 3


@pytest.mark.parametrize("fill", ["forward", "zero"])
@pytest.mark.parametrize("pieces", [(), (400,), tuple(range(3, 1000, 40))])
def test_gaps_are_filled_as_in_a_file(series_run, written, waves, tmp_path, fill, pieces):
    series_run.layout = dataclasses.replace(series_run.layout, fill=fill)
    header, *rows = written("odd.csv", waves[:80]).read_bytes().splitlines()
    rows[30] = rows[30].split(b",")[0] + b",,1"
    rows[35] = rows[35].rsplit(b",", 1)[0] + b",NA"
    del rows[50:57]
    content = b"\n".join([header, *rows]) + b"\n"
    path = tmp_path / "gaps.csv"
    path.write_bytes(content)
    answers, told = streamed(series_run, content, pieces=pieces)
    assert len(told) == 1
    assert "7 times missing before it: filled" in told[0]
    frame = batch(series_run, path)
    assert len(frame) == 79
    kept = [row for row in range(79) if not 49 <= row < 56]
    agree(answers[1:], frame[kept])
    assert np.isnan(answers[30].surprise)
    assert np.isfinite(answers[35].surprise)


def test_after_a_gap_too_long_the_series_begins_anew(series_run, written, waves, monkeypatch):
    monkeypatch.setattr("throughtime.data.series.arriving._MOST_FILLED", 10)
    header, *rows = written("odd.csv", waves[:80]).read_bytes().splitlines()
    found, told = streamed(series_run, b"\n".join([header, *rows[:20], *rows[40:]]))
    alone, _ = streamed(series_run, b"\n".join([header, *rows[40:]]))
    assert "20 times missing before it: the series begins anew" in told[0]
    np.testing.assert_allclose([a.surprise for a in found[20:]], [a.surprise for a in alone], rtol=1e-5)
    np.testing.assert_allclose([a.probability for a in found[20:]], [a.probability for a in alone], rtol=1e-4)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A run of two series, with a column known in advance, and the lines of its file."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(3)
    times = np.datetime64("2024-01-01", "D") + np.arange(120)
    lines = ["ds,unique_id,y,price"]
    lines += [f"{time},{name},{scale * rng.normal():.4f},{step % 3}" for step, time in enumerate(times)
              for name, scale in (("north", 1), ("south", 100))]  # fmt: skip
    (folder / "long.csv").write_text("\n".join(lines) + "\n")
    data = read_series(folder / "long.csv", targets="y", future="price")
    task = {"horizon": 3, "lookback": 10, "windows": 32}
    prepare(data, folder / "run", task=task, family={"hidden_size": 4}, training={"epochs": 1}).fit()
    run = load(folder / "run")
    assert isinstance(run, SeriesRun)
    return run, lines


@pytest.mark.parametrize("pieces", [(), tuple(range(11, 3000, 37))])
def test_each_series_has_a_state_of_its_own(many, tmp_path, pieces):
    run, lines = many
    lines = [line.replace("south", "west") if number > 100 else line for number, line in enumerate(lines)]
    content = ("\n".join(lines) + "\n").encode()
    (tmp_path / "new.csv").write_bytes(content)
    detector = Calibration({"north": np.linspace(0, 3, 100), "south": np.linspace(1, 4, 100)}).detector(2, 0.05)
    answers, told = streamed(run, content, pieces=pieces, detector=detector, columns=())
    frame = batch(run, tmp_path / "new.csv", detector)
    for name in ("north", "south", "west"):
        own = [answer for answer in answers if answer.series == name]
        assert np.isnan(own[0].surprise)
        agree(own[1:], frame.filter(frame["series"] == name))
    assert len(told) == 1
    assert "series 'west' was not met in training: its first 10 rows" in told[0]


def test_a_new_series_too_short_is_answered_at_the_end(many):
    run, lines = many
    rows = [line.replace("south", "west") for line in lines[:9]]
    answers, _ = streamed(run, "\n".join(rows).encode(), columns=())
    assert [answer.series for answer in answers] == ["north"] * 4 + ["west"] * 4


@pytest.fixture(scope="module")
def growing(tmp_path_factory):
    """A direct run of two series that it reads as logarithms, and the lines of its file."""
    folder = tmp_path_factory.mktemp("growing")
    times = np.datetime64("2024-01-01", "D") + np.arange(140)
    lines = ["ds,unique_id,y"]
    lines += [f"{time},{name},{scale * np.exp(step / 50) * (3 + np.sin(2 * step)):.4f}"
              for step, time in enumerate(times) for name, scale in (("north", 1), ("south", 100))]  # fmt: skip
    (folder / "long.csv").write_text("\n".join(lines) + "\n")
    data = read_series(folder / "long.csv")
    task = {"horizon": 3, "lookback": 21, "windows": 32, "transform": "log"}
    model = {"family": "segrnn", "model": {"head": "normal"}}
    prepare(data, folder / "run", task=task, training={"epochs": 1}, **model).fit()
    run = load(folder / "run")
    assert isinstance(run, SeriesRun)
    assert run.scaler.logs == (0,)
    return run, lines


def test_a_new_series_is_read_as_logarithms_too(growing, tmp_path):
    run, lines = growing
    content = "\n".join(line.replace("south", "west") for line in lines) + "\n"
    (tmp_path / "new.csv").write_text(content)
    answers, _ = streamed(run, content.encode(), columns=())
    frame = batch(run, tmp_path / "new.csv")
    agree([answer for answer in answers if answer.series == "west"][1:], frame.filter(frame["series"] == "west"))


@pytest.mark.parametrize("value", ["0", "-2.5"])
def test_a_value_without_a_logarithm_is_told_of_and_left_out(growing, value):
    run, lines = growing
    header, *rows = (line for line in lines if "south" not in line)
    plain, _ = streamed(run, "\n".join([header, *rows]).encode(), columns=())
    bad = rows[40].rsplit(",", 1)[0] + f",{value}"
    found, told = streamed(run, "\n".join([header, *rows[:40], bad, *rows[40:]]).encode(), columns=())
    assert told == [f"standard input, line 42 is left out: column 'y' holds {value}, and the model reads its logarithm"]
    assert [answer.line for answer in found] == [line for line in range(2, 143) if line != 42]
    assert [answer.surprise for answer in found[1:]] == pytest.approx([answer.surprise for answer in plain[1:]])


def test_as_many_steps_at_once_as_of_a_file(growing, monkeypatch):
    run, lines = growing
    monkeypatch.setattr("throughtime.artifacts.series._WINDOWS_AT_ONCE", 10)
    usual, sizes = SeriesRun.surprise_of, []

    def watched(self, inputs, following, state):
        sizes.append(len(following))
        return usual(self, inputs, following, state)

    monkeypatch.setattr(SeriesRun, "surprise_of", watched)
    streamed(run, "\n".join(lines).encode(), columns=())
    assert max(sizes) == 10


@pytest.mark.parametrize("pieces", [(), (1, 5, 46, 47, 200), tuple(range(13, 400, 29))])
def test_a_line_of_text_is_answered_by_its_symbols(text_run, tmp_path, pieces):
    text = "the quick brown fox\njumps over\n\nthe zzzzzzzz lazy dog.\n" * 8 + "the end"
    (tmp_path / "new.txt").write_text(text)
    answers, told = streamed(text_run, text.encode(), pieces=pieces)
    assert told == []
    frame = batch(text_run, tmp_path / "new.txt")
    lines = np.cumsum([symbol == "\n" for symbol in "\n" + text[:-1]])[1:]
    surprise, rarity = frame["surprise"].to_numpy(), frame["probability"].to_numpy()
    assert [answer.line for answer in answers] == list(range(1, 34))
    assert [answer.label for answer in answers] == text.split("\n")
    for answer in answers:
        own = lines == answer.line
        assert answer.surprise == pytest.approx(surprise[own].mean(), rel=1e-4)
        assert answer.probability == pytest.approx(np.nanmin(rarity[own]), rel=1e-3)
        assert answer.alarm == frame["alarm"].to_numpy()[own].any()
    assert any(answer.alarm for answer in answers)


def test_a_line_with_strange_symbols_is_told_of(text_run):
    answers, told = streamed(text_run, "the fox\nthe ÜBER fox\nthe \udcff\nthe dog\n".encode(errors="surrogateescape"))
    plain, _ = streamed(text_run, b"the fox\nthe dog\n")
    assert [answer.line for answer in answers] == [1, 4]
    assert [answer.surprise for answer in answers] == pytest.approx([answer.surprise for answer in plain], rel=1e-5)
    assert "line 2 is left out" in told[0]
    assert "'Ü'" in told[0]
    assert "line 3 is left out" in told[1]


@pytest.mark.parametrize(
    ("content", "columns", "match"),
    [
        (b"1,2\n", COLUMNS, r"line 1: '1,2' is neither a header that names 'time', 'y', 'wind', nor a row of 3 cells"),
        (b"a,b,c\n1,2,3\n", COLUMNS, r"line 1: 'a,b,c' is neither a header that names 'time', 'y', 'wind', nor a row"),
        (b"\xff\xfe\x01\n", COLUMNS, r"line 1 is not text: neither UTF-8 nor CP949"),
        (b"2024-01-01T00:00,1,2\n", (), r"is no header: begin with one that names 'time', 'y', 'wind'"),
        (b"", COLUMNS, r"no line that could be scored: 0 lines"),
        (b"time,y,wind\nx,1,2\n", COLUMNS, r"no line that could be scored: 2 lines"),
    ],
)
def test_what_cannot_be_read_is_refused(series_run, content, columns, match):
    with pytest.raises(DataError, match=match):
        streamed(series_run, content, columns=columns)


def test_what_does_not_come_by_line_is_refused(series_run):
    record = series_run.layout.to_dict()
    series_run.layout = SeriesLayout.from_dict({**record, "shape": "rows"})
    with pytest.raises(UnsupportedError, match="come line by line"):
        Stream(series_run, None)


def test_without_a_detector_there_is_surprise_alone(series_run, written, waves):
    content = written("odd.csv", waves[:40]).read_bytes()
    stream = Stream(series_run, None, COLUMNS)
    answers = [answer for part in stream.answers(iter([content])) for answer in part]
    wanted = series_run.score(series_run.read(written("odd.csv", waves[:40])).series[0])
    np.testing.assert_allclose([answer.surprise for answer in answers[1:]], wanted, rtol=1e-5)
    assert not any(answer.alarm or np.isfinite(answer.probability) for answer in answers)


def test_what_is_kept_does_not_grow(series_run, written, waves):
    stream = Stream(series_run, CALIBRATION.detector(3), COLUMNS)
    content = written("odd.csv", waves).read_bytes().splitlines(keepends=True)
    for _ in stream.answers(iter(content)):
        reader = stream._reader
        assert isinstance(reader, _SeriesLines)
        one = reader.series.get("")
        if one is not None and one.judge is not None and one.last is not None:
            assert (len(one.held), one.last.shape) == (0, (2,))
            assert len(one.judge.before) <= 2
