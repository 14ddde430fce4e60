"""The state as a representation, from the command line to a file."""

from pathlib import Path

import polars as pl
import pytest

from throughtime.artifacts import load


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["hourly", "book", "tone"])
@pytest.mark.parametrize("options", [[], ["--per", "sequence"], ["--per", "sequence", "--steps", "24"]], ids=" ".join)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_features_are_those_of_the_run(throughtime, runs, name, options, suffix) -> None:
    found = throughtime("features", runs / name, *options, "--layer", "1", "--out", f"made{suffix}", "--json")
    assert (found.code, found.err) == (0, "")
    frame = pl.read_csv("made.csv", try_parse_dates=True) if suffix == ".csv" else pl.read_parquet("made.parquet")
    assert found.json == {"file": f"made{suffix}", "rows": len(frame), "features": 4}
    assert [path.name for path in Path().iterdir()] == [f"made{suffix}"]
    run = load(runs / name)
    way = dict(zip([name[2:] for name in options[::2]], options[1::2], strict=True))
    wanted = pl.concat(run.features(run.read(), **(way | ({"steps": 24} if "steps" in way else {}))))
    if suffix == ".parquet":
        assert frame.equals(wanted)
    else:
        assert frame.columns == wanted.columns
        assert frame.select(pl.col("^h_.*$").cast(pl.Float32)).equals(wanted.select("^h_.*$"))


def test_they_go_into_the_run_by_default(throughtime, samples) -> None:
    small = ["--hidden-size", "4", "--epochs", "1", "--out", "run"]
    assert throughtime("train", samples / "book.txt", *small).code == 0
    found = throughtime("features", "run", "--per", "sequence")
    assert found.out == (
        "rows: 40; columns: series, sequence, first, last, symbol and 4 features; saved run/features.csv\n"
    )
    frame = pl.read_csv("run/features.csv")
    assert frame["symbol"].to_list() == ["."] * 40
    assert frame.drop("sequence", "first", "last").unique().height == 1, "every line is the same, and read for itself"


def test_several_series_with_covariates_tell_of_the_row_left_out(throughtime, runs) -> None:
    found = throughtime("features", runs / "long", "--out", "made.csv")
    assert found.code == 0
    assert found.err == (
        "note: the last row of each series is left out: the model reads the future columns of the one after it\n"
    )
    frame = pl.read_csv("made.csv")
    assert frame.group_by("series", maintain_order=True).len().rows() == [("north", 159), ("south", 159)]


@pytest.mark.parametrize(("file", "model"), [("book.txt", "markov:2"), ("hourly.csv", "ar:3")])
def test_a_model_that_keeps_the_last_steps_has_none(throughtime, samples, file, model) -> None:
    assert throughtime("train", samples / file, "--model", model, "--out", "run").code == 0
    found = throughtime("features", "run")
    assert (found.code, found.out) == (2, "")
    assert found.err == (
        f"error: run is a model of {model.split(':')[0]}: its state is the last steps as they are, nothing that it has "
        "learnt; train a network, such as --model gru\n"
    )
    assert not Path("run/features.csv").exists()
