from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from throughtime.cli._console import out
from throughtime.nn import GRU, LSTM, RNN
from throughtime.ops import KINDS, kernels
from throughtime.ops._library import library, why_missing


@pytest.fixture
def environment(monkeypatch):
    """Let the kernels be looked for again under other variables, and once more when the test is over."""

    def change(**variables):
        for name in ("SET", "LIBRARY"):
            monkeypatch.delenv(f"THROUGHTIME_{name}", raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(f"THROUGHTIME_{name}", str(value))
        library.cache_clear()

    yield change
    library.cache_clear()


LAYERS = {
    "rnn_tanh": (RNN, {}),
    "rnn_relu": (RNN, {"nonlinearity": "relu"}),
    "gru": (GRU, {}),
    "lstm": (LSTM, {}),
}
NOISE = ("weight_drop", "variational_dropout", "zoneout")


def own_choice(cell, call):
    """What the layer itself says of such a call."""
    kind, options = LAYERS[cell]
    name = call.partition(" ")[0].rstrip(",")
    asked = {"reset_after=False": {"reset_after": False}, "projection": {"proj_size": 2}}
    asked |= {option: {option: True} for option in ("layer_norm", "peephole")}
    asked |= {option: {option: 0.5} for option in NOISE}
    layer = kind(3, 4, **options, **asked.get(name, {}))
    dtype = {"float64": torch.float64, "bfloat16": torch.bfloat16}.get(name, torch.float32)
    with FakeTensorMode():  # a tensor on CUDA without CUDA
        x = torch.empty(1, 1, 3, dtype=dtype, device="cuda" if "CUDA" in call else "cpu")
    return layer.choice(x, lengths="lengths" in call, resets="resets" in call)


def test_it_says_which_path_every_cell_takes_and_why(throughtime) -> None:
    found = throughtime("doctor", "--json").json
    rows = {(row["cell"], row["call"]): row for row in found["backends"]}
    assert {cell for cell, _ in rows} == set(KINDS)
    alone = {"reset_after=False": ["gru"], "peephole": ["lstm"], "projection (proj_size)": ["lstm"]}
    for call in (call for _, call in rows):
        assert [cell for cell in KINDS if (cell, call) in rows] == alone.get(call, list(KINDS))
    for (cell, call), row in rows.items():
        choice = own_choice(cell, call)
        assert (row["backend"], row["reason"]) == (choice.backend, choice.reason), call


@pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))
def test_the_path_of_every_option(throughtime) -> None:
    rows = throughtime("doctor", "--json").json["backends"]
    found = {row["call"]: (row["backend"], row["reason"]) for row in rows}
    found.pop("bfloat16, autocast")  # depends on the machine
    fastest, cuda = "the native kernels are the fastest", "the kernels run on the CPU, not on cuda"
    assert found == {
        **{call: ("native", fastest) for call in ("whole batches", "ragged (lengths)", "resets", "weight_drop")},
        "float64": ("torch", "the kernels compute in float32, not in torch.float64"),
        "on CUDA": ("torch", cuda),
        "on CUDA, resets": ("reference", f"{cuda}; torch has no resets="),
        "projection (proj_size)": ("torch", "the kernels have no projection"),
        **{
            call: ("reference", f"the kernels have no {option}; torch has no {option}")
            for call, option in {
                "variational_dropout, in training": "variational_dropout",
                **{name: name for name in ("zoneout", "layer_norm", "reset_after=False", "peephole")},
            }.items()
        },
    }


def test_the_table_fits_a_terminal_and_joins_the_cells_that_agree(throughtime, monkeypatch) -> None:
    monkeypatch.setattr(out, "_width", 80)
    table = throughtime("doctor").out.partition("which path a layer takes")[2]
    lines = table.splitlines()
    assert max(map(len, lines)) <= 80
    cells = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in lines if line.startswith("│")}
    assert (cells["whole batches"], cells["zoneout"]) == ("all", "all")
    assert (cells["reset_after=False"], cells["peephole"]) == ("gru", "lstm")


@pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))
def test_it_names_the_library_and_the_instructions(throughtime, environment) -> None:
    path = library().path
    environment(LIBRARY=path, SET="baseline")
    found = throughtime("doctor", "--json").json["kernels"]
    assert found == kernels()
    assert found["native kernels"] == f"{path}, version 1"
    assert found["instructions"].startswith("baseline (THROUGHTIME_SET chooses another: ")
    assert f"native kernels: {path}, version 1\n" in throughtime("doctor").out


def test_it_explains_in_one_line_what_is_missing(throughtime, environment, tmp_path) -> None:
    environment(LIBRARY=tmp_path / "nowhere.so")
    reason = f"THROUGHTIME_LIBRARY={tmp_path}/nowhere.so is no file"
    found = throughtime("doctor")
    assert (found.code, found.err) == (0, "")
    assert f"native kernels: none: {reason}\n" in found.out
    rows = throughtime("doctor", "--json").json["backends"]
    assert {row["reason"] for row in rows if row["call"] == "whole batches"} == {reason}
    resets = next(row for row in rows if row["call"] == "resets")
    assert (resets["backend"], resets["reason"]) == ("reference", f"{reason}; torch has no resets=")


def test_unknown_instructions_end_in_one_line(throughtime, environment) -> None:
    environment(SET="mmx")
    found = throughtime("doctor")
    assert found.code != 0
    assert found.out == ""
    assert len(found.err.splitlines()) == 1
    assert "THROUGHTIME_SET=mmx is unknown: expected one of baseline, avx2, avx512, avx512_bf16" in found.err
