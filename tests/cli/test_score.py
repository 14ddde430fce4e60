import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest


@pytest.fixture
def typed(throughtime, monkeypatch):
    """Runs a command with something on standard input."""

    def run(content, *arguments):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return throughtime(*arguments)

    return run


@pytest.fixture
def spiked(samples, tmp_path, monkeypatch):
    """A file like that of training with one value that does not belong."""
    monkeypatch.chdir(tmp_path)
    lines = (samples / "hourly.csv").read_text().splitlines()
    lines[150] = lines[150].split(",")[0] + ",90"
    Path("odd.csv").write_text("\n".join(lines) + "\n")
    return Path("odd.csv")


def test_alarms_come_out_as_table_json_and_picture(throughtime, runs, spiked):
    found = throughtime("score", runs / "hourly", spiked, "--out", "scores.csv", "--false-alarms", "0.02", "--json")
    assert (found.code, found.err) == (0, "")
    frame = pl.read_csv("scores.csv")
    assert frame.columns == ["series", "step", "time", "surprise", "probability", "alarm"]
    assert frame["alarm"].sum() == found.json["alarmed"] >= 1
    worst = found.json["alarms"][0]
    assert worst["first"] in (149, 150)
    assert worst["probability"] == pytest.approx(frame["probability"].min())
    assert found.json["calibration"] == {"part": "validation", "steps": 24}
    assert (found.json["window"], found.json["false_alarms"]) == (1, 0.02)
    printed = throughtime("score", runs / "hourly", spiked, "--out", "scores.png", "--false-alarms", "0.02")
    assert (printed.code, printed.err) == (0, "")
    assert "alarms, the rarest first" in printed.out
    assert Path("scores.png").read_bytes().startswith(b"\x89PNG")


def test_none_gives_surprise_alone(throughtime, runs, spiked):
    assert throughtime("score", runs / "hourly", spiked, "--out", "scores.csv", "--false-alarms", "none").code == 0
    assert pl.read_csv("scores.csv").columns == ["series", "step", "time", "surprise"]


def test_so_many_a_time(throughtime, runs, spiked):
    found = throughtime("score", runs / "hourly", spiked, "--out", "scores.csv", "--false-alarms", "2/week", "--json")
    assert found.json["false_alarms"] == pytest.approx(2 / 168)


def test_a_new_file_with_gaps_is_mended_as_asked(throughtime, runs, samples, tmp_path):
    lines = (samples / "hourly.csv").read_text().splitlines()
    (tmp_path / "gap.csv").write_text("\n".join([*lines[:40], *lines[43:]]) + "\n")
    for command in ("score", "evaluate", "forecast"):
        given = (command, runs / "hourly", tmp_path / "gap.csv", "--out", tmp_path / command)
        out = (*given[:-1], tmp_path / "scores.csv") if command == "score" else given
        assert "--fill forward, linear or zero" in throughtime(*out).err
        assert throughtime(*out, "--fill", "linear").code == 0
    assert "--fill is for series and labelled" in throughtime("score", runs / "book", "--fill", "linear").err


@pytest.mark.parametrize(
    ("run", "options", "said"),
    [
        ("hourly", ["--false-alarms", "often"], "'often': expected a share of steps such as 0.001"),
        ("hourly", ["--false-alarms", "2"], "false alarms 2: expected a share"),
        ("hourly", ["--false-alarms", "9/minute"], "is 540 of the steps, one every 1h"),
        ("book", ["--false-alarms", "1/day"], "have no time"),
        ("hourly", ["--window", "25"], "--window 25"),
        ("hourly", ["--window", "0"], "'--window'"),
        ("hourly", ["-", "--out", "x.csv"], "lines are answered on standard output"),
        ("tone", ["-"], "come line by line"),
    ],
)
def test_what_is_refused(typed, runs, tmp_path, monkeypatch, run, options, said):
    monkeypatch.chdir(tmp_path)
    found = typed(b"time,load\n", "score", runs / run, *options)
    assert (found.code, found.out) == (2, "")
    assert found.err.count("\n") == 1
    assert said in found.err
    assert list(tmp_path.iterdir()) == []


def test_lines_are_answered_by_lines(typed, throughtime, runs, spiked):
    options = ["--false-alarms", "0.02"]
    found = typed(spiked.read_bytes(), "score", runs / "hourly", "-", *options)
    assert (found.code, found.err) == (0, "")
    assert throughtime("score", runs / "hourly", spiked, "--out", "scores.csv", *options).code == 0
    live, filed = pl.read_csv(io.StringIO(found.out)), pl.read_csv("scores.csv")
    assert live.columns == ["time", "surprise", "probability", "alarm"]
    assert live["surprise"][0] is None
    assert live["time"][1:].to_list() == filed["time"].to_list()
    assert live["surprise"][1:].to_list() == pytest.approx(filed["surprise"].to_list(), rel=1e-5, abs=1e-5)
    assert live["probability"][1:].to_list() == pytest.approx(filed["probability"].to_list(), rel=1e-4)
    assert live["alarm"][1:].to_list() == filed["alarm"].to_list()
    objects = typed(spiked.read_bytes(), "score", runs / "hourly", "-", "--json", *options)
    assert [json.loads(line)["alarm"] for line in objects.out.splitlines()] == live["alarm"].to_list()


def test_lines_of_many_series_and_of_text_say_which(typed, runs, samples):
    lines = (samples / "long.csv").read_bytes().splitlines()
    found = typed(b"\n".join(lines[:1] + lines[1:20] + lines[161:180]), "score", runs / "long", "-")
    assert (found.code, found.err) == (0, "")
    live = pl.read_csv(io.StringIO(found.out))
    assert live.columns == ["series", "time", "surprise", "probability", "alarm"]
    assert live["series"].to_list() == ["north"] * 19 + ["south"] * 19
    found = typed(b'the quick "brown" fox\nthe lazy dog\n', "score", runs / "book", "-")
    assert found.code == 0
    assert "line 1 is left out" in found.err
    assert found.out.splitlines()[0] == "line,surprise,probability,alarm,text"
    assert found.out.splitlines()[1].endswith(",the lazy dog")


def test_bad_lines_are_told_of_and_nothing_good_is_refused(typed, runs, samples):
    lines = (samples / "hourly.csv").read_bytes().splitlines()
    found = typed(b"\n".join([*lines[:5], b"nonsense", *lines[5:9]]), "score", runs / "hourly", "-")
    assert (found.code, len(found.out.splitlines())) == (0, 9)
    assert found.err.startswith("note: standard input, line 6")
    assert found.err.count("\n") == 1
    found = typed(b"nonsense,more\n", "score", runs / "hourly", "-")
    assert (found.code, found.out) == (2, "")
    assert found.err.count("\n") == (2 if "note" in found.err else 1)


@pytest.fixture
def started(runs, tmp_path):
    """The program in a process of its own, reading from a pipe."""
    shutil.copytree(runs / "hourly", tmp_path / "run")
    code = "import sys; from throughtime.cli import main; main(['score', 'run', '-'])"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
    )
    yield process
    process.kill()
    process.communicate()


def test_each_line_is_answered_before_the_next_comes_and_an_interrupt_ends_it(started, samples):
    assert started.stdin is not None
    assert started.stdout is not None
    lines = (samples / "hourly.csv").read_bytes().splitlines(keepends=True)
    started.stdin.write(lines[0] + lines[1])
    started.stdin.flush()
    assert started.stdout.readline() == b"time,surprise,probability,alarm\n"
    assert started.stdout.readline() == b"2024-01-01T00:00:00.000000,,,false\n"
    for hour in (1, 2, 3):
        started.stdin.write(lines[hour + 1])
        started.stdin.flush()
        assert started.stdout.readline().startswith(f"2024-01-01T0{hour}:00:00.000000,".encode())
    started.send_signal(2)
    _, said = started.communicate(timeout=30)
    assert (started.returncode, said) == (130, b"")


def test_a_reader_that_goes_ends_it(started, samples):
    assert started.stdin is not None
    assert started.stdout is not None
    lines = (samples / "hourly.csv").read_bytes().splitlines(keepends=True)
    started.stdin.write(b"".join(lines[:3]))
    started.stdin.flush()
    started.stdout.readline()
    started.stdout.close()
    started.stdout = None
    started.stdin.write(b"".join(lines[3:]))
    started.stdin.close()
    started.stdin = None
    assert started.wait(timeout=30) == 0
    assert started.stderr is not None
    assert started.stderr.read() == b""
