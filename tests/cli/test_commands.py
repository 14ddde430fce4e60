"""Each command on tiny data of each kind: what it prints, what it writes, and that it does the same twice."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from throughtime.artifacts import load

COMMANDS = (
    "describe",
    "train",
    "forecast",
    "generate",
    "score",
    "features",
    "evaluate",
    "compare",
    "gradients",
    "info",
    "doctor",
    "demo",
)
LEVELS = ("50", "80", "95")
PNG = b"\x89PNG"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_fits_80_columns(throughtime, monkeypatch, command) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = throughtime(command, "--help")
    assert found.code == 0
    assert f"throughtime {command}" in found.out.split("Examples:")[1]
    assert max(map(len, found.out.splitlines())) <= 80
    assert found.err == ""


def test_without_a_command_the_help_is_shown(throughtime) -> None:
    found = throughtime()
    assert found.code == 2
    assert all(command in found.out for command in COMMANDS)
    assert "error" not in found.out + found.err


def test_the_version(throughtime) -> None:
    found = throughtime("--version")
    assert found.code == 0
    assert found.out.startswith("throughtime 0.")


@pytest.mark.parametrize("name", ["hourly.csv", "long.csv", "book.txt", "tone.wav"])
def test_describe(throughtime, samples, name) -> None:
    found = throughtime("describe", samples / name, "--out", "pictures", "--json")
    assert found.code == 0
    assert found.err == ""
    picture = Path(found.json["picture"])
    assert picture.read_bytes().startswith(PNG)
    assert name.split(".")[0] in throughtime("describe", samples / name).out


@pytest.mark.parametrize("name", ["hourly.csv", "book.txt", "tone.wav"])
def test_train_needs_no_option(throughtime, samples, name, monkeypatch) -> None:
    """Sizes, columns and strategy are found; only the time is cut short."""
    monkeypatch.setattr("throughtime.training.loop.Training._time_is_over", lambda self: self.position.step >= 3)
    found = throughtime("train", samples / name)
    assert found.code == 0
    (run,) = Path("runs").iterdir()
    assert f"saved to {run}" in found.out
    assert load(run).metrics()
    assert throughtime("train", samples / name).code == 0
    assert len(list(Path("runs").iterdir())) == 2


def test_train_tells_json_on_standard_output_alone(throughtime, samples) -> None:
    found = throughtime("train", samples / "book.txt", "--epochs", "1", "--out", "run", "--json")
    assert found.json.keys() == {
        "folder", "reason", "steps", "epochs", "seconds", "validation_loss", "parameters",
    }  # fmt: skip
    assert found.err == ""


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "radam", "rmsprop", "rprop"])
def test_every_optimizer_by_name(throughtime, samples, optimizer) -> None:
    options = ["--optimizer", optimizer, "--epochs", "1", "--out", "run", "--learning-rate", "0.001"]
    assert throughtime("train", samples / "book.txt", *options).code == 0
    assert load("run").configuration.training.optimizer.name == optimizer


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "rnn"],
        ["--model", "lstm", "--layers", "2", "--dropout", "0.2"],
        ["--strategy", "full", "--schedule", "linear"],
        ["--strategy", "truncated:4", "--clip", "0.5"],
        ["--strategy", "truncated:4,12"],
        ["--strategy", "checkpointed"],
        ["--strategy", "checkpointed:1MB"],
        ["--strategy", "artbp:4,8"],
        ["--precision", "bfloat16"],
        ["--unit", "byte"],
    ],
    ids=" ".join,
)
def test_settings_of_training(throughtime, samples, options) -> None:
    found = throughtime("train", samples / "book.txt", "--epochs", "1", "--out", "run", *options)
    assert (found.code, found.err) == (0, "")
    assert throughtime("evaluate", "run").code == 0


@pytest.mark.parametrize("strategy", ["rtrl", "snap1", "uoro"])
def test_training_forward_in_time(throughtime, samples, strategy, monkeypatch) -> None:
    monkeypatch.setattr("throughtime.training.loop.Training._time_is_over", lambda self: self.position.step >= 3)
    small = "--dropout 0 --hidden-size 3 --batch-size 2 --steps 4 --epochs 1 --model gru".split()  # noqa: SIM905
    found = throughtime("train", samples / "book.txt", "--out", "run", "--strategy", strategy, *small)
    assert (found.code, found.err) == (0, "")


@pytest.mark.parametrize("name", ["hourly", "long", "book", "tone"])
def test_gradients(throughtime, runs, name) -> None:
    found = throughtime("gradients", runs / name, "--json", "--tolerance", "0.3")
    assert (found.code, found.err) == (0, "")
    full, *others = found.json["rows"]
    assert full["bias"] == 0
    assert all(row["refused"] is None and row["memory"] > 0 for row in others)
    assert found.json["smallest_truncation"] is None or found.json["smallest_truncation"] < found.json["steps"]
    told = throughtime("gradients", runs / name, "--strategy", "truncated:2", "--strategy", "uoro", "--steps", "8")
    assert (told.code, told.err) == (0, "")
    assert "Truncated(k1=2" in told.out
    assert "UORO()" in told.out
    assert "8 steps" in told.out


@pytest.mark.parametrize("name", ["hourly", "long"])
def test_evaluate_series(throughtime, runs, name) -> None:
    found = throughtime("evaluate", runs / name, "--json", "--samples", "20", "--out", "evaluation")
    assert (found.code, found.err) == (0, "")
    assert found.json.keys() == {
        "model", "baselines", "horizon", "origins", "stride", "period", "log_likelihood", "parts", "sizes",
        "values_left_out", "origins_left_out",
    }  # fmt: skip
    assert found.json["baselines"].keys() == {"naive", "seasonal_naive", "drift"}
    for scores in (found.json["model"], *found.json["baselines"].values()):
        assert scores.keys() == {
            "mae", "mse", "rmse", "mase", "smape", "crps", "coverage", "error_by_step",
        }  # fmt: skip
        assert scores["mae"] > 0
        assert scores["coverage"].keys() == set(LEVELS)
    assert Path("evaluation/evaluation.png").read_bytes().startswith(PNG)
    assert json.loads(Path("evaluation/evaluation.json").read_text()) == found.json
    again = throughtime("evaluate", runs / name, "--json", "--samples", "20")
    assert again.out == found.out


@pytest.mark.parametrize(("name", "unit"), [("book", "character"), ("tone", "sample")])
def test_evaluate_symbols(throughtime, runs, name, unit) -> None:
    found = throughtime("evaluate", runs / name, "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json["unit"] == unit
    assert [baseline.split()[0] for baseline in found.json["baselines"]] == ["unigram", "compressor"]
    assert found.json["model"]["bits"] == pytest.approx(found.json["model"]["nats"] / np.log(2))
    assert unit in throughtime("evaluate", runs / name).out


def test_forecast_writes_table_and_picture(throughtime, runs) -> None:
    found = throughtime("forecast", runs / "hourly", "--out", "made", "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json["files"] == ["made/forecast.csv", "made/forecast.png"]
    frame = pl.read_csv("made/forecast.csv")
    assert frame["time"].to_list()[0].startswith("2024-01-11T00:00:00")
    assert len(frame) == 6
    assert Path("made/forecast.png").read_bytes().startswith(PNG)
    ends = ["lower_95", "lower_80", "lower_50", "median", "upper_50", "upper_80", "upper_95"]
    assert (np.diff(frame.select(ends).to_numpy(), axis=1) > 0).all()
    assert [row["median"] for row in found.json["forecast"]] == pytest.approx(frame["median"].to_list())


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".png"])
def test_forecast_to_one_file(throughtime, runs, suffix) -> None:
    found = throughtime("forecast", runs / "hourly", "--out", f"made{suffix}")
    assert (found.code, found.err) == (0, "")
    assert [path.name for path in Path().iterdir()] == [f"made{suffix}"]


def test_forecast_is_the_same_twice_and_another_with_another_seed(throughtime, runs) -> None:
    first, second, third = (
        throughtime("forecast", runs / "hourly", "--seed", seed, "--out", "made.csv", "--json").out for seed in "112"
    )
    assert first == second
    assert first != third


def test_forecast_of_many_series_with_covariates(throughtime, runs, samples) -> None:
    found = throughtime("forecast", runs / "long", "--future", samples / "prices.csv", "--out", "made.csv", "--json")
    assert (found.code, found.err) == (0, "")
    frame = pl.read_csv("made.csv")
    assert frame["series"].unique(maintain_order=True).to_list() == ["north", "south"]
    assert set(frame["target"]) == {"y"}
    means = dict(frame.group_by("series").agg(pl.col("median").mean()).iter_rows())
    assert means["south"] - means["north"] > 25


def test_hold_out_shows_the_truth(throughtime, runs, samples) -> None:
    found = throughtime("forecast", runs / "long", "--hold-out", "--out", "made.csv")
    assert (found.code, found.err) == (0, "")
    assert "truth" in found.out
    given = pl.read_csv(samples / "long.csv").filter(pl.col("unique_id") == "south")["y"].to_list()[-6:]
    assert pl.read_csv("made.csv").filter(pl.col("series") == "south")["truth"].to_list() == given


def test_score(throughtime, runs) -> None:
    found = throughtime("score", runs / "hourly", "--out", "scores.csv", "--top", "3", "--json")
    assert (found.code, found.err) == (0, "")
    frame = pl.read_csv("scores.csv")
    assert len(frame) == 239
    assert found.json["mean"] == pytest.approx(frame["surprise"].mean())
    assert [row["surprise"] for row in found.json["top"]] == frame["surprise"].top_k(3).to_list()


def test_score_finds_what_does_not_belong(throughtime, runs, samples) -> None:
    text = (samples / "book.txt").read_text()
    Path("strange.txt").write_text(text[:450] + "zzzz" + text[450:900])
    assert throughtime("score", runs / "book", "strange.txt", "--out", "scores.png").code == 0
    assert Path("scores.png").read_bytes().startswith(PNG)
    assert throughtime("score", runs / "book", "strange.txt", "--out", "scores.csv").code == 0
    assert pl.read_csv("scores.csv")["symbol"].str.join("").to_list()[0][449:453] == "zzzz"


def test_info(throughtime, runs) -> None:
    found = throughtime("info", runs / "book", "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json["task"]["kind"] == "symbols"
    assert found.json["parameters"] > 0
    assert "lstm" in throughtime("info", runs / "book").out


def test_doctor(throughtime) -> None:
    found = throughtime("doctor", "--json")
    assert (found.code, found.err) == (0, "")
    assert {row["cell"] for row in found.json["backends"]} >= {"rnn_tanh", "gru", "lstm"}
    assert throughtime("doctor").code == 0


def test_generate_text(throughtime, runs) -> None:
    options = ["generate", runs / "book", "--prompt", "the ", "--length", "50", "--temperature", "0.8", "--top-k", "5"]
    found = throughtime(*options, "--json")
    assert (found.code, found.err) == (0, "")
    assert len(found.json["text"]) == 50
    printed = throughtime(*options, "--out", "page.txt")
    assert printed.out == "the " + found.json["text"] + "\n"
    assert Path("page.txt").read_text() == "the " + found.json["text"]
    assert throughtime(*options, "--seed", "1", "--json").json["text"] != found.json["text"]


def test_generate_from_the_start(throughtime, samples) -> None:
    Path("line.txt").write_text((samples / "book.txt").read_text().replace("\n", " "))
    assert throughtime("train", "line.txt", "--epochs", "1", "--out", "run").code == 0
    found = throughtime("generate", "run", "--length", "9", "--top-p", "0.9", "--json")
    assert len(found.json["text"]) == 9


def test_generate_sound(throughtime, runs) -> None:
    soundfile = pytest.importorskip("soundfile")
    found = throughtime("generate", runs / "tone", "--length", "400", "--out", "made.wav", "--json")
    assert (found.code, found.err) == (0, "")
    samples, rate = soundfile.read("made.wav")
    assert (samples.shape, rate) == ((400,), 8000)


def test_seeds_decide_a_training(throughtime, samples) -> None:
    weights = []
    for folder, seed in (("one", 3), ("two", 3), ("three", 4)):
        throughtime("train", samples / "book.txt", "--epochs", "1", "--seed", seed, "--out", folder)
        weights.append(Path(folder, "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_resume_takes_more_epochs(throughtime, runs) -> None:
    shutil.copytree(runs / "book", "run")
    found = throughtime("train", "--resume", "run", "--epochs", "2", "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json["epochs"] == 2


@pytest.mark.parametrize("header", ["기온 (°C)", "[/red]", ":smile: %s {0}"])
@pytest.mark.filterwarnings("ignore:no installed font")
def test_headers_of_any_script_are_printed_as_they_are(throughtime, samples, header) -> None:
    rows = (samples / "hourly.csv").read_text().splitlines()[1:121]
    quoted = f'"{header}"'
    Path("any.csv").write_text("\n".join([f"일시,{quoted}", *rows]) + "\n")
    assert header in throughtime("describe", "any.csv", "--json").json["columns"][0]["name"]
    assert throughtime("describe", "any.csv").code == 0
    small = ["--hidden-size", "2", "--epochs", "1", "--horizon", "3", "--lookback", "6", "--out", "[bold]"]
    trained = throughtime("train", "any.csv", *small)
    assert "saved to [bold]" in trained.out
    made = throughtime("forecast", "[bold]", "--out", "made.csv")
    assert (made.code, made.err) == (0, "")
    assert header in made.out
    assert set(pl.read_csv("made.csv")["target"]) == {header}
    for command in ("info", "evaluate", "score"):
        found = throughtime(command, "[bold]")
        assert (found.code, found.err) == (0, "")
