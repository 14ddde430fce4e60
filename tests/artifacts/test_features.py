"""Features are what the head reads, of the whole sequence at once or in parts, and go to disk part by part."""

from __future__ import annotations

import dataclasses
import itertools
import resource
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from throughtime import ConfigurationError, DataError, UnsupportedError
from throughtime.artifacts import Run, SeriesRun, load, write_table
from throughtime.data import read_series, read_sound, read_text
from throughtime.models import family
from throughtime.training import prepare

FAMILIES: dict[str, dict[str, Any]] = {
    **{name: {"hidden_size": 6, "num_layers": 2} for name in ("rnn", "gru", "lstm", "mingru", "minlstm")},
    "tcn": {"hidden_size": 6, "num_layers": 2},
    "transformer": {"hidden_size": 8, "num_layers": 2, "num_heads": 2, "context": 9},
    "mlp": {"hidden_size": 6, "num_layers": 2, "order": 4},
}
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
every_family = pytest.mark.parametrize("name", FAMILIES)


def of_family(run: Run, name: str) -> Any:
    """The same run with another model, as it is before training."""
    torch.manual_seed(3)
    changed = run.configuration.model.model_copy(update={"family": family({"name": name, **FAMILIES[name]})})
    configuration = run.configuration.model_copy(update={"model": changed})
    return type(run)(run.folder, configuration, run.data)


def read_by_head(model: torch.nn.Module, inputs: Tensor) -> np.ndarray:
    """What reaches the head when the whole sequence is read at once, [time, feature]."""
    caught: list[Tensor] = []
    hook = model.head.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    with torch.no_grad():
        model.eval()(inputs)
    hook.remove()
    return caught[0][:, 0].numpy()


def inputs_of(run: SeriesRun, data: Any, index: int = 0) -> Tensor:
    """Scaled values beside what is known of the next row, [time, 1, feature]."""
    series = data.series[index]
    scaler = run.scaler_of(series, run.task.lookback)
    known = np.concatenate([series.known[1:], data.known_after(series, None, 1)])
    rows = np.concatenate([scaler.transform(series.name, series.observed), known], 1)
    return torch.tensor(rows, dtype=torch.float32)[:, None]


def symbols(tokens: np.ndarray) -> Tensor:
    return torch.tensor(np.asarray(tokens).astype(np.int64))[:, None]


def vectors(frame: pl.DataFrame) -> np.ndarray:
    return frame.select("^h_.*$").to_numpy()


def together(run: Run, data: Any, **options: Any) -> pl.DataFrame:
    return pl.concat(run.features(data, **options))


@every_family
def test_a_row_a_step_is_what_the_head_reads(series_run, text_run, name):
    for run, inputs_ in ((series_run, inputs_of), (text_run, lambda _, data: symbols(data.tokens))):
        run, data = of_family(run, name), run.read()
        frame = together(run, data)
        wanted = read_by_head(run.model, inputs_(run, data))
        assert frame["step"].to_list() == list(range(len(wanted)))
        assert frame["h_0"].dtype == pl.Float32
        np.testing.assert_allclose(vectors(frame), wanted, **CLOSE)


@every_family
def test_a_row_a_sequence_is_that_of_the_sequence_alone(text_run, name, tmp_path):
    run = of_family(text_run, name)
    lines = ["the fox", "", "dog", "", "", "a", "jumps over the lazy dog"]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    data = run.read(tmp_path / "lines.txt")
    frame = together(run, data, per="sequence")
    assert frame["sequence"].to_list() == list(range(7))
    for (first, last), row, line in zip(frame["first", "last"].rows(), vectors(frame), lines, strict=True):
        alone = line or "\n"
        assert run.vocabulary.decode(data.tokens[first : last + 1]) == alone
        np.testing.assert_allclose(row, read_by_head(run.model, symbols(run.vocabulary.encode(alone)))[-1], **CLOSE)
    assert frame["symbol"].to_list() == [line[-1:] or "\n" for line in lines]


@every_family
def test_parts_make_no_difference(series_run, text_run, name, monkeypatch):
    ways = ({}, {"per": "sequence"}, {"per": "sequence", "steps": 24}, {"layer": 1})
    for run in (of_family(series_run, name), of_family(text_run, name)):
        data = run.read()
        for way in ways:
            monkeypatch.setattr("throughtime.artifacts.features._STEPS_AT_ONCE", 1 << 20)
            whole = together(run, data, **way)
            monkeypatch.setattr("throughtime.artifacts.features._STEPS_AT_ONCE", 37)
            parts = list(run.features(data, **way))
            assert len(parts) == -(-(len(data.series[0]) if hasattr(data, "series") else len(data.tokens)) // 37)
            assert {tuple(part.schema.items()) for part in parts} == {tuple(whole.schema.items())}
            found = pl.concat(parts)
            assert found.select(pl.exclude("^h_.*$")).equals(whole.select(pl.exclude("^h_.*$")))
            np.testing.assert_allclose(vectors(found), vectors(whole), **CLOSE)


def test_windows_of_series_are_read_alone_and_the_last_may_be_short(series_run):
    data = series_run.read()
    frame = together(series_run, data, per="sequence", steps=48)
    assert frame["first", "last"].rows() == [(0, 47), (48, 95), (96, 143), (144, 191), (192, 199)]
    assert frame["time"].to_list() == data.series[0].times[frame["last"].to_numpy()].tolist()
    inputs = inputs_of(series_run, data)
    for (first, last), row in zip(frame["first", "last"].rows(), vectors(frame), strict=True):
        np.testing.assert_allclose(row, read_by_head(series_run.model, inputs[first : last + 1])[-1], **CLOSE)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "mingru", "minlstm"])
def test_a_lower_layer_is_its_own_h(text_run, name):
    run = of_family(text_run, name)
    inputs, state, wanted = symbols(run.read().tokens)[:50], None, []
    random = torch.get_rng_state()
    found = vectors(together(run, run.read(), layer=1))[:50]
    assert torch.equal(torch.get_rng_state(), random)
    with torch.no_grad():
        for symbol in inputs:
            _, state = run.model(symbol[None], state)
            h = state[0][0] if name == "lstm" else state[0]
            wanted.append(h[0, 0].numpy())
    np.testing.assert_allclose(found, wanted, **CLOSE)
    assert together(run, run.read(), layer=2).equals(together(run, run.read()))


@pytest.mark.parametrize("name", ["tcn", "transformer", "mlp"])
def test_a_lower_layer_without_h_is_its_output(text_run, name):
    run = of_family(text_run, name)
    layers = run.model.backbone[0]
    below = {"tcn": "blocks.0", "transformer": "layers.0", "mlp": "layers.2"}[name]
    caught: list[Any] = []
    hook = layers.get_submodule(below).register_forward_hook(lambda _, given, output: caught.append(output))
    with torch.no_grad():
        run.model.eval()(symbols(run.read().tokens))
        wanted = {
            "tcn": lambda made: made[0].permute(2, 0, 1),
            "transformer": lambda made: layers.norm(made[0]),
            "mlp": lambda made: made,
        }[name](caught[0])[:, 0]
    hook.remove()
    np.testing.assert_allclose(vectors(together(run, run.read(), layer=1)), wanted.numpy(), **CLOSE)


def test_the_vector_of_a_step_depends_on_nothing_later(series_run, written, waves):
    assert series_run.layout.columns.calendar
    longer, shorter = (together(series_run, series_run.read(written("a.csv", waves[:n]))) for n in (101, 100))
    np.testing.assert_allclose(vectors(longer)[:100], vectors(shorter), **CLOSE)
    assert not np.allclose(vectors(longer)[99], vectors(shorter)[98])


def test_steps_that_were_filled_in_have_none(series_run):
    data = series_run.read()
    series = data.series[0]
    whole = together(series_run, data)
    mended = np.zeros(series.observed.shape, bool)
    mended[50, 0] = mended[90, 1] = True
    for interpolated, absent in ((False, [50]), (True, [50, 90])):
        one = dataclasses.replace(series, mended=mended, interpolated=interpolated)
        changed = dataclasses.replace(data, series=(one,))
        found = together(series_run, changed)
        assert found.filter(pl.all_horizontal(pl.col("^h_.*$").is_null()))["step"].to_list() == absent
        kept = np.setdiff1d(np.arange(200), absent)
        assert found[kept].equals(whole[kept])
        cut = together(series_run, changed, per="sequence", steps=51)
        assert sum(cut.null_count().row(0)) == 0


@pytest.fixture(scope="session")
def shops(tmp_path_factory) -> tuple[Path, pl.DataFrame]:
    """A run of two series with a future column, and its data."""
    folder = tmp_path_factory.mktemp("shops")
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 2, 29), eager=True)
    values, is_open = np.sin(np.arange(60.0)), (np.arange(60) % 7 < 5).astype(int)
    frame = pl.concat(
        pl.DataFrame({"unique_id": name, "ds": days, "y": values * size, "open": is_open})
        for name, size in (("north", 1.0), ("south", 30.0))
    )
    data = read_series(frame, targets="y", future="open", calendar="none")
    small = {"task": {"horizon": 3, "lookback": 6, "windows": 8}, "family": {"hidden_size": 5}}
    prepare(data, folder / "run", training={"epochs": 1}, **small).fit()
    return folder / "run", frame


def test_series_with_future_columns_are_read_up_to_the_row_before_the_last(shops):
    folder, frame = shops
    run = load(folder)
    data = run.read(frame)
    found, told = pl.concat(run.features(data, progress=(shares := []).append)), shares
    assert found["series"].to_list() == ["north"] * 59 + ["south"] * 59
    for index, name in enumerate(("north", "south")):
        series = data.series[index]
        rows = np.concatenate([run.scaler.transform(name, series.observed)[:-1], series.known[1:]], 1)
        wanted = read_by_head(run.model, torch.tensor(rows, dtype=torch.float32)[:, None])
        np.testing.assert_allclose(vectors(found.filter(series=name)), wanted, **CLOSE)
    assert told == [0.5, 1.0]
    ends = together(run, data, per="sequence")
    assert ends.select("series", "sequence", "first", "last").rows() == [("north", 0, 0, 58), ("south", 0, 0, 58)]
    np.testing.assert_allclose(vectors(ends), vectors(found)[[58, 117]], **CLOSE)
    with pytest.raises(DataError, match="series 'north' has 1 row"):
        run.features(run.read(frame[:1]))


def test_a_series_not_met_in_training_is_scaled_by_its_first_rows(series_run):
    data = series_run.read()
    one = data.series[0]
    stranger = dataclasses.replace(one, name="new", observed=3 * one.observed + 50)
    changed = dataclasses.replace(data, series=(stranger, one))
    frame = together(series_run, changed)
    assert frame["series"].to_list() == ["new"] * 200 + [""] * 200
    wanted = read_by_head(series_run.model, inputs_of(series_run, changed))
    np.testing.assert_allclose(vectors(frame)[:200], wanted, **CLOSE)


@pytest.mark.parametrize("encoding", ["mu-law", "real"])
def test_sound(tmp_path, encoding):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(np.arange(600) / 5), 8000)
    data = read_sound(tmp_path / "tone.wav", encoding=encoding)
    data = data.series() if encoding == "real" else data
    task = {"horizon": 2, "lookback": 4, "windows": 8} if encoding == "real" else {"steps": 8}
    prepare(data, tmp_path / "run", task=task, family={"hidden_size": 4}, training={"epochs": 1}).fit()
    run: Any = load(tmp_path / "run")
    frame = together(run, run.read())
    inputs = inputs_of(run, run.read()) if encoding == "real" else symbols(run.read().tokens)
    np.testing.assert_allclose(vectors(frame), read_by_head(run.model, inputs), **CLOSE)
    assert len(together(run, run.read(), per="sequence")) == 1
    assert len(together(run, run.read(), per="sequence", steps=250)) == 3


def test_lines_of_bytes(tmp_path):
    (tmp_path / "a.txt").write_text("fünf\nsechs\n" * 20, encoding="utf-8")
    data = read_text(tmp_path / "a.txt", unit="byte")
    prepare(data, tmp_path / "run", family={"hidden_size": 3}, training={"epochs": 1}).fit()
    frame = together(load(tmp_path / "run"), data, per="sequence")
    assert len(frame) == 40
    assert frame["symbol"].to_list() == ["66", "73"] * 20


def test_models_that_learn_no_features_are_refused(tmp_path, text_run, series_run):
    for run, name in ((text_run, "markov"), (series_run, "ar")):
        head = {} if name == "markov" else {"head": "normal"}
        changed = run.configuration.model.model_copy(update={"family": family({"name": name}), **head})
        other: Any = type(run)(run.folder, run.configuration.model_copy(update={"model": changed}), run.data)
        with pytest.raises(UnsupportedError, match=f"is a model of {name}: its state is the last steps as they are"):
            other.features(run.read())


def test_what_cannot_be_is_refused_before_anything_is_read(text_run):
    data = text_run.read()
    for layer in (0, 2):
        with pytest.raises(ConfigurationError, match=rf"--layer {layer}: .* has layers 1 to 1"):
            text_run.features(data, layer=layer)
    for options in ({"steps": 4}, {"steps": 0, "per": "sequence"}):
        with pytest.raises(ConfigurationError, match="is for --per sequence, and at least 1"):
            text_run.features(data, **options)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("at_once", [1, 1000, 1 << 26])
def test_a_table_is_written_in_parts(tmp_path, monkeypatch, suffix, at_once):
    monkeypatch.setattr("throughtime.artifacts.tables._BYTES_AT_ONCE", at_once)
    parts = [pl.DataFrame({"n": [5 * k, 5 * k + 1], "name": ["ä,b", '"']}) for k in range(50)]
    parts.insert(3, parts[0][:0])
    folder = tmp_path / "[a]*"
    folder.mkdir()
    path = folder / f"table{suffix}"
    assert write_table(iter(parts), path) == (100, ["n", "name"])
    read = pl.read_csv(path, glob=False) if suffix == ".csv" else pl.read_parquet(path, glob=False)
    assert read.equals(pl.concat(parts))
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_that_is_not_finished_leaves_the_old_one(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    path.write_text("old")

    def parts():
        yield pl.DataFrame({"n": [1]})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(parts(), path)
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {path.name: "old"}


def test_nothing_is_computed_for_a_name_that_means_nothing(tmp_path):
    with pytest.raises(ConfigurationError, match=r"table\.xlsx: expected a name that ends in \.csv or \.parquet"):
        write_table((pytest.fail("computed") for _ in itertools.count()), tmp_path / "table.xlsx")


def test_a_disk_that_fills_up_while_parts_are_joined_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr("throughtime.artifacts.tables._BYTES_AT_ONCE", 1)
    parts = [pl.DataFrame({"n": np.sqrt(np.arange(start, start + 200))}) for start in range(0, 9000, 200)]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large"):
            write_table(parts, tmp_path / "table.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
