"""Whatever is wrong with the input: one line that says what and what to do, exit code 2, and nothing left behind."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import throughtime as package

HOURS = [f"2024-01-{1 + hour // 24:02d} {hour % 24:02d}:00:00" for hour in range(240)]
ROWS = [f"{time},{hour % 24 + hour % 7 / 10}" for hour, time in enumerate(HOURS)]
BOOK = "the quick brown fox jumps over the lazy dog.\n" * 40


def table(*rows: str, header: str = "time,load") -> str:
    return "\n".join([header, *rows]) + "\n"


def changed(row: int, text: str) -> str:
    """The good table with one row replaced; row 1 stands in line 2."""
    return table(*ROWS[: row - 1], text, *ROWS[row:])


def settings(change: Callable[[dict], object], name: str = "config.json") -> Callable[[Path], None]:
    """Change a JSON file of the run folder named `run`."""

    def act(folder: Path) -> None:
        path = folder / "run" / name
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return act


def cut(name: str, share: float = 0.5) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        path = folder / "run" / name
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    return act


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "run" / name).unlink()


@dataclass(frozen=True)
class Bad:
    """One bad input.

    Args:
        what: what is wrong, in words.
        arguments: of the command line, split at spaces.
        message: what the line must contain.
        file: its name and contents, where a file is needed.
        run: the run to be copied to `run`, where one is needed.
        act: what is done to the folder before.
    """

    what: str
    arguments: str
    message: str
    file: tuple[str, str | bytes] | None = None
    run: str | None = None
    act: Callable[[Path], object] | None = None


def csv(what: str, message: str, content: str | bytes, options: str = "") -> Bad:
    return Bad(what, f"train bad.csv {options}".strip(), message, ("bad.csv", content))


def text(what: str, message: str, content: str | bytes, options: str = "") -> Bad:
    return Bad(what, f"train bad.txt {options}".strip(), message, ("bad.txt", content))


def series(what: str, message: str, options: str) -> Bad:
    return csv(what, message, table(*ROWS), options)


def compared(what: str, message: str, options: str, file: str = "bad.csv") -> Bad:
    return Bad(f"compare: {what}", f"compare {file} {options}".strip(), message, ("bad.csv", table(*ROWS)))


FILES = [
    Bad("no such file", "train absent.csv", "absent.csv: no such file or folder"),
    Bad("a name nearly right", "train god.csv", "did you mean good.csv?", ("good.csv", table(*ROWS))),
    csv("an empty file", "bad.csv is empty: 0 bytes", ""),
    csv("a header only", "bad.csv", table()),
    csv("one row", "bad.csv", table(ROWS[0])),
    csv("two rows", "2 rows", table(*ROWS[:2])),
    Bad(
        "a folder where a CSV is expected", "train folder.csv", "folder.csv is a folder without a file",
        act=lambda folder: (folder / "folder.csv").mkdir(),
    ),
    csv("binary contents in a CSV", "bad.csv", bytes(range(256)) * 8),
    csv("neither UTF-8 nor CP949", "bad.csv", table(*ROWS).encode() + b"2024-01-11 00:00:00,\xff\xfe\xfd\n"),
    csv("NaN in a cell", "line 5", changed(4, f"{HOURS[3]},NaN")),
    csv("inf in a cell", "line 5", changed(4, f"{HOURS[3]},inf")),
    csv("an empty cell", "line 5", changed(4, f"{HOURS[3]},")),
    csv("a cell that is no number", "line 5", changed(4, f"{HOURS[3]},lots")),
    csv("dates in two formats", "line 5", changed(4, "01/01/2024 03:00,1")),
    csv("a time that does not exist", "line 5", changed(4, "2024-13-01 03:00:00,1")),
    csv("a time twice", "bad.csv", changed(4, ROWS[2])),
    csv("a gap", "bad.csv", table(*ROWS[:50], *ROWS[53:])),
    csv("a row with a cell too many", "line 5", changed(4, ROWS[3] + ",7")),
    csv("a row with a cell too few", "line 5", changed(4, HOURS[3])),
    csv("two columns of one name", "bad.csv", table(*(f"{row},1" for row in ROWS), header="time,load,load")),
    csv("decimal commas", "column 'load': '0,5' looks like a decimal comma: expected 0.5",
        table(*(f"{time};0,5" for time in HOURS), header="time;load")),
    csv("the time to be forecast", "'date' is the time column: it cannot be a target too",
        table(*(f"{20240101 + day},{day % 7}" for day in range(31)), header="date,load"), "--target date"),
    series("settings that are no JSON", "bad.csv is no JSON file of settings", "--config bad.csv"),
    Bad("archive for a forecast", "forecast run moves.ts", "moves.ts is a file of the UCR/UEA archive, labelled "
        "sequences: for throughtime train", ("moves.ts", "@data\n"), run="hourly"),
    csv("no column of numbers", "no column of numbers", table(*(f"{time},low" for time in HOURS))),
    Bad("Parquet that is none", "train bad.parquet", "bad.parquet", ("bad.parquet", b"PAR1 but not really")),
    Bad("a gzip file cut short", "train bad.csv.gz", "bad.csv.gz",
        ("bad.csv.gz", gzip.compress(table(*ROWS).encode(), mtime=0)[:300])),
    Bad("a pickle", "train bad.pkl", "a pickle, which runs code", ("bad.pkl", b"\x80\x04N.")),
    Bad("a spreadsheet", "train bad.xlsx", "save it as CSV", ("bad.xlsx", b"PK\x03\x04")),
    Bad("an unknown kind of binary file", "train bad.bin", "bad.bin", ("bad.bin", bytes(range(256)) * 8)),
    Bad("a folder without text", "train empty", "empty is a folder without a file",
        act=lambda folder: (folder / "empty").mkdir()),
    Bad("sound cut short", "train bad.wav", "bad.wav", ("bad.wav", b"RIFF\x24\x00\x00\x00WAVEfmt ")),
    text("a text of one symbol", "at least two", "a"),
    text("a text too short for its parts", "validation part", "abc"),
    text("binary contents in a text", "bad.txt", b"abc\x00\x01\x02" * 50),
    text("a text neither UTF-8 nor CP949", "bad.txt", b"plain words\xff\xfe and more\n" * 9),
    Bad("describe: an empty file", "describe bad.csv", "bad.csv is empty", ("bad.csv", "")),
    Bad("describe: an unknown column", "describe bad.csv --target load2", "did you mean 'load'?",
        ("bad.csv", table(*ROWS))),
]  # fmt: skip

OPTIONS = [
    Bad("no file", "train", "name a FILE to train on"),
    Bad("an unknown command", "trian x", "No such command 'trian'"),
    series("an unknown option", "No such option: --hidden", "--hidden 4"),
    series("an unknown column", "no column 'lod'; did you mean 'load'?", "--target lod"),
    series("an unknown time column", "no column 'when'", "--time when"),
    series("one column for two things", "'load' is named for two things", "--target load --past load"),
    series("an unknown way to fill", "'sideways'", "--fill sideways"),
    series("an unknown calendar", "'moon'", "--calendar moon"),
    series("an unknown model", "model 'elman' is not known; known: rnn, gru, lstm, mingru", "--model elman"),
    series("an unknown strategy", "strategy 'backwards' is not known; known: full, truncated:K1",
           "--strategy backwards"),
    series("truncation without steps", "expected one of truncated:K1", "--strategy truncated"),
    series("truncation after zero steps", "at least 1", "--strategy truncated:0"),
    series("a budget that is none", "such as '256MB'", "--strategy checkpointed:lots"),
    series("a budget too small", "would do", "--strategy checkpointed:100B"),
    series("random truncation without a length", "expected one of artbp:CHUNK,LENGTH", "--strategy artbp:32"),
    series("an unknown optimiser", "'lion' is not one of 'sgd', 'momentum'", "--optimizer lion"),
    series("an unknown schedule", "'steps' is not one of 'cosine'", "--schedule steps"),
    series("an unknown device", "device 'abacus' is not known", "--device abacus"),
    series("a device that is not there", "device 'cuda:77' cannot be used", "--device cuda:77"),
    series("an unknown precision", "'float8' is not one of 'float32'", "--precision float8"),
    series("an unknown head", "head", "--head cauchy"),
    series("a size of zero", "'--hidden-size'", "--hidden-size 0"),
    series("a negative size", "'--layers'", "--layers -1"),
    series("a size that is no number", "'--batch-size'", "--batch-size many"),
    series("a size beyond memory", "not enough memory", "--hidden-size 1000000000"),
    series("a dropout of one", "dropout = 1.0", "--dropout 1"),
    series("a negative learning rate", "learning_rate = -1.0", "--learning-rate -1"),
    series("an infinite learning rate", "learning_rate = inf", "--learning-rate inf"),
    series("a clip that is no number", "clip = nan", "--clip nan"),
    series("a negative seed", "'--seed'", "--seed -1"),
    series("a seed too large", "'--seed'", "--seed 99999999999999999999"),
    series("a time budget without a unit known", "time '5 parsecs'", "--time-budget 5_parsecs"),
    series("a time budget of nothing", "time '0s': expected a time above 0", "--time-budget 0s"),
    series("a horizon longer than the data", "horizon 500 does not fit", "--horizon 500"),
    series("a lookback longer than the data", "lookback 500", "--lookback 500 --horizon 4"),
    series("--steps for series", "--steps is for text", "--steps 5"),
    series("--unit for series", "--unit is for text", "--unit byte"),
    series("--encoding for series", "--encoding is for sound", "--encoding real"),
    text("--target for text", "--target is for series", BOOK, "--target load"),
    text("--horizon for text", "--horizon is for series", BOOK, "--horizon 5"),
    text("--head for text", "--head is for series", BOOK, "--head normal"),
    text("an unknown unit", "'word' is not one of 'character'", BOOK, "--unit word"),
    Bad("--out that exists", "train bad.csv --out there", "--out there exists already: name a new folder",
        ("bad.csv", table(*ROWS)), act=lambda folder: (folder / "there").mkdir() or (folder / "there" / "x").touch()),
    Bad("--out that is a file", "train bad.csv --out bad.csv", "--out bad.csv exists already",
        ("bad.csv", table(*ROWS))),
    Bad("--out below a file", "train bad.csv --out bad.csv/run", "not a directory", ("bad.csv", table(*ROWS))),
    Bad("--out in a folder that cannot be written", "train bad.csv --out /proc/run", "error: /proc/run: ",
        ("bad.csv", table(*ROWS))),
    Bad("describe --out in a folder that cannot be written", "describe bad.csv --out /proc/pictures", "/proc/pictures",
        ("bad.csv", table(*ROWS))),
    Bad("--out that is a run", "train bad.csv --out run", "go on with: throughtime train --resume run",
        ("bad.csv", table(*ROWS)), run="hourly"),
    Bad("--resume of nothing", "train --resume absent", "absent is no run folder: it does not exist"),
    Bad("--resume of a file", "train --resume bad.csv", "bad.csv is no run folder: it is a file",
        ("bad.csv", table(*ROWS))),
    Bad("--resume with a file", "train bad.csv --resume run", "FILE cannot be given with it",
        ("bad.csv", table(*ROWS)), run="hourly"),
    Bad("--resume with other options", "train --resume run --hidden-size 9", "--hidden-size cannot be given with it",
        run="hourly"),
    compared("no file to compare on", "name a FILE to compare on", "", file=""),
    compared("a model that is not known", "model 'elman' is not known; known: rnn, gru", "--models gru,elman"),
    compared("a model named twice", "model 'gru' is named twice", "--models gru,gru"),
    compared("no model", "no model is named", "--models ,"),
    compared("a metric that is not known", "metric 'bleu' is not known here; known: crps, mae", "--metric bleu"),
    compared("no seed", "'--seeds'", "--seeds 0"),
    compared("a test part shorter than the horizon", "the test part has 24 rows", "--horizon 30 --split 0.6,0.3,0.1"),
    compared("data too short for its parts", "horizon 100", "--horizon 100"),
    compared("--steps for series", "--steps is for text", "--steps 5"),
    Bad("compare --resume of nothing", "compare --resume absent", "absent is nothing that compare left"),
    Bad("compare --resume of a run", "compare --resume run", "run is nothing that compare left", run="hourly"),
    Bad("compare --resume of damaged arguments", "compare --resume run", "arguments.json", run="hourly",
        act=lambda folder: (folder / "run" / "arguments.json").write_text("[")),
    Bad("compare --resume of other arguments", "compare --resume run", "arguments.json", run="hourly",
        act=lambda folder: (folder / "run" / "arguments.json").write_text('{"file": "a", "color": 3}')),
    Bad("compare --resume with other options", "compare --resume run --seeds 2", "--seeds cannot be given with it",
        run="hourly"),
]  # fmt: skip

ARTIFACTS = [
    Bad("no run folder", "info absent", "absent is no run folder: it does not exist"),
    Bad("a folder that is no run", "info folder", "folder is no run folder: it has no config.json",
        act=lambda folder: (folder / "folder").mkdir()),
    Bad("config.json gone", "evaluate run", "it has no config.json", run="hourly", act=remove("config.json")),
    Bad("config.json cut short", "evaluate run", "config.json cannot be read", run="hourly", act=cut("config.json")),
    Bad("config.json with a list", "info run", "holds a list", run="hourly",
        act=lambda folder: (folder / "run" / "config.json").write_text("[1]")),
    Bad("config.json in another encoding", "info run", "config.json cannot be read", run="hourly",
        act=lambda folder: (folder / "run" / "config.json").write_bytes(b'{"a": "\xff"}')),
    Bad("an artifact of a newer version", "forecast run", "upgrade throughtime", run="hourly",
        act=settings(lambda content: content.update(format=99, throughtime="7.0", quantum=True))),
    Bad("an unknown field", "info run", "attention = 3: there is no such setting", run="hourly",
        act=settings(lambda content: content["model"].update(attention=3))),
    Bad("a field out of range", "info run", "greater than 0", run="hourly",
        act=settings(lambda content: content["task"].update(horizon=0))),
    Bad("a task and a model that do not agree", "info run", "a task of symbols needs a model of symbols", run="hourly",
        act=settings(lambda content: content.update(task={"kind": "symbols"}))),
    Bad("weights of another size", "forecast run", "does not fit the model in config.json", run="hourly",
        act=settings(lambda content: content["model"]["family"].update(hidden_size=7))),
    Bad("metrics that are no records", "info run", "is no record of a step", run="hourly",
        act=lambda folder: (folder / "run" / "metrics.jsonl").write_text("5\n")),
    Bad("metrics that are no text", "info run", "is no record of a step", run="hourly",
        act=lambda folder: (folder / "run" / "metrics.jsonl").write_bytes(b"\xff\xfe\n")),
    Bad("a config nested without end", "info run", "config.json cannot be read", run="hourly",
        act=lambda folder: (folder / "run" / "config.json").write_text("[" * 100_000)),
    Bad("a source that is no path", "evaluate run", "data.json is damaged: source: path", run="hourly",
        act=lambda folder: (folder / "run" / "data.json").write_text(
            (folder / "run" / "data.json").read_text().replace('"path": "', '"path": 5, "was": "'))),
    Bad("data.json gone", "info run", "it has no data.json", run="hourly", act=remove("data.json")),
    Bad("data.json cut short", "info run", "data.json cannot be read", run="hourly", act=cut("data.json")),
    Bad("data.json without its layout", "forecast run", "'layout' is missing", run="hourly",
        act=settings(lambda content: content.pop("layout"), "data.json")),
    Bad("data.json with a list for its layout", "forecast run", "data.json is damaged", run="hourly",
        act=settings(lambda content: content["layout"].update(columns=[]), "data.json")),
    Bad("data.json of another run", "info run", "data.json is damaged, or not of this", run="book",
        act=settings(lambda content: content["vocabulary"].update(symbols="abc"), "data.json")),
    Bad("a scaler without its series", "evaluate run", "data.json", run="hourly",
        act=settings(lambda content: content["scaler"].update({"": {"mean": "x"}}), "data.json")),
    Bad("weights gone", "generate run", "its first epoch was not finished", run="book",
        act=remove("model.safetensors")),
    Bad("weights cut short", "generate run", "model.safetensors is damaged or truncated", run="book",
        act=cut("model.safetensors")),
    Bad("weights emptied", "score run", "model.safetensors is damaged or truncated", run="book",
        act=cut("model.safetensors", 0)),
    Bad("metrics.jsonl damaged", "info run", "metrics.jsonl, line 1", run="book",
        act=lambda folder: (folder / "run" / "metrics.jsonl").write_text("nonsense\n{}\n")),
    Bad("checkpoint cut short", "train --resume run", "checkpoint.safetensors is damaged or truncated", run="book",
        act=cut("checkpoint.safetensors")),
    Bad("checkpoint gone", "train --resume run", "has no checkpoint.safetensors: it cannot go on", run="book",
        act=remove("checkpoint.safetensors")),
    Bad("the data is gone", "evaluate run", "is gone: put it back", run="hourly",
        act=settings(lambda content: content["source"].update(path="/nowhere/a.csv"), "data.json")),
    Bad("the data has changed: evaluate", "evaluate run", "has changed since it was read", run="hourly",
        act=settings(lambda content: content["source"].update(sha256="0" * 64), "data.json")),
    Bad("the data has changed: resume", "train --resume run --epochs 2", "has changed since it was read", run="book",
        act=settings(lambda content: content["source"].update(size=7), "data.json")),
]  # fmt: skip

USE = [
    Bad("forecast with a model of text", "forecast run", "use throughtime generate run", run="book"),
    Bad("generate with a model of series", "generate run", "use throughtime forecast run", run="hourly"),
    Bad("a symbol never seen: score", "score run bad.txt", "symbols never seen in training: 'Ü'",
        ("bad.txt", BOOK + "Übung"), run="book"),
    Bad("a symbol never seen: evaluate", "evaluate run bad.txt", "symbols never seen in training: '7'",
        ("bad.txt", BOOK + "7"), run="book"),
    Bad("a symbol never seen: prompt", "generate run --prompt 한글", "symbols never seen in training: '한', '글'",
        run="book"),
    Bad("--prompt for sound", "generate run --prompt la", "--prompt is for text", run="tone"),
    Bad("a length of zero", "generate run --length 0", "'--length'", run="book"),
    Bad("a negative temperature", "generate run --temperature -1", "temperature -1.0 is below 0", run="book"),
    Bad("top-k of zero", "generate run --top-k 0", "top-k 0", run="book"),
    Bad("top-p above one", "generate run --top-p 1.5", "top-p 1.5", run="book"),
    Bad("sound into a format unknown", "generate run --out tone.mp9", ".wav", run="tone"),
    Bad("a horizon of zero", "forecast run --horizon 0", "'--horizon'", run="hourly"),
    Bad("one sample", "forecast run --samples 1", "'--samples'", run="hourly"),
    Bad("--future missing", "forecast run", "'price'", run="long"),
    Bad("--future of another file", "forecast run --future bad.csv", "no column 'price'", ("bad.csv", table(*ROWS)),
        run="long"),
    Bad("--future not covering the horizon", "forecast run --horizon 20 --future prices.csv",
        "does not cover the horizon", run="long",
        act=lambda folder: shutil.copy(folder.parent / "prices.csv", folder)),
    Bad("--future where the model reads none", "forecast run --future prices.csv",
        "reads no columns of the future", run="hourly",
        act=lambda folder: shutil.copy(folder.parent / "prices.csv", folder)),
    Bad("--hold-out of all rows", "forecast run bad.csv --hold-out --horizon 240", "holding out 240",
        ("bad.csv", table(*ROWS)), run="hourly"),
    Bad("other columns than in training", "forecast run bad.csv", "no column 'load'",
        ("bad.csv", table(*ROWS, header="time,power")), run="hourly"),
    Bad("another frequency than in training", "forecast run bad.csv", "bad.csv",
        ("bad.csv", table(*(f"2024-{1 + month:02d}-01 00:00:00,1" for month in range(12)))), run="hourly"),
    Bad("one row to forecast from", "score run bad.csv", "the series has 1 row", ("bad.csv", table(ROWS[0])),
        run="hourly"),
    Bad("a horizon longer than the test part", "evaluate run --horizon 100", "the test part has 48 rows", run="hourly"),
    Bad("a stride of zero", "evaluate run --stride 0", "'--stride'", run="hourly"),
    Bad("--horizon for a model of text", "evaluate run --horizon 4", "are for series", run="book"),
    Bad("sound at another rate", "score run bad.wav", "samples a second", run="tone",
        act=lambda folder: _sound(folder / "bad.wav", 4000)),
    Bad("a table into a format unknown", "forecast run --out table.xlsx", ".csv, .parquet or .png", run="hourly"),
    Bad("scores into a format unknown", "score run --out scores.json", ".csv, .parquet or .png", run="book"),
    Bad("a folder that cannot be written: forecast", "forecast run --out /proc/x.csv",
        "error: /proc/x.csv: ", run="hourly"),
    Bad("a folder that cannot be written: pictures", "forecast run --out /proc/x", "/proc", run="hourly"),
    Bad("a folder that cannot be written: score", "score run --out /proc/x.csv", "error: /proc/x.csv: ", run="book"),
    Bad("a folder that cannot be written: evaluate", "evaluate run --out /proc/x", "/proc", run="book"),
    Bad("a folder that cannot be written: generate", "generate run --out /proc/x.txt",
        "error: /proc/x.txt: ", run="book"),
    Bad("features into a format unknown", "features run --out states.npy",
        "states.npy: expected a name that ends in .csv or .parquet", run="book"),
    Bad("features into a folder that is not there", "features run --out absent/states.parquet",
        "error: absent/states.parquet: no such file", run="hourly"),
    Bad("features of neither steps nor sequences", "features run --per line", "'line' is not one of 'step'",
        run="book"),
    Bad("features: windows of steps", "features run --steps 9", "--steps 9 is for --per sequence", run="book"),
    Bad("features: windows of nothing", "features run --per sequence --steps 0", "'--steps'", run="book"),
    Bad("features: a layer that is not there", "features run --layer 2", "--layer 2: run has layers 1 to 1",
        run="hourly"),
    Bad("features: a symbol never seen", "features run bad.txt", "symbols never seen in training: 'Ü'",
        ("bad.txt", BOOK + "Übung"), run="book"),
    Bad("features: one row, read with the next", "features run bad.csv", "series 'north' has 1 row",
        ("bad.csv", table("2024-01-01 00:00:00,north,1,2,3", header="ds,unique_id,y,price,wind")), run="long"),
    Bad("a folder that is not there", "score run --out absent/scores.csv",
        "error: absent/scores.csv: no such file", run="book"),
]  # fmt: skip

TABLE = [*FILES, *OPTIONS, *ARTIFACTS, *USE]


def _sound(path: Path, rate: int) -> None:
    pytest.importorskip("soundfile").write(path, [0.0, 0.5] * 200, rate)


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.fixture
def place(tmp_path: Path, samples: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Bad], Path]:
    """Makes a working folder in which only the one thing is wrong, and goes there."""

    def make(bad: Bad) -> Path:
        folder = tmp_path / "work"
        folder.mkdir()
        for name in ("tone.wav", "prices.csv"):
            shutil.copy(samples / name, tmp_path)
        if bad.file is not None:
            name, content = bad.file
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        if bad.run is not None:
            shutil.copytree(runs / bad.run, folder / "run")
        if bad.act is not None:
            bad.act(folder)
        monkeypatch.chdir(folder)
        return folder

    return make


def words(bad: Bad) -> list[str]:
    return [word.replace("_", " ") if "parsecs" in word else word for word in bad.arguments.split()]


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.what)
def test_one_line_and_nothing_left_behind(throughtime, place, bad: Bad) -> None:
    folder = place(bad)
    before = listing(folder)
    found = throughtime(*words(bad))
    _report(bad, found.err)
    assert found.out == ""
    assert found.err.startswith("error: ")
    assert found.err.count("\n") == 1
    assert bad.message in found.err
    assert len(found.err) < 400
    assert found.code == 2
    assert listing(folder) == before


def _report(bad: Bad, line: str) -> None:
    """Append to the table named by BAD_INPUTS_TABLE, where somebody wants to read it."""
    if path := os.environ.get("BAD_INPUTS_TABLE"):
        with open(path, "a", encoding="utf-8") as out:
            out.write(f"| {bad.what} | `{bad.arguments}` | {line.strip().replace('|', chr(92) + '|')} |\n")


def test_there_are_enough_and_each_is_another() -> None:
    assert len(TABLE) >= 100
    assert len({bad.what for bad in TABLE}) == len(TABLE)


@pytest.mark.parametrize("bad", [FILES[2], ARTIFACTS[6], OPTIONS[1]], ids=lambda bad: bad.what)
def test_the_program_itself_does_the_same(place, bad: Bad) -> None:
    folder = place(bad)
    before = listing(folder)
    source = str(Path(package.__file__).parents[1])
    command = [sys.executable, "-c", "from throughtime.cli import main; main()", *words(bad)]
    found = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": source})
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1
    assert bad.message in found.stderr
    assert listing(folder) == before


def test_a_constant_column_is_scaled_by_one_and_trains(throughtime, place) -> None:
    place(csv("constant", "", table(*(f"{time},3.5" for time in HOURS))))
    assert throughtime("train", "bad.csv", "--epochs", "1", "--hidden-size", "2", "--out", "run").code == 0
    found = throughtime("forecast", "run", "--json", "--out", "made.csv")
    assert (found.code, found.err) == (0, "")
    assert all(row["median"] is not None for row in found.json["forecast"])
